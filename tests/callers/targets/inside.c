/* What may happen while a function is under way: recursion, longjmp past it, signals on either stack, fork, threads.
 *
 *@ probe process("{program}").function("callee")
 *@ 1                                                    = all
 *@ within function("outer")                             = in_outer
 *@ !(within function("outer"))                          = all - in_outer
 *@ within function("deep")                              = in_deep
 *@ within function("jumped")                            = in_jumped
 *@ !within function("jumped")                           = all - in_jumped
 *@ within function("handler")                           = in_handler
 *@ within function("handler") && within function("outer_of_a_signal") = signal_in_outer
 *@ within function("raises")                            = in_raises
 *@ within function("forks*")                            = in_forks
 *@ within function("never")                             = 0
 *@ within function("forks*") || within function("raises") = in_raises + in_forks
 *@ within function("jump*")                             = in_jumps
 *@ within function("outer") && !(within function("deep")) = outer_not_deep
 *@ caller is function("handler") && within function("raises") = in_raises
 *@ [-g] within function("hull")                         = in_hull
 *@ [-g] within function("hull") && within function("deep") = in_hull_deep
 *
 *@ probe process("{program}").function("outer")
 *@ 1                                                    = outer
 *@ within function("outer")                             = outer
 *@ within function("deep")                              = outer_deep
 *@ caller is function("outer")                          = 0
 */
#define MAIN
#include "truth.h"
#include <setjmp.h>
#include <signal.h>
#include <string.h>

DEPTH(outer);
DEPTH(deep);
DEPTH(jumped);
DEPTH(jumps);
DEPTH(handler);
DEPTH(raises);
DEPTH(forks);
DEPTH(never);
DEPTH(outer_of_a_signal);
DEPTH(hull);
static __thread jmp_buf way_out;
static __thread char *signal_stack;

NOIPA long callee(long n)
{
    HIT(all);
    COUNT_INSIDE(outer);
    COUNT_INSIDE(deep);
    COUNT_INSIDE(jumped);
    COUNT_INSIDE(jumps);
    COUNT_INSIDE(handler);
    COUNT_INSIDE(raises);
    COUNT_INSIDE(forks);
    COUNT_INSIDE(hull);
    if (depth_handler && depth_outer_of_a_signal)
        COUNT(signal_in_outer);
    if (depth_outer && !depth_deep)
        COUNT(outer_not_deep);
    if (depth_hull && depth_deep)
        COUNT(in_hull_deep);
    return n + 1;
}

NOIPA void outer(long n)
{
    HIT(outer);
    if (depth_deep)
        COUNT(outer_deep);
    ENTER(outer);
    callee(n);
    LEAVE(outer);
    BARRIER();
}

/* calls itself `n` times; half way down the callee is called, and on the way back again */
NOIPA void deep(long n)
{
    ENTER(deep);
    if (n % 3 == 0)
        callee(n);
    if (n > 0)
        deep(n - 1);
    else
        outer(n);
    if (n % 3 == 1)
        callee(n);
    LEAVE(deep);
}

/* left by longjmp `n` calls deep: from then on the thread is in none of them, however deep it calls again */
NOIPA void jumped(long n)
{
    ENTER(jumped);
    callee(n);
    if (n == 0)
        longjmp(way_out, 1);
    jumped(n - 1);
    LEAVE(jumped);
}

NOIPA void jumps(long n)
{
    int before = depth_jumped;
    ENTER(jumps);
    if (setjmp(way_out)) {
        depth_jumped = before;
        callee(n);
        LEAVE(jumps);
        return;
    }
    jumped(n);
    LEAVE(jumps);
}

NOIPA void never(long n)
{
    ENTER(never);
    callee(n);
    LEAVE(never);
}

NOIPA void handler(int number)
{
    ENTER(handler);
    callee(number);
    LEAVE(handler);
}

NOIPA void raises(long n)
{
    ENTER(raises);
    pthread_kill(pthread_self(), n % 2 ? SIGUSR1 : SIGUSR2);
    LEAVE(raises);
}

/* the signal comes while outer is under way */
NOIPA void outer_of_a_signal(long n)
{
    ENTER(outer_of_a_signal);
    raises(n);
    LEAVE(outer_of_a_signal);
}

/* the child is inside the call as well, and ends there */
NOIPA void forks(long n)
{
    ENTER(forks);
    callee(n);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        callee(n);
        outer(n);
        tell_counters();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    callee(n);
    LEAVE(forks);
}

/* here the child leaves the call, and goes on */
NOIPA pid_t forks_and_returns(long n)
{
    pid_t child;
    ENTER(forks);
    callee(n);
    fflush(stdout);
    child = fork();
    callee(n);
    LEAVE(forks);
    return child;
}

ALWAYS_INLINE void hull(long n)
{
    ENTER(hull);
    callee(n);
    if (n % 4 == 1)
        deep(n % 6);
    LEAVE(hull);
}

NOIPA void user(long n)
{
    hull(n);
    BARRIER();
}

/* mapped before the stacks of threads, and so above them: what interrupts a thread runs on a stack above the interrupted one */
enum { SIGNAL_STACK_BYTES = 65536, MOST_SIGNAL_STACKS = 64 };
static char *signal_stacks;
static int signal_stacks_used;

__attribute__((constructor)) static void map_signal_stacks(void)
{
    signal_stacks = (char *)mmap(NULL, SIGNAL_STACK_BYTES * MOST_SIGNAL_STACKS, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void use_own_signal_stack(void)
{
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    int number = __atomic_fetch_add(&signal_stacks_used, 1, __ATOMIC_RELAXED);
    stack.ss_size = SIGNAL_STACK_BYTES;
    signal_stack = number < MOST_SIGNAL_STACKS ? signal_stacks + SIGNAL_STACK_BYTES * number : (char *)malloc(stack.ss_size);
    stack.ss_sp = signal_stack;
    sigaltstack(&stack, NULL);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, NULL);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR2, &action, NULL);
}

static NOIPA void one_round(long i)
{
    if (!signal_stack)
        use_own_signal_stack();
    callee(i);
    outer(i);
    deep(i % 40);
    jumps(i % 9);
    callee(i);
    raises(i);
    outer_of_a_signal(i + i / 2);
    callee(i);
    user(i);
    if (i % 100 == 13)
        forks(i);
    if (i % 100 == 57) {
        pid_t child = forks_and_returns(i);
        callee(i);
        if (child == 0) {
            jumps(3);
            outer(i);
            tell_counters();
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    callee(i);
}
