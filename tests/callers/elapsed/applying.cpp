#include <cstdio>
#include <stdexcept>

extern "C" {
extern long applied;
long apply(long (*f)(long), long n);
long add(long n);
}

static long maybe(long n) {
  if (n % 4 == 0) throw std::runtime_error("four");
  return add(n);
}

int main() {
  long caught = 0;
  for (long n = 0; n < 100; n++) {
    try {
      apply(maybe, n);
    } catch (const std::exception &) {
      caught++;
    }
  }
  printf("applied: %ld\ncaught: %ld\n", applied, caught);
  return 0;
}
