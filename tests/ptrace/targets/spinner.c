// Threads that call work() and threads that sit in system calls, until standard input ends. Says `ready`, and at its end the calls,
// and how many system calls ended with EINTR or too early.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls, interrupted, early;
static volatile int is_over;
static int never[2], silent[2];

__attribute__((noinline)) long work(long n) {
    __asm__ volatile("");
    atomic_fetch_add(&calls, 1);
    return n + 1;
}

static void *spin(void *unused) {
    while (!is_over) work(1);
    return NULL;
}

static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void judge(int result, long began, long wanted_ms) {
    if (result < 0 && errno == EINTR) interrupted++;
    if (now_ms() - began < wanted_ms - 1) early++;
}

enum { WAIT_MS = 300 };

static void *in_epoll(void *unused) {
    struct epoll_event event;
    int epoll = epoll_create1(0);
    while (!is_over) {
        long began = now_ms();
        judge(epoll_wait(epoll, &event, 1, WAIT_MS), began, WAIT_MS);
    }
    return NULL;
}

static void *in_poll(void *unused) {
    struct pollfd one = {silent[0], POLLIN, 0};
    while (!is_over) {
        long began = now_ms();
        judge(poll(&one, 1, WAIT_MS), began, WAIT_MS);
    }
    return NULL;
}

static void *in_select(void *unused) {
    while (!is_over) {
        struct timeval time = {0, WAIT_MS * 1000};
        long began = now_ms();
        judge(select(0, NULL, NULL, NULL, &time), began, WAIT_MS);
    }
    return NULL;
}

static void *in_sleep(void *unused) {
    struct timespec time = {0, WAIT_MS * 1000000L};
    while (!is_over) {
        long began = now_ms();
        judge(nanosleep(&time, NULL), began, WAIT_MS);
    }
    return NULL;
}

static void *in_sigwait(void *unused) {
    struct timespec time = {0, WAIT_MS * 1000000L};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    while (!is_over) {
        long began = now_ms();
        int result = sigtimedwait(&set, NULL, &time);
        judge(result < 0 && errno == EAGAIN ? 0 : result, began, WAIT_MS);
    }
    return NULL;
}

static void *in_semaphore(void *unused) {
    int id = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf take = {0, -1, 0};
    struct timespec time = {0, WAIT_MS * 1000000L};
    while (!is_over) {
        long began = now_ms();
        int result = semtimedop(id, &take, 1, &time);
        judge(result < 0 && errno == EAGAIN ? 0 : result, began, WAIT_MS);
    }
    semctl(id, 0, IPC_RMID);
    return NULL;
}

static void *in_read(void *unused) {
    char byte;
    if (read(never[0], &byte, 1) < 0 && errno == EINTR) interrupted++;
    return NULL;
}

static void *in_futex(void *unused) {
    static sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    while (!is_over) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        if (sem_timedwait(&semaphore, &until) < 0 && errno == EINTR) interrupted++;
    }
    return NULL;
}

int main(void) {
    void *(*bodies[])(void *) = {spin, spin, in_epoll, in_poll, in_select, in_sleep, in_sigwait, in_semaphore, in_read, in_futex};
    enum { COUNT = sizeof bodies / sizeof *bodies };
    pthread_t threads[COUNT];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pipe(never);
    pipe(silent);
    for (int i = 0; i < COUNT; i++) pthread_create(&threads[i], NULL, bodies[i], NULL);
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {}
    is_over = 1;
    close(never[1]);
    for (int i = 0; i < COUNT; i++) pthread_join(threads[i], NULL);
    printf("work=%ld interrupted=%ld early=%ld\n", (long)calls, (long)interrupted, (long)early);
    return 5;
}
