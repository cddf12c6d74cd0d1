/* Exceptions through frames with things to clean up, and through the C library. */
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

volatile int sink;

struct Held {
    std::string text = "held";
    ~Held() { sink += text.size(); }
};

static __attribute__((noinline)) int throws(int n) {
    Held held;
    if (n % 3 == 0)
        throw std::runtime_error("thrown " + std::to_string(n));
    return n + held.text.size();
}

static int compare(const void *a, const void *b) { return throws(*(const int *)a) - *(const int *)b; }

static __attribute__((noinline)) int sorts(int n) {
    std::vector<int> values{7, n, 5, 4, 8};
    qsort(values.data(), values.size(), sizeof(int), compare);
    return values[1];
}

static __attribute__((noinline)) int deep(int depth, int n) {
    Held held;
    return depth ? deep(depth - 1, n) + 1 : sorts(n);
}

int main() {
    for (int i = 0; i < 1000000; i++)
        try {
            sink += deep(i % 12, i);
        } catch (const std::exception &error) {
            sink += error.what()[0];
        }
    return 0;
}
