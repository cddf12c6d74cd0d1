/* Compiled as a shared library, and a second time as the program that calls it (-DPROGRAM). */
struct reply { int status; long values[2]; };
typedef long (*callback)(long, void *);
long exported(long value, int times, struct reply *reply);
long called_back(callback call, void *data, int n);
extern int shared_count;

#ifdef PROGRAM
volatile long sink;
static long receive(long value, void *data)
{
  struct reply *reply = data;
  long doubled = value * 2;
  reply->values[1] += doubled;
  sink += doubled;
  return doubled + reply->status;
}
int main(int argc, char **argv)
{
  struct reply reply = { argc, { 5, 6 } };
  long first = exported(argc + 10, 4, &reply);
  long second = called_back(receive, &reply, argc + 2);
  sink += first + second + shared_count + (argv[0] != 0);
  return 0;
}
#else
int shared_count = 9;
static int hidden_count = 31;
__thread int thread_number = 11;
static __thread long thread_private[3] = { 1, 2, 3 };
volatile long library_sink;

__attribute__((noinline)) static void use(long value) { library_sink += value; }
__attribute__((noinline)) static long step(long value, int index, struct reply *reply)
{
  long scaled = value * (index + 2);
  reply->values[index & 1] = scaled;
  use(scaled);
  use(2);
  return scaled - index;
}
__attribute__((noinline)) long exported(long value, int times, struct reply *reply)
{
  long total = 0;
  struct reply local = *reply;
  for (int i = 0; i < times; i++) {
    long each = step(value + i, i, &local);
    total += each;
    thread_number += i;
  }
  reply->values[0] = local.values[1];
  hidden_count += thread_number;
  thread_private[1] += total;
  use(hidden_count);
  return total;
}
__attribute__((noinline)) long called_back(callback call, void *data, int n)
{
  long kept = shared_count;
  for (int i = 0; i < n; i++) kept += call(kept + i, data);
  use(kept);
  shared_count++;
  return kept;
}
#endif
