/* Exceptions that pass through functions, and are caught in them or further out.
 *
 *@ probe process("{program}").function("callee")
 *@ 1                                                    = all
 *@ caller is function("alpha")                          = alpha
 *@ caller is function("thrower")                        = thrower
 *@ caller is function("catches")                        = in_catches_handler
 *@ within function("passed")                            = in_passed
 *@ !(within function("passed"))                         = all - in_passed
 *@ within function("catches")                           = in_catches
 *@ within function("catches") && !(within function("passed")) = catches_not_passed
 *@ within function("calm")                              = in_calm
 *@ within function("destroyed")                         = in_destroyed
 *@ caller is function("destroyed")                      = in_destroyed
 *@ [-g] caller is function("add")                       = cart_add
 *@ [-g] caller is function("shop::Cart::add")           = cart_add
 *@ [-g] within function("shop::Cart::*")                = in_cart
 */
#define MAIN
#include "truth.h"
#include <stdexcept>

DEPTH(passed);
DEPTH(catches);
DEPTH(calm);
DEPTH(destroyed);
DEPTH(cart);

extern "C" NOIPA long callee(long n)
{
    HIT(all);
    COUNT_INSIDE(passed);
    COUNT_INSIDE(catches);
    COUNT_INSIDE(calm);
    COUNT_INSIDE(destroyed);
    COUNT_INSIDE(cart);
    if (depth_catches && !depth_passed)
        COUNT(catches_not_passed);
    return n + 1;
}

/* leaves as the program's own account does, however the function is left */
struct Depth {
    volatile int &depth;
    __attribute__((always_inline)) explicit Depth(volatile int &which) : depth(which) { depth++; }
    __attribute__((always_inline)) ~Depth() { depth--; }
};

namespace shop {
class Cart {
  public:
    void add(long n);
    void pay(long n);
};

NOIPA void Cart::add(long n)
{
    Depth inside(depth_cart);
    COUNT(cart_add);
    callee(n);
    BARRIER();
}

NOIPA void Cart::pay(long n)
{
    Depth inside(depth_cart);
    add(n);
    if (n % 5 == 2)
        throw std::runtime_error("no money");
    BARRIER();
}
} // namespace shop

extern "C" NOIPA void destroyed(long n)
{
    depth_destroyed++;
    callee(n);
    depth_destroyed--;
}

struct Guard {
    long n;
    ~Guard() { destroyed(n); }
};

extern "C" NOIPA void thrower(long n)
{
    COUNT(thrower);
    callee(n);
    if (n % 3)
        throw std::runtime_error("thrown");
    BARRIER();
}

extern "C" NOIPA void passed(long n)
{
    Depth inside(depth_passed);
    Guard guard{n};
    if (n > 0 && n % 2)
        passed(n - 1);
    thrower(n);
    BARRIER();
}

extern "C" NOIPA void catches(long n)
{
    Depth inside(depth_catches);
    try {
        passed(n);
    } catch (const std::exception &) {
        COUNT(in_catches_handler);
        callee(n);
    }
    BARRIER();
}

extern "C" NOIPA void alpha(long n)
{
    COUNT(alpha);
    callee(n);
    BARRIER();
}

extern "C" NOIPA void calm(long n)
{
    Depth inside(depth_calm);
    alpha(n);
    catches(n);
    BARRIER();
}

extern "C" NOIPA void shops(long n)
{
    shop::Cart cart;
    try {
        cart.pay(n);
    } catch (...) {
    }
    alpha(n);
}

static NOIPA void one_round(long i)
{
    alpha(i);
    catches(i);
    alpha(i);
    calm(i);
    try {
        passed(i);
    } catch (const std::runtime_error &) {
    }
    alpha(i);
    shops(i);
}
