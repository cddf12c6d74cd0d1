// All ways out of a function: return, exception, longjmp, tail call; each counted by the program itself.
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <execinfo.h>
#include <pthread.h>
#include <stdexcept>
#include <unistd.h>

extern "C" {
static long thrown, returned, jumped, passed, deep, evens, odds, walked, chained;
static volatile int traps;
static jmp_buf place;
static sigjmp_buf signal_place;

__attribute__((noinline)) int thrower(int n) {
    asm volatile("");
    if (n % 3 == 0) {
        thrown++;
        throw std::runtime_error("thrown");
    }
    returned++;
    return n;
}
__attribute__((noinline)) int between(int n) {
    int result = thrower(n) + 1;
    asm volatile("");
    return result;
}
__attribute__((noinline)) int jumper(int n) {
    asm volatile("");
    if (n % 2) {
        jumped++;
        longjmp(place, 1);
    }
    passed++;
    return n;
}
__attribute__((noinline)) int recurse(int n) {
    asm volatile("");
    deep++;
    int result = n ? recurse(n - 1) + 1 : 0;
    asm volatile("");
    return result;
}
int odd(unsigned n);
__attribute__((noinline)) int even(unsigned n) {
    asm volatile("");
    evens++;
    return n ? odd(n - 1) : 1;
}
__attribute__((noinline)) int odd(unsigned n) {
    asm volatile("");
    odds++;
    return n ? even(n - 1) : 0;
}
__attribute__((noinline)) int last(int n) {
    asm volatile("");
    chained++;
    return n + 1;
}
__attribute__((noinline)) int first(int n) {
    asm volatile("");
    return last(n + 1);
}
__attribute__((noinline)) int walker() {
    void *frames[32];
    walked += backtrace(frames, 32) > 2;
    asm volatile("");
    return 1;
}
__attribute__((noinline)) void leave_handler(int) {
    asm volatile("");
    siglongjmp(signal_place, 1);
}
static void on_trap(int) { traps = traps + 1; }
__attribute__((noinline)) void *cancelled(void *) {
    for (;;) pause();
}
}

int main() {
    long sum = 0;
    for (int i = 0; i < 30; i++) {
        try {
            sum += between(i);
        } catch (std::exception &) {
        }
    }
    for (int i = 0; i < 20; i++)
        if (!setjmp(place)) sum += jumper(i);
    recurse(5000);
    for (int i = 0; i < 10; i++) sum += even(i) + first(i);
    for (int i = 0; i < 5; i++) walker();
    signal(SIGUSR1, leave_handler);
    for (int i = 0; i < 4; i++)
        if (!sigsetjmp(signal_place, 1)) raise(SIGUSR1);
    pthread_t thread;
    pthread_create(&thread, nullptr, cancelled, nullptr);
    pthread_cancel(thread);
    pthread_join(thread, nullptr);
    signal(SIGTRAP, on_trap);
    raise(SIGTRAP);
    kill(getpid(), SIGTRAP);
    asm volatile("int3");
    std::printf("thrown=%ld returned=%ld jumped=%ld passed=%ld deep=%ld evens=%ld odds=%ld walked=%ld chained=%ld traps=%d sum=%ld\n",
                thrown, returned, jumped, passed, deep, evens, odds, walked, chained, traps, sum);
    return 7;
}
