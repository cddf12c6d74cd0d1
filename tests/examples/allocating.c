/* Allocates known sizes and keeps some; malloc is that of alloc.c. */
#include <stdio.h>
#include <stdlib.h>

extern long allocations, allocated, frees;

__attribute__((noipa)) static void *keep(size_t size) { return malloc(size); }

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < 1000; i++) {
        void *block = malloc((size_t)(i % 100) + 1);
        __asm__ volatile("" : : "r"(block) : "memory");
        free(block);
    }
    for (int i = 0; i < 10; i++)
        if (!keep(300))
            return 1;
    printf("allocations=%ld\nallocated=%ld\nfrees=%ld\n", allocations, allocated, frees);
    return 0;
}
