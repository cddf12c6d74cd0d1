/* A program with places of every kind in its source code, each of which counts how often it was reached.
 *
 * The last line of its output is "NAME=COUNT ..." : functions by name, `line_loop`, `label_again`, and `other_work`, `main_work`:
 * calls of work() in other() and main(), that by a pointer aside. Lines that tests name have a comment `// @name`.
 */
#include <stdio.h>
#include <stdlib.h>

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

static volatile long work_calls, inl_calls, nested_calls, loops, agains, other_work, helper_calls;

NOINLINE long work(long n)
{
    work_calls++; // @work
    return n * 2;
}

static inline __attribute__((always_inline)) long nested(long n)
{
    nested_calls++; // @nested
    return n ^ 3;
}

static inline __attribute__((always_inline)) long inl(long n)
{
    inl_calls++; // @inl
    return n + nested(n);
}

static NOINLINE long helper(long n)
{
    helper_calls++;
    return work(n) + 1;
}

NOINLINE long other(long n)
{
    long s = 0;
    for (long i = 0; i < n; i++) {
        loops++; // @loop
        other_work++;
        s += inl(i) + work(i);
    }
    return s;
}

int main(int argc, char **argv)
{
    long (*volatile pointer)(long) = work;
    long total = work(argc) + pointer(2), n = 0;
again:
    agains++; // @again
    total += other(5) + helper(n);
    if (++n < argc + 2)
        goto again;
    total += inl(n);
    printf("work=%ld inl=%ld nested=%ld helper=%ld line_loop=%ld label_again=%ld other_work=%ld main_work=%d\n", work_calls,
           inl_calls, nested_calls, helper_calls, loops, agains, other_work, 1);
    return total == 0;
}
