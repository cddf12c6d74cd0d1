// Many threads, children or signals, all of which call work(); the calls are counted in memory that all share.
//   crowd threads THREADS CALLS | forks CHILDREN CALLS | storm CHILDREN CALLS | vforks CHILDREN CALLS | spawns ... | clones ... |
//         signals 1 CALLS | exec_from_thread 1 CALLS | daemon 1 CALLS
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static atomic_long *calls;
static long repeats;
static char *self, many[16];

__attribute__((noinline)) long work(long n) {
    __asm__ volatile("");
    atomic_fetch_add(calls, 1);
    return n + 1;
}

__attribute__((noinline)) void in_handler(int number) {
    __asm__ volatile("");
    atomic_fetch_add(calls + 1, 1);
}

static void *repeat(void *unused) {
    for (long i = 0; i < repeats; i++) work(i);
    return NULL;
}

static int child(void *unused) {
    repeat(NULL);
    _exit(0);
}

static void *execute(void *unused) {
    printf("work=%ld\n", (long)*calls);
    fflush(stdout);
    execl(self, self, "threads", "1", many, (char *)NULL);
    _exit(1);
}

static void fork_all(int count, int together) {
    for (int i = 0; i < count; i++) {
        if (fork() == 0) child(NULL);
        if (!together) wait(NULL);
    }
    while (wait(NULL) > 0) {}
}

int main(int argc, char **argv) {
    self = argv[0];
    const char *way = argv[1];
    int count = atoi(argv[2]);
    repeats = atol(argv[3]);
    snprintf(many, sizeof many, "%ld", repeats);
    calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!strcmp(way, "threads")) {
        pthread_t threads[256];
        for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, repeat, NULL);
        for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    } else if (!strcmp(way, "forks") || !strcmp(way, "storm")) {
        fork_all(count, *way == 's');
    } else if (!strcmp(way, "vforks")) {
        for (int i = 0; i < count; i++) {
            if (vfork() == 0) {
                work(i);
                execl(self, self, "threads", "1", many, (char *)NULL);
                _exit(1);
            }
            wait(NULL);
        }
    } else if (!strcmp(way, "spawns")) {
        char *words[] = {self, "threads", "1", many, NULL};
        for (int i = 0; i < count; i++) {
            pid_t pid;
            posix_spawn(&pid, self, NULL, NULL, words, environ);
            waitpid(pid, NULL, 0);
        }
        repeat(NULL);
    } else if (!strcmp(way, "clones")) {  // a process of its own in the same memory
        char *stack = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < count; i++) {
            clone(child, stack + (1 << 16), CLONE_VM | SIGCHLD, NULL);
            wait(NULL);
        }
    } else if (!strcmp(way, "signals")) {
        struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_RESTART};
        struct itimerval every = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
        repeat(NULL);
        setitimer(ITIMER_REAL, &never, NULL);
    } else if (!strcmp(way, "exec_from_thread")) {
        pthread_t thread;
        repeat(NULL);
        pthread_create(&thread, NULL, execute, NULL);
        pthread_join(thread, NULL);
    } else if (!strcmp(way, "daemon")) {  // a grandchild that outlives its parent, and is waited for by a pipe
        int ends[2];
        pipe(ends);
        if (fork() == 0) {
            if (fork() == 0) {
                setsid();
                repeat(NULL);
                _exit(0);
            }
            _exit(0);
        }
        wait(NULL);
        close(ends[1]);
        char byte;
        read(ends[0], &byte, 1);
    }
    printf("work=%ld handled=%ld\n", (long)calls[0], (long)calls[1]);
    return 3;
}
