/* Calls itself and the C library in all the ways that stacks look like: callbacks, deep recursion, stacks that grow or are aligned by hand,
   calls that do not return, signals on both stacks, the vdso. Arguments: how deep `deep` goes, and how often all is done. */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa)) /* nor copied under another name */
#endif

typedef double wide __attribute__((vector_size(32)));

volatile int sink;
static jmp_buf back;
static char other_stack[1 << 16];

static NOINLINE int leaf(int a) { return a * 3 + sink; }

static NOINLINE int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    sink += x;
    return x < y ? -1 : x > y;
}

static NOINLINE int sorts(int n) {
    int values[32];
    for (int i = 0; i < 32; i++)
        values[i] = (i * 37 + n) % 101;
    qsort(values, 32, sizeof *values, compare);
    return values[3];
}

static NOINLINE int grows(int n) {
    char *p = alloca(n * 16 + 1);
    memset(p, n, n * 16 + 1);
    return p[n] + sorts(n);
}

static NOINLINE void touch(wide *w) {
    sink += (int)(*w)[1];
    (*w)[1] += 1;
}

static NOINLINE int aligned(int a, int b, int c, int d, int e, int f, int g) {
    wide w = {a, b, c, d};
    touch(&w);
    return (int)w[1] + e + f + sorts(g);
}

static NOINLINE int bottom(int n) { return sorts(n + 3) + leaf(n); }

static NOINLINE int deep(int n) {
    if (n == 0)
        return bottom(n);
    int r = deep(n - 1);
    return r + leaf(r);
}

static NOINLINE void leave(int x) {
    sink = x;
    longjmp(back, 1);
}

/* the call of `leave` is its last instruction */
static NOINLINE int leaves(int x) {
    volatile int kept = x;
    if (kept > 0)
        leave(x);
    __builtin_unreachable();
}

static NOINLINE int jumps(int x) {
    if (!setjmp(back))
        leaves(x);
    return sink;
}

static NOINLINE void handler(int number) {
    char text[64];
    snprintf(text, sizeof text, "%d %g", number, 1.5 * sink);
    sink += text[0] + leaf(number);
}

static NOINLINE int raises(int number) {
    raise(number);
    return leaf(number);
}

static NOINLINE long clocked(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_nsec;
}

int main(int argc, char **argv) {
    int depth = argc > 1 ? atoi(argv[1]) : 40, rounds = argc > 2 ? atoi(argv[2]) : 1000000;
    wide w = {argc, argc, argc, argc};
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    sigaltstack(&stack, 0);
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, 0);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGALRM, &action, 0);
    for (int i = 0; i < rounds; i++) {
        touch(&w);
        sink += grows(i % 7) + aligned(1, 2, 3, 4, 5, 6, i) + jumps(5);
        raises(SIGUSR1);
        raises(SIGALRM);
        sink += clocked() & 1;
        sink += deep(depth);
        printf("%d\n", sink);
    }
    return (int)w[1];
}
