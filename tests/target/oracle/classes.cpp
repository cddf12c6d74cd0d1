// What C++ compilers describe: classes, references, templates, lambdas, exceptions.
#include <stdexcept>
#include <string>
#include <vector>

#define NOINLINE __attribute__((noinline))

volatile long sink;
NOINLINE void use(long value) { sink = sink + value; }
NOINLINE void take(const void *p) { asm volatile("" : : "r"(p) : "memory"); }

namespace shapes {
enum class Kind : unsigned char { None, Round = 7, Flat = 200 };
int made = 4;
thread_local long depth = 2;

class Shape {
public:
  Shape(int id, Kind kind) : id_(id), kind_(kind) { made++; use(id); }
  virtual ~Shape() { use(id_ + 1); }
  virtual long area(long scale) const { long result = id_ * scale; use(result); return result; }
  NOINLINE int id() const { return id_; }
  static int total;

protected:
  int id_;
  Kind kind_;
};
int Shape::total = 12;

struct Named { const char *name; bool loud : 1; int volume : 7; };

class Circle : public Shape, public Named {
public:
  Circle(int id, double radius) : Shape(id, Kind::Round), Named{"circle", true, -9}, radius_(radius) { total += id; }
  NOINLINE long area(long scale) const override
  {
    double exact = radius_ * radius_ * 3;
    long rounded = static_cast<long>(exact) * scale;
    use(rounded);
    return rounded + volume;
  }

private:
  double radius_;
};

struct Root { long root = 5; };
struct Left : virtual Root { int left = 6; };
struct Right : virtual Root { int right = 7; };
struct Bottom : Left, Right { short bottom = 8; };
}  // namespace shapes

using shapes::Circle;
using shapes::Shape;

template <typename T, int N> struct Stack {
  T items[N];
  unsigned used = 0;
  NOINLINE bool push(const T &item)
  {
    if (used == N) return false;
    items[used] = item;
    unsigned now = ++used;
    use(now);
    return true;
  }
  T &top() { return items[used - 1]; }
};

template <typename T> NOINLINE T larger(const T &a, const T &b)
{
  const T &chosen = a < b ? b : a;
  T copy = chosen;
  use(static_cast<long>(copy));
  return copy;
}

template <typename... Parts> NOINLINE long summed(Parts... parts)
{
  long total = (static_cast<long>(parts) + ... + 0);
  use(total);
  return total;
}

NOINLINE long references(int &changed, const long &kept, int &&moved, shapes::Kind kind)
{
  int &alias = changed;
  alias += moved;
  use(alias);
  bool round = kind == shapes::Kind::Round;
  long sum = kept + changed + round;
  use(sum);
  return sum;
}

NOINLINE long polymorphic(const Shape *shape, const Circle &circle)
{
  long first = shape->area(3);
  long second = circle.Circle::area(first & 7);
  use(first + second);
  return first - second + circle.volume;
}

NOINLINE long virtual_bases(shapes::Bottom &all)
{
  shapes::Root &root = all;
  shapes::Bottom copy = all;
  root.root += copy.left;
  use(root.root);
  return all.root + copy.right;
}

NOINLINE long lambdas(int base, long step)
{
  long gathered = 0;
  auto add = [base, &gathered](long value) { long here = value * base; gathered += here; use(here); return here; };
  long first = add(step);
  long second = add(first + 1);
  auto twice = [](int x) { int y = x + x; use(y); return y; };
  return gathered + second + twice(base);
}

NOINLINE void thrower(int code)
{
  int local = code * 2;
  use(local);
  if (code > 2) throw code;
  if (code > 1) throw std::runtime_error("two");
  use(code);
}

NOINLINE long exceptions(int code)
{
  long result = 1;
  try {
    thrower(code);
    result = 2;
    use(result);
  } catch (int caught) {
    int seen = caught + 1;
    use(seen);
    result = seen;
  } catch (const std::exception &problem) {
    const char *text = problem.what();
    use(text[0]);
    result = text[1];
  }
  return result + code;
}

NOINLINE long containers(int n)
{
  std::vector<int> numbers;
  for (int i = 0; i < n; i++) numbers.push_back(i * i);
  long sum = 0;
  for (int &each : numbers) { sum += each; use(each); }
  std::string text = "some text that is long enough for the heap";
  text += static_cast<char>('a' + n);
  use(static_cast<long>(text.size()));
  return sum + text.back();
}

struct Handle {
  explicit Handle(int value) : value(value) { use(value); }
  ~Handle() { use(-value); }
  Handle(const Handle &other) : value(other.value + 1) { use(value); }
  int value;
};

NOINLINE long by_value(Handle handle, int extra)
{
  Handle copy = handle;
  int sum = copy.value + extra;
  use(sum);
  return sum;
}

NOINLINE Handle made_of(int value)
{
  Handle result(value * 3);
  take(&result);
  return result;
}

NOINLINE long member_pointers(Circle *circle, int (Shape::*method)() const, const char *shapes::Named::*field)
{
  int id = (circle->*method)();
  const char *name = circle->*field;
  use(id + name[0]);
  return id;
}

int main(int argc, char **)
{
  Circle circle(argc + 4, 2.5);
  Shape plain(argc, shapes::Kind::Flat);
  shapes::Bottom bottom;
  Stack<int, 4> ints;
  Stack<double, 2> doubles;
  int number = argc + 30;
  long total = references(number, 77L, argc + 5, shapes::Kind::Round);
  total += polymorphic(&plain, circle) + polymorphic(&circle, circle);
  total += virtual_bases(bottom);
  total += lambdas(argc + 6, 3);
  total += exceptions(1) + exceptions(argc + 1) + exceptions(argc + 4);
  total += containers(argc + 3);
  total += by_value(made_of(argc), 4);
  ints.push(argc);
  ints.push(number);
  doubles.push(0.25);
  total += ints.top() + static_cast<long>(doubles.top());
  total += larger<long>(argc, 6) + larger<unsigned char>(200, static_cast<unsigned char>(argc)) + static_cast<long>(larger(1.5, 0.5));
  total += summed(argc, 2L, 'c', 2.5, true);
  total += member_pointers(&circle, &Shape::id, &shapes::Named::name);
  shapes::depth += argc;
  use(total + shapes::depth + plain.id());
  return 0;
}
