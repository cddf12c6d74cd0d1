/* What the programs of these tests share: counters that tell themselves at the end, and a driver.
 *
 *     COUNT(alpha)          one more; "alpha=17" is printed when the program or the library ends
 *     INSIDE(outer) { }     the thread is inside `outer` while the block runs; COUNT_INSIDE(outer) counts "in_outer" when it is
 *
 *     PROGRAM [-n ROUNDS] [-t THREADS] [-f CHILDREN] [-e TIMES] [-m]
 *
 * calls `one_round` in each thread; then forks children that do the same; then one that becomes the program anew. -m: two threads map and unmap
 * memory until all is done.
 */
#ifndef TRUTH_H
#define TRUTH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __clang__
#define NOIPA __attribute__((noinline))
#else
#define NOIPA __attribute__((noipa))
#endif
#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* behind a call: so it is not the last thing that the function does, which would make it a jump */
#define BARRIER() __asm__ volatile("" ::: "memory")

struct counter {
    const char *name;
    long n;
};
extern struct counter __start_counters[] __attribute__((visibility("hidden")));
extern struct counter __stop_counters[] __attribute__((visibility("hidden")));

#define COUNT_NAMED(text) \
    do { \
        static struct counter counter_ __attribute__((section("counters"), used, aligned(16))) = {text, 0}; \
        __atomic_add_fetch(&counter_.n, 1, __ATOMIC_RELAXED); \
    } while (0)
#define COUNT(what) COUNT_NAMED(#what)
/* first in a function that is probed: not an instruction with a `lock` prefix, on which there can be no probe */
#define HIT(what) \
    do { \
        __asm__ volatile("nop"); \
        COUNT_NAMED(#what); \
    } while (0)

#define DEPTH(function) static __thread volatile int depth_##function
#define ENTER(function) depth_##function++
#define LEAVE(function) depth_##function--
#define COUNT_INSIDE(function) \
    do { \
        if (depth_##function) \
            COUNT_NAMED("in_" #function); \
    } while (0)

static __attribute__((destructor, used)) void tell_counters(void)
{
    for (struct counter *c = __start_counters; c < __stop_counters; c++)
        printf("%s=%ld\n", c->name, c->n);
    fflush(stdout);
}

/* a child counts its own calls, in each file */
static void forget_counters(void)
{
    for (struct counter *c = __start_counters; c < __stop_counters; c++)
        c->n = 0;
}

static __attribute__((constructor, used)) void forget_in_children(void)
{
    pthread_atfork(NULL, NULL, forget_counters);
}

#ifdef MAIN
static long rounds = 1000;
static volatile int all_done;

static void one_round(long number);

static void *run_rounds(void *unused)
{
    for (long i = 0; i < rounds; i++)
        one_round(i);
    return unused;
}

/* the kernel's areas of this process change all the time, and with them what may be looked up without waiting */
static void *churn(void *unused)
{
    while (!all_done) {
        void *pages[8];
        for (int i = 0; i < 8; i++)
            pages[i] = mmap(NULL, 4096 * (size_t)(i + 1), i & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < 8; i++)
            munmap(pages[i], 4096 * (size_t)(i + 1));
    }
    return unused;
}

static void run_threads(int threads, int churning)
{
    pthread_t ids[130], churners[2];
    all_done = 0;
    for (int i = 0; i < 2 && churning; i++)
        pthread_create(&churners[i], NULL, churn, NULL);
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, run_rounds, NULL);
    if (!threads)
        run_rounds(NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    all_done = 1;
    for (int i = 0; i < 2 && churning; i++)
        pthread_join(churners[i], NULL);
}

/* in a child, which then is another program at another address */
static void run_again(char **argv, int times)
{
    char text[16];
    snprintf(text, sizeof text, "%d", times - 1);
    for (char **word = argv; *word; word++)
        if (word > argv && (*word)[0] != '-' && word[-1][0] == '-' && word[-1][1] == 'e')
            *word = text;
    fflush(stdout);
    if (fork() == 0) {
        execv("/proc/self/exe", argv);
        _exit(1);
    }
    wait(NULL);
}

int main(int argc, char **argv)
{
    int threads = 0, children = 0, times = 0, churning = 0, option;
    while ((option = getopt(argc, argv, "n:t:f:e:m")) != -1) {
        switch (option) {
        case 'n': rounds = atol(optarg); break;
        case 't': threads = atoi(optarg); break;
        case 'f': children = atoi(optarg); break;
        case 'e': times = atoi(optarg); break;
        case 'm': churning = 1; break;
        default: return 2;
        }
    }
    run_threads(threads, churning);
    fflush(stdout);
    for (int i = 0; i < children; i++) {
        if (fork() == 0) {
            run_threads(threads, churning);
            exit(0);
        }
    }
    while (children-- > 0)
        wait(NULL);
    if (times > 0)
        run_again(argv, times);
    return 0;
}
#endif
#endif
