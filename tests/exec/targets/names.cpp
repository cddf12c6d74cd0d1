// C++ names: namespaces, classes, overloads, templates.
#include <cstdio>
#include <string>

namespace shop {
class Cart {
public:
    __attribute__((noinline)) int add(int price) { asm volatile(""); return total += price; }
    __attribute__((noinline)) int add(const char *name) { asm volatile(""); return total += name[0]; }
    int total = 0;
};
template <typename T> __attribute__((noinline)) T twice(T value) { asm volatile(""); return value + value; }
}

int main()
{
    shop::Cart cart;
    for (int i = 0; i < 10; i++)
        cart.add(i);
    for (int i = 0; i < 3; i++)
        cart.add("x");
    std::printf("%d %d\n", cart.total, shop::twice(21));
    return 0;
}
