/* A library with its own malloc, which counts: what the allocation scripts say is compared with what it says. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static char memory[1 << 24];
static size_t used;
long allocations, allocated, frees;

__attribute__((noipa)) void *malloc(size_t size)
{
    char *block = memory + used;
    used += (size + 31) & ~(size_t)15;
    allocations++;
    allocated += (long)size;
    return block;
}

__attribute__((noipa)) void free(void *block) { frees += block != NULL; }

__attribute__((noipa)) void *realloc(void *block, size_t size)
{
    return block ? memmove(malloc(size), block, size) : malloc(size);
}
