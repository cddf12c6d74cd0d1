/* Calls functions that are probed in a loop, each from somewhere else, and writes to RESULT the processor time of a call, in nanoseconds.
 *
 *   callers CASE CALLS RESULT
 *
 * Each probed function begins with `push`, which the kernel emulates. `range_*` and `gap_*` are made by callers.py.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUNCTION __attribute__((noinline, noipa))
#define PROBED __attribute__((naked, noinline, noipa))

PROBED long hit(long n) { __asm__ volatile("push %rbp\n\tmov %rdi, %rax\n\tpop %rbp\n\tret"); }
PROBED long work(long n) { __asm__ volatile("push %rbp\n\tmov %rdi, %rax\n\tpop %rbp\n\tret"); }

long library_hit(long n);
long call_from_other(long calls);
long call_from_range(long calls);

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what the kernel does at a hit is part of it; what others do meanwhile is not */
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

FUNCTION long near_caller(long calls)
{
    long sum = 0;
    for (long i = 0; i < calls; i++)
        sum += hit(i);
    return sum;
}

FUNCTION long far_caller(long calls)
{
    long sum = 0;
    for (long i = 0; i < calls; i++)
        sum += library_hit(i);
    return sum;
}

FUNCTION long outer(long calls) { return near_caller(calls) + 1; }

FUNCTION long session(long calls)
{
    long sum = 0;
    for (long i = 0; i < calls; i++)
        sum += work(i);
    return sum;
}

static long leaf_calls;

FUNCTION long down(long depth)
{
    volatile long kept = depth;
    if (depth == 0)
        return near_caller(leaf_calls);
    long found = down(depth - 1);
    return found + kept;
}

/* Frames of `near_caller`, `down` and this function are `depth`; main and what is before it come on top. */
static long at_depth(long depth, long calls)
{
    leaf_calls = calls;
    return down(depth - 3);
}

static long run(const char *name, long calls)
{
    if (strcmp(name, "near") == 0)
        return near_caller(calls);
    if (strcmp(name, "far") == 0)
        return far_caller(calls);
    if (strcmp(name, "other") == 0)
        return call_from_other(calls);
    if (strcmp(name, "range") == 0)
        return call_from_range(calls);
    if (strcmp(name, "within") == 0)
        return outer(calls);
    if (strcmp(name, "session") == 0)
        return session(calls);
    return at_depth(atol(name), calls);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    long calls = atol(argv[2]);
    run(argv[1], 1000);
    double start = now_ns();
    run(argv[1], calls);
    double per_call_ns = (now_ns() - start) / (double)calls;
    FILE *result = fopen(argv[3], "w");
    if (result == NULL)
        return 1;
    fprintf(result, "%.1f\n", per_call_ns);
    return fclose(result) == 0 ? 0 : 1;
}
