/* What C compilers describe: every kind of local, in the shapes that optimisation gives them. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

#define NOINLINE __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))

struct pair { long first, second; };
struct triple { long a, b, c; };
struct small { short x; char y; bool z; };
struct mixed { int i; double d; };
struct floats { float a, b, c; };
union word { uint32_t u; int32_t i; float f; uint8_t bytes[4]; };
struct bits { int s3 : 3; unsigned u5 : 5; bool flag : 1; long wide : 40; unsigned long rest : 15; };
struct node { struct node *next; int id; union word word; char name[8]; };
struct outer { struct { int x, y; }; union { long l; struct pair *p; }; struct small inner[2]; };
enum colour { RED = -1, GREEN, BLUE = 70 };
enum large { TINY, HUGE_ONE = 0x100000000 };
typedef int (*operation)(int, int);
typedef int grid_t[2][3];

volatile long sink;
volatile double double_sink;
static int hidden = 41;
int counted;
static const int constant = 17;
long table[8] = { 3, 1, 4, 1, 5, 9, 2, 6 };
const char *title = "corpus";
__thread int thread_count = 5;
static __thread struct pair thread_pair = { 7, 8 };
struct bits global_bits = { -2, 21, true, -123456789L, 0x2bcd };
grid_t grid = { { 1, 2, 3 }, { 4, 5, 6 } };
double ratios[3] = { 0.5, -1.25, 1e300 };
enum colour paint = BLUE;

NOINLINE void use(long value) { sink += value; }
NOINLINE void use_double(double value) { double_sink += value; }
NOINLINE void take(void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

NOINLINE long integers(signed char a, unsigned char b, short c, unsigned short d, int e, unsigned f, long g, unsigned long h, bool yes)
{
  long sum = a + b;
  int16_t narrow = c - d;
  unsigned char low = (unsigned char)(f + h);
  bool odd = (e & 1) != 0;
  use(sum);
  sum += narrow;
  if (odd) {
    unsigned inner = f * 3u;
    use(inner);
    sum += inner + low;
  } else {
    long other = g - (long)h;
    use(other);
    sum -= other;
  }
  use(yes);
  return sum + odd + e;
}

NOINLINE double floating(float f, double d, int i, long double wide)
{
  double product = f * d;
  float back = (float)(product + i);
  long double more = wide * 2;
  use_double(product);
  double rest = back - d;
  use_double((double)more + rest);
  return rest * back;
}

NOINLINE struct pair make_pair(long a, long b)
{
  struct pair result = { a * 2, b + 1 };
  use(result.first);
  return result;
}

NOINLINE struct triple make_triple(long a)
{
  struct triple result = { a, a + 1, a + 2 };
  use(result.c);
  result.b *= 3;
  return result;
}

NOINLINE long structs(struct pair p, struct triple t, struct small s, struct mixed m, struct floats f)
{
  struct pair swapped = { p.second, p.first };
  struct mixed changed = { m.i + 1, m.d * 2 };
  struct small local = s;
  use(swapped.first);
  local.y++;
  use(local.y + t.b);
  use_double(changed.d + f.b);
  swapped.second += t.a;
  use(swapped.second);
  return swapped.first - swapped.second + changed.i + local.x + (long)f.c;
}

NOINLINE long unions(union word w, uint32_t mask)
{
  union word copy = { .u = w.u ^ mask };
  use(copy.i);
  copy.bytes[1] = 9;
  use(copy.u);
  return copy.bytes[3] + w.bytes[0];
}

NOINLINE long fields(struct bits b, int delta)
{
  struct bits changed = b;
  changed.s3 = delta;
  changed.wide += delta;
  use(changed.wide);
  changed.u5 = b.u5 + 1;
  use(changed.u5 + changed.flag);
  return changed.s3 + (long)changed.rest;
}

NOINLINE long walk(const struct node *list, enum colour c)
{
  long total = 0;
  int count = 0;
  for (const struct node *n = list; n; n = n->next) {
    int id = n->id * (c == GREEN ? 3 : 2);
    use(id);
    total += id;
    count++;
  }
  return total / (count ? count : 1);
}

NOINLINE long arrays(int n, char fill)
{
  int squares[6];
  char text[8] = "abcdefg";
  grid_t cells = { { n, n + 1, n + 2 }, { 7, 8, 9 } };
  for (int i = 0; i < 6; i++) squares[i] = i * i + n;
  text[2] = fill;
  take(squares);
  take(text);
  take(cells);
  long sum = 0;
  for (unsigned i = 0; i < 6; i++) {
    int each = squares[i];
    sum += each;
    use(each);
  }
  return sum + text[2] + cells[1][2];
}

NOINLINE long variable_length(int n)
{
  long cells[n];
  for (int i = 0; i < n; i++) cells[i] = n * i;
  take(cells);
  long last = cells[n - 1];
  use(last);
  return last + cells[0];
}

NOINLINE int choose(enum colour c, enum large l, wchar_t w)
{
  enum colour next = c == RED ? GREEN : BLUE;
  switch (c) {
  case RED: { int red = w + 1; use(red); return red; }
  case GREEN: { long green = (long)l + 2; use(green); return (int)(green >> 30); }
  default: use(next); break;
  }
  return next;
}

INLINE int clamp(int value, int low, int high)
{
  int bounded = value < low ? low : value;
  if (bounded > high) bounded = high;
  return bounded;
}

INLINE long scaled(long value, int factor)
{
  long product = value * factor;
  int small = clamp((int)product, -100, 100);
  use(small);
  return product + small;
}

static int maybe_inlined(int a, int *out)
{
  int kept = a + 4;
  *out = kept * 2;
  use(kept);
  return kept - 1;
}

NOINLINE long inlines(long a, int b)
{
  int out = 0;
  long first = scaled(a, b);
  long second = scaled(first, 3);
  int third = maybe_inlined(b, &out);
  use(second);
  {
    long nested = first ^ second;
    use(nested);
    {
      int deeper = clamp(third + out, 0, 50);
      use(deeper);
      nested += deeper;
    }
    second += nested;
  }
  return second + third;
}

NOINLINE unsigned long factorial(unsigned n, int depth)
{
  unsigned long below;
  if (n < 2) { use(depth); return 1; }
  below = factorial(n - 1, depth + 1);
  use((long)below);
  return below * n;
}

NOINLINE static long last_step(long value, struct pair *where)
{
  long shifted = value << 2;
  where->first = shifted;
  use(1);
  return where->second + 3;
}

NOINLINE long tail(long value, struct pair *where)
{
  long doubled = value * 2;
  use(doubled);
  return last_step(doubled + 5, where);
}

NOINLINE long passed_on(long used, long unused, int twice)
{
  use(used + twice);
  use(3);
  return used * 2;
}

NOINLINE static long specialised(long value, int always, const char *why)
{
  long result = value * always;
  use(why[0]);
  use(result);
  return result + always;
}

NOINLINE long variadic(int count, ...)
{
  va_list list;
  long sum = 0;
  va_start(list, count);
  for (int i = 0; i < count; i++) {
    long each = va_arg(list, long);
    sum += each;
    use(each);
  }
  va_end(list);
  return sum;
}

NOINLINE unsigned __int128 wide(unsigned __int128 a, __int128 b, long c)
{
  unsigned __int128 product = a * (unsigned __int128)c;
  __int128 difference = b - c;
  use((long)product);
  use((long)(difference >> 64));
  return product + (unsigned __int128)difference;
}

NOINLINE long many(long a, long b, long c, long d, long e, long f, long g, int h, char i, struct pair j, double k)
{
  long lower = a + b + c;
  long upper = d + e + f + g;
  use(lower);
  use(upper + h);
  use_double(k);
  return lower * upper + i + j.second;
}

NOINLINE long statics(int step)
{
  static int calls = 3;
  static struct pair last;
  calls += step;
  last.first = calls;
  thread_count += step;
  thread_pair.second = calls;
  hidden += constant;
  counted++;
  use(hidden);
  return last.first + thread_count;
}

NOINLINE int added(int a, int b) { int sum = a + b; use(sum); return sum; }
NOINLINE int subtracted(int a, int b) { int rest = a - b; use(b); return rest; }

NOINLINE long indirect(operation op, int a, int b)
{
  int result = op(a, b);
  use(result);
  return result * 2 + op(b, 3);
}

NOINLINE long loops(unsigned n, const long *data)
{
  long best = -1;
  unsigned where = 0;
  for (unsigned i = 0; i < n; i++) {
    long value = data[i] * 7;
    for (int j = 0; j < 2; j++) {
      long candidate = value - j * (long)i;
      if (candidate > best) { best = candidate; where = i; }
    }
  }
  use(best);
  while (n > 4) { n -= 3; use(n); }
  return best + where;
}

NOINLINE long vectorised(int n)
{
  int left[16], right[16];
  for (int i = 0; i < 16; i++) { left[i] = i * n; right[i] = n - i; }
  take(left);
  take(right);
  long dot = 0;
  for (int i = 0; i < 16; i++) dot += (long)left[i] * right[i];
  use(dot);
  return dot;
}

NOINLINE long nested_struct(struct outer *o, int which)
{
  struct outer copy = *o;
  copy.x += which;
  copy.inner[1].x = (short)which;
  use(copy.x + copy.y);
  long deep = copy.inner[which & 1].x;
  use(deep);
  return deep + (copy.p ? copy.p->first : 0);
}

NOINLINE long pointers(struct node *head, void **raw, const char *text)
{
  struct node **link = &head->next;
  const char *end = text;
  while (*end) end++;
  long length = end - text;
  use(length);
  void *first = raw[0];
  take(first);
  int id = (*link)->id;
  use(id);
  return length + id;
}

NOINLINE long dynamic(int size)
{
  char *space = __builtin_alloca((unsigned long)size);
  for (int i = 0; i < size; i++) space[i] = (char)i;
  take(space);
  long value = space[size - 1];
  use(value);
  return value;
}

NOINLINE long labelled(int n)
{
  int state = 0;
  long steps = 0;
again:
  steps++;
  switch (state) {
  case 0: state = n > 2 ? 1 : 2; goto again;
  case 1: { int local = n * 5; use(local); state = 2; goto again; }
  case 2: break;
  }
  use(steps);
  return steps + state;
}

NOINLINE double complexes(_Complex double z, double scale)
{
  _Complex double turned = z * (scale + 1.0i);
  double real = __real__ turned;
  use_double(real);
  return real + __imag__ turned;
}

int main(int argc, char **argv)
{
  struct node third = { 0, 3, { 3 }, "third" }, second = { &third, argc + 2, { 2 }, "second" }, head = { &second, -1, { 1 }, "first" };
  struct outer o = { { argc, 4 }, { .l = 0 }, { { 1, 2, true }, { 5, 6, false } } };
  struct pair where = { 1, 2 };
  void *raw[2] = { &o, &where };
  long total = integers(-1, 200, -300, 60000, argc + 6, 4000000000u, -5, 18000000000000000000ul, argc > 0);
  total += integers(5, 6, 7, 8, argc + 9, 1, 2, 3, false);
  total += (long)floating(1.5f, -2.25, argc, 3.5L);
  struct pair made = make_pair(argc, 8);
  struct triple three = make_triple(argc + 10);
  total += made.first + three.b;
  total += structs(made, three, (struct small){ 3, 'y', true }, (struct mixed){ 9, 0.5 }, (struct floats){ 1, 2, 3 });
  total += unions((union word){ .u = 0x81828384u }, 0xff00ff);
  total += fields(global_bits, -3);
  total += walk(&head, GREEN) + walk(&head, RED);
  total += arrays(argc + 4, 'q');
  total += variable_length(argc + 4);
  total += choose(RED, HUGE_ONE, L'x') + choose(GREEN, HUGE_ONE, 3) + choose(BLUE, TINY, -1);
  total += inlines(argc + 20, 5);
  total += (long)factorial(5, argc);
  total += tail(argc + 3, &where);
  total += passed_on(argc, argc + 99, 4);
  total += specialised(argc, 6, "why") + specialised(total, 6, "why");
  total += variadic(3, 10L, (long)argc, -30L);
  total += (long)wide((unsigned __int128)argc << 70 | 5, -7, argc + 2);
  total += many(1, 2, 3, argc, 5, 6, 7, -8, 'i', made, 2.5);
  total += statics(argc) + statics(2);
  total += indirect(argc > 5 ? added : subtracted, 9, argc) + indirect(added, argc, 4);
  total += loops(8, table);
  total += vectorised(argc + 2);
  total += nested_struct(&o, argc);
  total += pointers(&head, raw, title);
  total += dynamic(argc + 19);
  total += labelled(argc + 3);
  total += (long)complexes(1.0 + 2.0i, argc);
  sink = total + paint + grid[1][1] + (long)ratios[1] + (argv[0] != 0);
  return 0;
}
