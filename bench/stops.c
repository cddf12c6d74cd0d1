/* What tracing costs at the least, and a program that makes system calls.
 *
 *   stops tracer STOPS RESULT-FILE     a tracer in C: a breakpoint, the registers, on again; nanoseconds for one
 *   stops calls CALLS RESULT-FILE      calls getppid(); nanoseconds for one
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static void trace(long stops)
{
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        for (long i = 0; i < stops; i++)
            __asm__ volatile("int3");
        _exit(0);
    }
    int status;
    struct user_regs_struct registers;
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        ptrace(PTRACE_GETREGS, child, NULL, &registers);
        ptrace(PTRACE_CONT, child, NULL, NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    long count = atol(argv[2]);
    double start = now_ns();
    if (strcmp(argv[1], "tracer") == 0)
        trace(count);
    else
        for (long i = 0; i < count; i++)
            syscall(SYS_getppid);
    double each_ns = (now_ns() - start) / (double)count;
    FILE *result = fopen(argv[3], "w");
    if (result == NULL)
        return 1;
    fprintf(result, "%.1f\n", each_ns);
    return fclose(result) == 0 ? 0 : 1;
}
