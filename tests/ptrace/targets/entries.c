// Calls every function of entries.S and says how often, and how often the result was right.
#include <stdio.h>

extern unsigned long counts[16];
long starts_push(long, long), starts_endbr(long, long), starts_load(long, long), starts_lock(long, long), starts_jump(long, long),
    starts_branch(long, long), starts_call(long, long), starts_call_memory(long, long), starts_vector(long, long),
    starts_notrack(long, long), starts_system_call(long, long);

int main(void) {
    long (*all[])(long, long) = {starts_push, starts_endbr, starts_load, starts_lock, starts_jump, starts_branch,
                                 starts_call, starts_call_memory, starts_vector, starts_notrack, starts_system_call};
    int right = 0;
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 11; i++) right += all[i](1000 * i, round) == 1000 * i + round;
    for (int i = 0; i < 11; i++) printf("function%d=%lu\n", i, counts[i]);
    printf("right=%d\n", right);
    return 0;
}
