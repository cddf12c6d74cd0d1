// Places in C++: methods, templates, namespaces, lambdas, constructors that are inlined. Counts like places.c.
#include <cstdio>

static volatile long add_calls, twice_calls, made, secret_calls, area_calls;

namespace shop {
struct Cart {
    long total;
    explicit Cart(long n) : total(n) { made++; } // @made
    inline __attribute__((always_inline)) void add(long price)
    {
        add_calls++; // @add
        total += price;
    }
    virtual __attribute__((noinline)) long area() const
    {
        area_calls++;
        return total;
    }
    virtual ~Cart() = default;
};
template <typename T> static inline __attribute__((always_inline)) T twice(T x)
{
    twice_calls++; // @twice
    return x + x;
}
namespace {
__attribute__((noinline)) long secret(long n)
{
    secret_calls++;
    return n ^ 5;
}
}
}

extern "C" __attribute__((noinline)) long plain(long n) { return shop::secret(n) + shop::twice(n); }

int main(int argc, char **) // as many rounds as no compiler knows
{
    long sum = 0;
    for (int i = 0; i < argc + 3; i++) {
        shop::Cart cart(i);
        cart.add(argc);
        sum += cart.area() + shop::twice(2.5 * i) + plain(i);
    }
    std::printf("add=%ld twice=%ld Cart=%ld secret=%ld area=%ld\n", add_calls, twice_calls, made, secret_calls, area_calls);
    return sum == 0;
}
