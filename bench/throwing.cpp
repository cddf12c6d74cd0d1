// Virtual calls, callbacks through the C library, recursion, exceptions through all of it: stacks of many shapes, by chance but always the same.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

static unsigned state = 1;
static unsigned chance(unsigned below) { return (state = state * 1664525u + 1013904223u) / 65536u % below; }

__attribute__((noinline, noipa)) long probed(long n) { return n + 1; }

struct Guard {
    long n;
    ~Guard() { n += probed(n); } // also while an exception passes
};

struct Shape {
    virtual ~Shape() = default;
    virtual long visit(int depth) = 0;
};
static std::unique_ptr<Shape> make();

struct Leaf : Shape {
    long visit(int depth) override { return probed(depth); }
};
struct Thrower : Shape {
    long visit(int depth) override
    {
        Guard guard{depth};
        if (chance(3) == 0)
            throw std::runtime_error(std::string(chance(40), 'x'));
        return probed(guard.n);
    }
};
struct Node : Shape {
    long visit(int depth) override
    {
        volatile char room[16 + 8 * 16] = {};
        room[chance(16)] = 1;
        if (depth > 40)
            return probed(depth);
        long sum = room[0];
        for (unsigned i = 0; i < 1 + chance(2); i++) {
            Guard guard{sum};
            sum += make()->visit(depth + 1);
        }
        return sum;
    }
};
struct Catcher : Shape {
    long visit(int depth) override
    {
        try {
            return make()->visit(depth + 1);
        } catch (const std::logic_error &) {
            return probed(1);
        } catch (const std::exception &e) {
            if (depth > 3 && chance(4) == 0)
                throw;
            return probed(static_cast<long>(std::string(e.what()).size()));
        }
    }
};
struct Sorter : Shape {
    long visit(int depth) override
    {
        long values[6];
        for (long &value : values)
            value = chance(1000);
        qsort(values, 6, sizeof *values, [](const void *a, const void *b) {
            return static_cast<int>(probed(*static_cast<const long *>(a)) - *static_cast<const long *>(b));
        });
        std::function<long(long)> f = [&](long n) { return n ? f(n - 1) + probed(n) : depth; };
        std::map<std::string, long> known;
        known[std::to_string(depth)] = f(static_cast<long>(chance(6)));
        return known.begin()->second;
    }
};

static std::unique_ptr<Shape> make()
{
    switch (chance(6)) {
    case 0: return std::make_unique<Leaf>();
    case 1: return std::make_unique<Thrower>();
    case 2: return std::make_unique<Sorter>();
    case 3: return std::make_unique<Catcher>();
    default: return std::make_unique<Node>();
    }
}

int main(int argc, char **argv)
{
    long sum = 0;
    for (long i = argc > 1 ? std::atol(argv[1]) : 1000; i > 0; i--) {
        try {
            sum += make()->visit(0);
        } catch (const std::exception &) {
            sum += probed(i);
        }
    }
    return sum == 0;
}
