/* A library with variables of its own, opened while the program runs. It says what they are. */
#include <stdio.h>

struct local_type { int before; long inside; };

int in_lib = 60;
static struct local_type state = {1, -70};
__thread int lib_thread = 80;
static __thread struct local_type lib_own = {2, 90};

__attribute__((noinline, noipa)) void in_library(int n)
{
    in_lib += n;
    state.inside -= n;
    lib_thread += n;
    lib_own.inside += n;
    __asm__ volatile("" ::: "memory");
    printf("library: %d %ld %d %ld %d\n", in_lib, state.inside, lib_thread, lib_own.inside, n);
}
