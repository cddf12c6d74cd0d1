/* Calls that are under way on several stacks in turn: `call ID INNER OUTER` as in timed.c. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <ucontext.h>

#define APART __attribute__((noinline, noclone))
enum { MANY = 5, STACK = 65536 };

static ucontext_t scheduler, contexts[MANY];
static char stacks[MANY][STACK];
static int running;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void give_way(void) { swapcontext(&contexts[running], &scheduler); }

APART int step(long id, int depth, int64_t *inner) {
  int64_t start = now(), inside;
  give_way();
  if (depth) step(id + 1, depth - 1, &inside);
  give_way();
  for (int64_t end = now() + 10000; now() < end;)
    ;
  *inner = now() - start;
  return id;
}

static void run(void) {
  for (int i = 0; i < 4; i++) {
    long id = 100 * running + 10 * i;
    int64_t inner, start = now();
    step(id, running % 3, &inner);
    printf("call %ld %ld %ld\n", id, (long)inner, (long)(now() - start));
  }
  for (;;) give_way();
}

int main(void) {
  for (int i = 0; i < MANY; i++) {
    getcontext(&contexts[i]);
    contexts[i].uc_stack.ss_sp = stacks[i];
    contexts[i].uc_stack.ss_size = STACK;
    makecontext(&contexts[i], run, 0);
  }
  for (int turn = 0; turn < 100; turn++) {
    running = turn % 7 % MANY;
    swapcontext(&scheduler, &contexts[running]);
  }
  for (int turn = 0; turn < 50 * MANY; turn++) {
    running = turn % MANY;
    swapcontext(&scheduler, &contexts[running]);
  }
  puts("done");
  return 0;
}
