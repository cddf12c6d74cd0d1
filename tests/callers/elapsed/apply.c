/* A library in C that calls what it is given, as qsort does. */
long applied;

__attribute__((noinline)) long apply(long (*f)(long), long n) {
  long result = f(n);
  applied++; /* not behind a jump, and not of a call that is left */
  return result + 1;
}

__attribute__((noinline)) long add(long n) {
  __asm__ volatile("" : "+r"(n));
  return n + 1;
}
