// Calls that exceptions leave, and those that return, which take the time of themselves: `call ID INNER OUTER` as in timed.c.
// `returned`, `thrown`: how many calls of `risky` did what, in all threads.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <vector>

#define APART __attribute__((noinline))

static int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

struct Guard {
  std::atomic<long> &ended;
  ~Guard() { ended++; }
};

static std::atomic<long> returned, thrown, ended;

APART int fails(long n) {
  if (n % 3 == 1) throw std::runtime_error("one");
  return n % 5;
}

APART int risky(long n) {
  Guard guard{ended};
  return fails(n) + 1;
}

APART int timed(long id, int64_t *inner) {
  int64_t start = now();
  int found = fails(id);
  for (int64_t end = now() + 20000; now() < end;)
    ;
  *inner = now() - start;
  return found;
}

APART int plain(long n) {  // calls nothing: no exception passes
  asm volatile("" : "+r"(n));
  return n * 2;
}

static int compare(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  if (x + y == 7) throw std::logic_error("seven");
  return x < y ? -1 : x > y;
}

static void run(long count) {
  for (long n = 0; n < count; n++) {
    try {
      risky(n);
      returned++;
    } catch (const std::exception &) {
      thrown++;
    }
  }
}

int main(int argc, char **argv) {
  long count = argc > 1 ? atol(argv[1]) : 1000;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) threads.emplace_back(run, count / 4);
  for (auto &t : threads) t.join();
  for (long id = 1; id <= 30; id++) {
    int64_t inner, start = now();
    try {
      timed(id, &inner);
      printf("call %ld %ld %ld\n", id, (long)inner, (long)(now() - start));
    } catch (const std::exception &) {
    }
  }
  long doubled = 0, sevens = 0;
  for (long n = 0; n < 20; n++) doubled += plain(n) == 2 * n;
  for (int i = 0; i < 5; i++) {
    long numbers[] = {3, 1, 9, 4, i};
    try {
      qsort(numbers, 5, sizeof *numbers, compare);
    } catch (const std::logic_error &) {
      sevens++;
    }
  }
  printf("returned: %ld\nthrown: %ld\nended: %ld\nplain: %ld\nsevens: %ld\n", returned.load(), thrown.load(), ended.load(), doubled,
         sevens);
  return 0;
}
