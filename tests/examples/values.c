// A loop with locals, and what passed through it, counted by the program itself.
#include <stdio.h>

struct pair { int left, right; };

__attribute__((noinline)) int join(struct pair *pair, int n) { return pair->left * n + pair->right; }

__attribute__((noinline)) long collect(int turns)
{
    long sum = 0;
    for (int i = 0; i < turns; i++) {
        struct pair pair = { i, i * i };
        long joined = join(&pair, 3);
        sum += joined; // here it lives
    }
    return sum;
}

int main(void)
{
    printf("sum=%ld\n", collect(10));
    printf("turns=%d\n", 10);
    return 0;
}
