// Calls leaf inside an inlined copy of small, in the functions that hold such copies, and elsewhere; tells how often. A child does it once more.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALONE __attribute__((noinline, noipa))

volatile long zero;
static long in_copy, in_holder, outside, copies, holders;

ALONE long leaf(long n)
{
    if (copies)
        in_copy++;
    else if (holders)
        in_holder++;
    else
        outside++;
    return n + zero;
}

ALONE long middle(long n) { return leaf(n) + 1; }

static inline __attribute__((always_inline)) long small(long n)
{
    copies++;
    long sum = middle(n);
    sum += leaf(sum);
    copies--;
    return sum;
}

ALONE long outer(long n)
{
    holders++;
    long sum = leaf(n) + small(n) + middle(n);
    holders--;
    return sum;
}

ALONE long again(long n)
{
    holders++;
    long sum = n > 1 ? again(n - 1) + small(n) : leaf(n);
    holders--;
    return sum;
}

ALONE long deep(long n) { return n > 1 ? deep(n - 1) + 1 : outer(n); }

ALONE void work(void)
{
    for (int i = 0; i < 20; i++)
        zero = (leaf(i) + outer(i) + middle(i) + again(5) + deep(100)) & 0;
}

static void tell(void)
{
    printf("%ld %ld %ld\n", in_copy, in_holder, outside);
    fflush(stdout);
}

int main(void)
{
    work();
    if (fork() == 0) {
        in_copy = in_holder = outside = 0;
        work();
        tell();
        _exit(0);
    }
    wait(NULL);
    work();
    tell();
    return 0;
}
