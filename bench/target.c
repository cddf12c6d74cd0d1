/* The program under measurement: calls hit() CALLS times and writes the nanoseconds that one took to a file.
 *
 *   target CALLS RESULT-FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* noipa: every call is made; the first instruction is `push`, which the kernel emulates. */
__attribute__((naked, noinline, noipa)) long hit(long number, const char *text)
{
    __asm__ volatile("push %rbp\n\tmov %rdi, %rax\n\tpop %rbp\n\tret");
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long calls = atol(argv[1]);
    for (long i = 0; i < 1000; i++)
        hit(i & 1023, "warm");
    double start = now_ns();
    for (long i = 0; i < calls; i++)
        hit(i & 1023, "text");
    double per_hit_ns = (now_ns() - start) / (double)calls;
    FILE *result = fopen(argv[2], "w");
    if (result == NULL)
        return 1;
    fprintf(result, "%.1f\n", per_hit_ns);
    return fclose(result) == 0 ? 0 : 1;
}
