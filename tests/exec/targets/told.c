/* Marks whose operands the compiler chooses, and the same values printed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mark.h"

/* the compiler has to load what it prints anew, so it need not load it for the mark */
#define TELL(a, b, c, d)                                                                                               \
  do {                                                                                                                 \
    MARK4(told, values, a, b, c, d);                                                                                   \
    __asm__ volatile("" ::: "memory");                                                                                 \
    printf("%lld %lld %lld %lld\n", (long long)(a), (long long)(b), (long long)(c), (long long)(d));                   \
  } while (0)

struct part {
  signed char tiny;
  unsigned char byte;
  short few;
  unsigned short more;
  int number;
  unsigned count;
  long large;
  unsigned long huge;
  const char *name;
};

int shared = -5;
unsigned long counts[8] = {1, 2, 3, ~0ul, 5, 6, 7, 8};
static short hidden[6] = {-1, 2, -3, 4, -5, 6};
static __thread int own = 77;
__thread struct part parts[2];

__attribute__((noinline)) static void integers(signed char a, unsigned char b, short c, unsigned short d, int e,
                                               unsigned f, long g, unsigned long h) {
  TELL(a, b, c, d);
  TELL(e, f, g, h);
  TELL((char)e, (unsigned char)e, (short)g, (unsigned short)g);
}

__attribute__((noinline)) static void memory(struct part *p, unsigned char *bytes, long i) {
  TELL(p->tiny, p->byte, p->few, p->more);
  TELL(p->number, p->count, p->large, p->huge);
  TELL(p[i].tiny, bytes[i], hidden[i], counts[i]);
  TELL(p->name, &p[i], bytes + i, p[i].name);
}

__attribute__((noinline)) static void statics(int i) {
  TELL(shared, counts[3], hidden[2], counts[i]);
  TELL(&shared, &counts[2], (const char *)"literal", (unsigned long *)counts);
  TELL(own, parts[1].few, parts[i & 1].huge, &own);
}

__attribute__((noinline)) static void constants(void) {
  TELL(5, -5, 0x7fffffff, 3000000000u);
  TELL(-1L, ~0ul, (short)-2, (unsigned char)200);
  TELL('x', (signed char)-128, 0x123456789abcdefL, 0);
}

__attribute__((noinline)) static void crowded(long a, long b, long c, long d, long e, long f, int g, short h) {
  long sum = a * b + c * d - e * f, other = a - b, third = sum ^ c, fourth = d | e;
  TELL(sum, other, third, fourth);
  TELL(g, h, a + b, (int)f);
  printf("%ld %ld %ld %ld %ld\n", sum, other, third, fourth, a + b + c + d + e + f + g + h);
  MARK2(told, last, sum, h);
}

int main(void) {
  struct part p[3];
  unsigned char bytes[16];
  memset(p, 0xa5, sizeof p);
  for (int i = 0; i < 16; i++) bytes[i] = 250 + i;
  parts[1].few = -9;
  parts[1].huge = 1ul << 63;
  integers(-100, 200, -30000, 60000, -2000000000, 4000000000u, -(1L << 62), 1ul << 63);
  memory(p, bytes, 2);
  for (int i = 0; i < 4; i++) statics(i);
  constants();
  crowded(1, -2, 3, -4, 5, -6, -7, -8);
  return 0;
}
