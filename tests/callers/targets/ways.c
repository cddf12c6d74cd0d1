/* Calls of one function from everywhere, counted by who calls. Built three times: -DLIBRARY, -DOTHER, and the program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))
#define PUSH __asm__ volatile("" ::: "rbx", "memory") /* so that functions begin with a push, and calls are no jumps */

long callee(long number);
void from_own(void);
void from_other(void);

#if defined LIBRARY
volatile long sink;
APART long callee(long number) { sink += number; PUSH; return number + 1; }
APART void from_own(void) { callee(1); PUSH; }
#elif defined OTHER
APART void from_other(void) { callee(2); PUSH; }
#else
static long calls[4];
enum { MAIN, OWN, OTHER_LIBRARY, DEEP };

APART static void from_main(void) { callee(3); PUSH; }
APART static void from_deep(void) { callee(4); PUSH; }
APART static void deep(int depth) { if (depth) deep(depth - 1); else from_deep(); PUSH; }

static void some(int rounds, int deepest)
{
    for (int i = 0; i < rounds; i++) {
        from_main(), calls[MAIN]++;
        if (i % 2) from_own(), calls[OWN]++;
        if (i % 3) from_other(), calls[OTHER_LIBRARY]++;
        if (i % 10 == 0) deep(i % deepest), calls[DEEP]++;
    }
}

int main(int argc, char **argv)
{
    int rounds = atoi(argv[1]), deepest = atoi(argv[2]);
    some(rounds, deepest);
    if (argc > 3 && !strcmp(argv[3], "fork")) {
        pid_t child = fork();
        some(rounds, deepest);
        if (!child) _exit(0);
        waitpid(child, NULL, 0);
        for (int i = 0; i < 4; i++) calls[i] = calls[i] / 2 * 3;
    }
    printf("%ld %ld %ld %ld\n", calls[MAIN], calls[OWN], calls[OTHER_LIBRARY], calls[DEEP]);
    return 0;
}
#endif
