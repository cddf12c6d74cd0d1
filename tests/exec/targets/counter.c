/* A program that counts its own calls, so that tests have a number to compare with.
 *
 *   counter [-t THREADS] [-n CALLS] [-f FORKS] [-d LIBRARY] [-w MILLISECONDS]
 *
 * Each of THREADS threads in each of FORKS + 1 processes calls work() CALLS times, then everything else once.
 * The last line of each process is "work=N" with the number of calls that its own counter saw.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long calls;
static long number_of_calls = 1000;

__attribute__((noinline, noipa)) long work(int number, const char *text, long big)
{
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    return number * 2 + (long)strlen(text) + (big & 1);
}

__attribute__((noinline, noipa)) long eight(long a, long b, long c, long d, long e, long f, long g, long h)
{
    __asm__ volatile("" ::: "memory");
    return a + b + c + d + e + f + g + h;
}

__attribute__((noinline, noipa)) long factorial(long n)
{
    if (n < 2)
        return 1;
    long below = factorial(n - 1);
    __asm__ volatile("" : "+r"(below)); /* or gcc makes a loop of it */
    return n * below;
}

__attribute__((noinline, noipa)) void only_once(void)
{
    __asm__ volatile("");
}

__attribute__((noinline, noipa)) static int hidden_static(int x)
{
    __asm__ volatile("");
    return x + 1;
}

static const char *const words[] = {"alpha", "beta", "gamma", "delta"};

static void *run(void *unused)
{
    for (long i = 0; i < number_of_calls; i++)
        work((int)(i % 100), words[i & 3], i);
    return unused;
}

int main(int argc, char **argv)
{
    int threads = 1, forks = 0, wait_ms = 0, option;
    const char *library = NULL;
    while ((option = getopt(argc, argv, "t:n:f:d:w:")) != -1) {
        switch (option) {
        case 't': threads = atoi(optarg); break;
        case 'n': number_of_calls = atol(optarg); break;
        case 'f': forks = atoi(optarg); break;
        case 'd': library = optarg; break;
        case 'w': wait_ms = atoi(optarg); break;
        default: return 2;
        }
    }
    usleep((useconds_t)wait_ms * 1000);
    for (int i = 0; i < forks; i++)
        if (fork() == 0) {
            forks = -1;
            break;
        }
    pthread_t ids[64];
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, run, NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    only_once();
    eight(1, 2, 3, 4, 5, 6, 77, -88);
    factorial(5);
    hidden_static(threads);
    if (library) {
        void *handle = dlopen(library, RTLD_NOW);
        long (*loaded)(long) = handle ? (long (*)(long))dlsym(handle, "loaded_work") : NULL;
        if (!loaded)
            return 3;
        for (long i = 0; i < number_of_calls; i++)
            loaded(i);
    }
    printf("work=%lu\n", calls);
    fflush(stdout);
    while (forks > 0 && wait(NULL) > 0)
        ;
    return 0;
}
