// A C++ program that says what its variables are: lines of "tag: text". See variables.c.
#include <cstdio>
#include <cstdarg>

#define APART __attribute__((noinline, noipa))

namespace shop {

enum class State : unsigned char { open = 1, shut = 200 };

namespace inner {
int count = 12;
struct Deep { int level; };
}

struct Base {
    virtual ~Base() = default;
    virtual int price() const { return base_price; }
    int base_price = 3;
    static int made;
};
int Base::made = 40;

struct Named { const char *name = "unnamed"; };

struct Special : virtual Base { int special = 31; };

class Item : public Base, public Named {
public:
    Item(int weight, const char *called) : weight_(weight) { name = called; }
    int price() const override;
    int scaled(int by) const;
    int scaled(double by) const;
    static int plain(int number);
    State state = State::shut;

private:
    int weight_;
    inner::Deep deep_ = {5};
};

template <typename T, int N> struct Box {
    T items[N];
    T last(int shift);
};

template <typename T, int N> APART T Box<T, N>::last(int shift)
{
    T found = items[N - 1 - shift];
    __asm__ volatile("" : "+r"(found) : : "memory");
    std::printf("box: %ld %d\n", (long)found, shift);
    return found;
}

APART int Item::price() const
{
    std::printf("this: %d %d %s %d %d\n", weight_, base_price, name, (int)state, deep_.level);
    return weight_ + base_price;
}

APART int Item::scaled(int by) const
{
    std::printf("int: %d %d\n", weight_, by);
    return weight_ * by;
}

APART int Item::scaled(double by) const
{
    std::printf("double: %d\n", weight_);
    return (int)(weight_ * by);
}

APART int Item::plain(int number) { return number; }

} // namespace shop

namespace {
int nameless = 77;
}

APART int refer(shop::Item &item, const int &number, int &&moved, shop::Item *const &pointer)
{
    std::printf("refer: %d %d %d %d\n", item.base_price, number, moved, pointer->base_price);
    std::printf("address: %p\n", (const void *)&number);
    return number + moved;
}

APART int special(shop::Special *it)
{
    std::printf("virtual: %d %d\n", it->special, it->base_price);
    return it->special;
}

APART int overloaded(int a) { std::printf("overloaded: int %d\n", a); return a; }
APART int overloaded(const char *a) { std::printf("overloaded: text %s\n", a); return a[0]; }

int main()
{
    shop::Item item(9, "item"), other(4, "other");
    int number = 123;
    nameless += number;
    shop::inner::count++;
    shop::Base::made++;
    item.price();
    item.scaled(3);
    item.scaled(2.5);
    shop::Item::plain(6);
    refer(item, number, 55, &other);
    shop::Special special_one;
    special(&special_one);
    shop::Box<long, 4> box = {{10, 20, 30, -40}};
    shop::Box<short, 2> small = {{1, -2}};
    box.last(1);
    small.last(0);
    overloaded(5);
    overloaded("text");
    std::printf("globals: %d %d %d\n", shop::inner::count, shop::Base::made, nameless);
    return 0;
}
