/* A program that switches stacks by itself while functions are under way on each of them. Under way is what the running stack holds.
 *
 *@ probe process("{program}").function("callee")
 *@ 1                                                    = all
 *@ caller is function("worker")                         = worker
 *@ caller is function("inner")                          = inner
 *@ within function("inner")                             = in_inner
 *@ !(within function("inner"))                          = all - in_inner
 *@ within function("worker")                            = all
 *@ within function("inner") && caller is function("worker") = 0
 */
#define MAIN
#include "truth.h"
#include <ucontext.h>

enum { MANY = 8, STACK = 65536 };
static __thread ucontext_t scheduler, contexts[MANY];
static __thread int alive, running, depth_of[MANY];

NOIPA long callee(long n)
{
    HIT(all);
    if (depth_of[running])
        COUNT(in_inner);
    return n;
}

static NOIPA void give_way(int which)
{
    swapcontext(&contexts[which], &scheduler);
}

NOIPA void inner(int which, long n)
{
    depth_of[which]++;
    COUNT(inner);
    callee(n);
    give_way(which);
    COUNT(inner);
    callee(n);
    if (n > 0)
        inner(which, n - 1);
    give_way(which);
    depth_of[which]--;
}

NOIPA void worker(int which)
{
    for (int i = 0; i < 4; i++) {
        COUNT(worker);
        callee(i);
        inner(which, (which + i) % 3);
    }
    alive--;
    for (;;)
        give_way(which);
}

static NOIPA void one_round(long i)
{
    char *stacks = (char *)malloc(MANY * STACK);
    for (int k = 0; k < MANY; k++) {
        getcontext(&contexts[k]);
        contexts[k].uc_stack.ss_sp = stacks + k * STACK;
        contexts[k].uc_stack.ss_size = STACK;
        makecontext(&contexts[k], (void (*)(void))worker, 1, k);
    }
    alive = MANY;
    for (long turn = i; alive > 0; turn += 3) {
        running = (int)(turn % MANY);
        swapcontext(&scheduler, &contexts[running]);
    }
    free(stacks);
}
