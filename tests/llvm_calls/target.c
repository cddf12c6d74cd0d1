/* Calls `work` with arguments of every kind; writes to the file argv[2] what an observer should see of it. Waits at last for
   the file argv[3] to be there. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct numbers { signed char c; unsigned char uc; short s; unsigned short us; int i; unsigned u; long l; unsigned long ul; };

__attribute__((noinline, noclone)) long work(const char *text, int negative, unsigned all, long third, long fourth,
                                             struct numbers *numbers, int seventh, long eighth)
{
    asm volatile("" ::: "memory");
    return strlen(text) + negative + all + third + fourth + numbers->i + seventh + eighth;
}

__attribute__((noinline, noclone)) long at(const char *where, long number)
{
    asm volatile("" : : "r"(where), "r"(number) : "memory");
    return number;
}

/* A string over two pages of a file that nobody has touched; the end of the file's mapping follows the second string. */
static void pages(const char *name)
{
    char *content = malloc(8192);
    memset(content, 'a', 8192);
    memcpy(content + 4090, "across the page", 16);
    memcpy(content + 8192 - 6, "tight", 6);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (write(fd, content, 8192) != 8192)
        exit(1);
    char *fresh = mmap(0, 12288, PROT_READ, MAP_PRIVATE, fd, 0);
    munmap(fresh + 8192, 4096);
    at(fresh + 4090, 1);
    at(fresh + 8192 - 6, 2);
    memset(content + 8192 - 6, 'b', 6);
    if (pwrite(fd, content, 8192, 0) != 8192)
        exit(1);
    at(fresh + 8192 - 4, 3); /* no NUL before the end of memory */
    at(0, 4);
    at(fresh, 5);
}

int main(int argc, char **argv)
{
    struct numbers numbers = {-1, 200, -2, 60000, -3, 4000000000u, -4, -5ul};
    work("hello world", -7, 4000000000u, 33, -44, &numbers, -77, 88);
    madvise(0, 4096, 12345);
    pages(argv[1]);
    FILE *own = fopen(argv[2], "w");
    fprintf(own, "%d %d %d %d\n", getpid(), getppid(), getuid(), getgid());
    for (int ms = 0; ms < 20000 && argc > 3 && access(argv[3], F_OK) != 0; ms++)
        usleep(1000);
    return 0;
}
