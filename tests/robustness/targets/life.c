/* life FORKS THREADS [exec]: forks that start threads and end, or with `exec` begin this program anew. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline, noipa, patchable_function_entry(1))) void hit(void)
{
    __asm__ volatile("");
}

static void *run(void *unused)
{
    return unused;
}

static void start_threads(int count)
{
    pthread_t ids[16];
    for (int i = 0; i < count; i++)
        pthread_create(&ids[i], NULL, run, NULL);
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
}

int main(int argc, char **argv)
{
    int forks = atoi(argv[1]), threads = atoi(argv[2]);
    for (int i = 0; i < forks; i++) {
        if (fork() == 0) {
            hit();
            start_threads(threads);
            if (argc > 3)
                execl("/proc/self/exe", "life", "0", "0", (char *)NULL);
            _exit(0);
        }
        if (i % 16 == 15)
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
    }
    while (wait(NULL) > 0)
        ;
    hit();
    start_threads(threads);
    return 0;
}
