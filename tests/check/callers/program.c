#define ALONE __attribute__((noinline, noipa))
ALONE long leaf(long n) { return n * 3; }
static inline __attribute__((always_inline)) long small(long n) { return leaf(n) + 1; }
ALONE long outer(long n)
{
    long sum = small(n);
    sum += leaf(n);
    return sum;
}
int main(int argc, char **argv) { return outer(argc) == 5; }
