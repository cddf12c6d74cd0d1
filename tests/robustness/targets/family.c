/* family FLAG: four threads that fork all the time until the file FLAG is there; only then everything alive calls hit(). */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    unsigned long hits;
    int go;
} volatile *shared;

__attribute__((noinline, noipa, patchable_function_entry(1))) void hit(void)
{
    __asm__ volatile("");
}

static void call(void)
{
    for (int i = 0; i < 10; i++) {
        __atomic_add_fetch(&shared->hits, 1, __ATOMIC_RELAXED);
        hit();
    }
}

static void *run(void *unused)
{
    for (int i = 0; i < 400 && !shared->go; i++) {
        if (fork() == 0) {
            if (i % 2)
                _exit(0);
            while (!shared->go)
                usleep(5000);
            call();
            _exit(0);
        }
        usleep(8000);
    }
    while (!shared->go)
        usleep(5000);
    call();
    return unused;
}

int main(int argc, char **argv)
{
    (void)argc;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGCHLD, SIG_IGN);
    pthread_t ids[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&ids[i], NULL, run, NULL);
    while (access(argv[1], F_OK) != 0)
        usleep(2000);
    shared->go = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
    usleep(300000);
    fprintf(stderr, "hits=%lu\n", shared->hits);
    return 0;
}
