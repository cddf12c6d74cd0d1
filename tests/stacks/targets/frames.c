/* Stacks that are not plain: each mode calls `seen` in one such, and says in which. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KEPT __attribute__((noinline, noipa))

static volatile long sink;

KEPT void seen(long n) { sink += n; }
KEPT void leaf(long n) { seen(n); sink++; }

KEPT void deeper(long n) {
    if (n == 0)
        leaf(n);
    else
        deeper(n - 1);
    sink++;
}

KEPT void on_signal(int number) { seen(number); sink++; }
KEPT void raises(void) { raise(SIGUSR1); sink++; }

KEPT void through(void (*f)(long), long n) { f(n); sink++; }

/* push rbp; mov rbp, rsp; mov rax, rdi; mov rdi, rsi; call rax; pop rbp; ret */
static const unsigned char GENERATED[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3};

KEPT void generated(void) {
    unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, GENERATED, sizeof GENERATED);
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    ((void (*)(void (*)(long), long))code)(leaf, 1);
    sink++;
}

/* the stack is aligned by hand, so its frame is found by what rbp points to */
KEPT void aligned(long n) {
    _Alignas(64) volatile char room[64 + (n & 1)];
    room[0] = n;
    leaf(room[0]);
    sink++;
}

KEPT void room_of_its_own(long n) {
    volatile char *room = __builtin_alloca(n);
    room[0] = 1;
    leaf(n);
    sink += room[0];
}

KEPT void clocks(double seconds) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (int i = 0; i < 1000; i++)
            clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    sink++;
}

/* through the procedure linkage table, over and over */
KEPT void lengths(long n) {
    char text[] = "twelve bytes";
    while (n--) {
        text[n % 12] = 'x';
        sink += strlen(text) + (atoi(text) & 1);
    }
}

KEPT void left(unsigned long bits, int steps);
KEPT void right(unsigned long bits, int steps);

static inline void turn(unsigned long bits, int steps) {
    if (!steps)
        seen(1);
    else if (bits & 1)
        left(bits >> 1, steps - 1);
    else
        right(bits >> 1, steps - 1);
    sink++;
}

void left(unsigned long bits, int steps) { turn(bits, steps); }
void right(unsigned long bits, int steps) { turn(bits, steps); }

static void take_signals(int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(SIGUSR1, &action, 0);
}

int main(int count, char **words) {
    const char *mode = words[1];
    long n = count > 2 ? atol(words[2]) : 1;
    if (!strcmp(mode, "deep"))
        deeper(n);
    else if (!strcmp(mode, "signal")) {
        take_signals(0);
        raises();
    } else if (!strcmp(mode, "other stack")) {
        /* behind it is nothing that could be read */
        stack_t other = {.ss_sp = mmap(0, 17 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = 1 << 16};
        mprotect((char *)other.ss_sp + other.ss_size, 1 << 12, PROT_NONE);
        sigaltstack(&other, 0);
        take_signals(SA_ONSTACK);
        raises();
    } else if (!strcmp(mode, "generated"))
        generated();
    else if (!strcmp(mode, "aligned"))
        aligned(n);
    else if (!strcmp(mode, "room"))
        room_of_its_own(n);
    else if (!strcmp(mode, "turns")) /* no way is taken twice */
        for (long i = 0; i < n; i++)
            left(i, 16);
    else if (!strcmp(mode, "clocks"))
        clocks(n / 1000.0);
    else if (!strcmp(mode, "lengths"))
        lengths(n);
    else
        while (n--)
            through(n % 3 ? leaf : seen, n);
    return 0;
}
