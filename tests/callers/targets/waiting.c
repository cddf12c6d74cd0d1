/* Threads that are inside functions already, some and some not, when the session begins; then they go on, as often as the argument says.
 *
 *@ probe process("{program}").function("callee")
 *@ 1                                                     = all
 *@ within function("outer")                              = in_outer
 *@ !(within function("outer"))                           = all - in_outer
 *@ within function("deep")                               = in_deep
 *@ within function("deep") && !(within function("outer")) = deep_not_outer
 *@ within function("work")                               = all
 *@ within function("late")                               = in_late
 *@ [-g] within function("hull")                          = in_hull
 */
#undef MAIN
#include "truth.h"

DEPTH(outer);
DEPTH(deep);
DEPTH(late);
DEPTH(hull);
static pthread_barrier_t gate;
static int threads = 6, times = 100;

NOIPA long callee(long n)
{
    HIT(all);
    COUNT_INSIDE(outer);
    COUNT_INSIDE(deep);
    COUNT_INSIDE(late);
    COUNT_INSIDE(hull);
    if (depth_deep && !depth_outer)
        COUNT(deep_not_outer);
    return n;
}

/* returns when the one who started us says so */
NOIPA void wait_here(void)
{
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
}

NOIPA void outer(long n, int waits)
{
    ENTER(outer);
    if (waits)
        wait_here();
    for (int i = 0; i < 10; i++)
        callee(n);
    LEAVE(outer);
}

NOIPA void deep(long n, int waits)
{
    ENTER(deep);
    if (n > 0)
        deep(n - 1, waits);
    else if (waits)
        wait_here();
    callee(n);
    if (n % 5 == 2)
        outer(n, 0);
    LEAVE(deep);
}

NOIPA void late(long n)
{
    ENTER(late);
    callee(n);
    LEAVE(late);
}

ALWAYS_INLINE void hull(long n, int waits)
{
    ENTER(hull);
    if (waits)
        wait_here();
    callee(n);
    late(n);
    LEAVE(hull);
}

NOIPA void *work(void *number)
{
    long n = (long)number;
    switch (n % 3) {
    case 0: outer(n, 1); break;
    case 1: deep(20 + n, 1); break;
    default: hull(n, 1); break;
    }
    for (int i = 0; i < times; i++) {
        callee(i);
        outer(i, 0);
        deep(i % 11, 0);
        late(i);
        hull(i, 0);
        callee(i);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t ids[16];
    if (argc > 1)
        times = atoi(argv[1]);
    pthread_barrier_init(&gate, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, work, (void *)i);
    pthread_barrier_wait(&gate);
    puts("ready");
    fflush(stdout);
    getchar();
    pthread_barrier_wait(&gate);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
