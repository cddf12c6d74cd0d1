// Throws, catches and throws again, and counts.
#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <thread>

namespace shop {
struct Refusal {
  int number;
};
}  // namespace shop

static std::atomic<long> thrown, caught, again;

__attribute__((noinline)) static void fail(int i) {
  thrown++;
  if (i % 3 == 0) throw std::runtime_error("out of stock");
  if (i % 3 == 1) throw shop::Refusal{i};
  throw i;
}

__attribute__((noinline)) static void pass_on(int i) {
  try {
    fail(i);
  } catch (shop::Refusal &) {
    caught++;
    again++;
    throw;
  }
}

static void work() {
  for (int i = 0; i < 30; i++) {
    try {
      pass_on(i);
    } catch (std::exception &) {
      caught++;
    } catch (...) {
      caught++;
    }
  }
}

int main() {
  work();
  std::thread other(work);
  other.join();
  std::printf("thrown=%ld\ncaught=%ld\nagain=%ld\n", thrown.load(), caught.load(), again.load());
}
