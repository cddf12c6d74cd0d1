/* flood [-t THREADS] [-n CALLS] [-u MICROSECONDS]: calls hit() and says how often on its error output. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned long hits;
static long number_of_calls = 1000, pause_us;
static const char *const words[] = {"alpha", "beta", "gamma", "delta"};

/* one emulated instruction first: a hit costs half a microsecond instead of ten */
__attribute__((noinline, noipa, patchable_function_entry(1))) long hit(long number, const char *word)
{
    __asm__ volatile("" ::: "memory");
    return number;
}

static void *run(void *unused)
{
    for (long i = 0; i < number_of_calls; i++) {
        hit(i, words[i & 3]);
        __atomic_add_fetch(&hits, 1, __ATOMIC_RELAXED);
        if (pause_us)
            usleep((useconds_t)pause_us);
    }
    return unused;
}

int main(int argc, char **argv)
{
    int threads = 1, option;
    while ((option = getopt(argc, argv, "t:n:u:")) != -1) {
        switch (option) {
        case 't': threads = atoi(optarg); break;
        case 'n': number_of_calls = atol(optarg); break;
        case 'u': pause_us = atol(optarg); break;
        default: return 2;
        }
    }
    pthread_t ids[64];
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, run, NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    fprintf(stderr, "hits=%lu\n", hits);
    return 0;
}
