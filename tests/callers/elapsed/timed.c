/* Functions that take the time of their own calls. `now` is what probes read, too: CLOCK_MONOTONIC.

   A line `call ID INNER OUTER` says: call ID took at least INNER ns, between its first and last statement, and at most OUTER ns, from
   before the call until behind it. Of a call that never returned there is no such line. `hooked N`: calls of `hooks` that found another
   return address on their stack than their caller put there. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

struct timing { int64_t inner, outer; };
struct result { int status; long n; };

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void spin(int64_t ns) {
  for (int64_t end = now() + ns; now() < end;)
    ;
}

static void tell(long id, struct timing t) {
  char line[100];
  int size = snprintf(line, sizeof line, "call %ld %ld %ld\n", id, (long)t.inner, (long)t.outer);
  if (write(1, line, size) != size) exit(1); /* at once, also from children and signal handlers */
}

APART int work(long id, int64_t ns, struct timing *t) {
  int64_t start = now();
  spin(ns);
  t->inner = now() - start;
  return id % 7;
}

static void timed(long id, int64_t ns) {
  struct timing t;
  int64_t start = now();
  work(id, ns, &t);
  t.outer = now() - start;
  tell(id, t);
}

/* ------------------------------------------------------------------------------------------------ recursion */

APART int64_t nested(long id, long depth, struct timing *t) {
  int64_t start = now();
  struct timing inside;
  if (depth > 1) {
    int64_t before = now();
    nested(id + 1, depth - 1, &inside);
    inside.outer = now() - before;
    tell(id + 1, inside);
  }
  spin(20000);
  t->inner = now() - start;
  return t->inner;
}

static void recursion(long id, long depth) {
  struct timing t;
  int64_t start = now();
  nested(id, depth, &t);
  t.outer = now() - start;
  tell(id, t);
}

/* ---------------------------------------------------------------------------------------- calls that are left */

static jmp_buf out;

APART int left(long id, int jumps, struct timing *t) {
  int64_t start = now();
  spin(30000);
  if (jumps) longjmp(out, 1);
  t->inner = now() - start;
  return id;
}

static void longjmps(void) {
  for (volatile long id = 200; id < 212; id++) {
    struct timing t;
    int64_t start = now();
    if (setjmp(out)) continue;
    left(id, id % 3 == 1, &t);
    t.outer = now() - start;
    tell(id, t);
  }
}

/* ------------------------------------------------------------------------------------------------ tail calls */

APART int last(long id, struct timing *t) {
  int64_t start = now();
  spin(30000);
  t->inner = now() - start;
  return id + 1;
}

APART int first(long id, struct timing *t) {
  spin(30000);
  return last(id, t); /* a jump, at -O2 */
}

static void jumps(void) {
  for (long id = 300; id < 310; id++) {
    struct timing t;
    int64_t start = now();
    if (id % 2) first(id, &t); else last(id, &t);
    t.outer = now() - start;
    tell(id, t);
  }
}

/* ----------------------------------------------------------------------------------------- threads, processes */

static void *thread(void *argument) {
  long first = (long)argument;
  for (long id = first; id < first + 50; id++) timed(id, 10000);
  return NULL;
}

static void threads(void) {
  pthread_t made[4];
  for (long i = 0; i < 4; i++) pthread_create(&made[i], NULL, thread, (void *)(1000 + 100 * i));
  for (int i = 0; i < 4; i++) pthread_join(made[i], NULL);
}

APART int forks(long id, struct timing *t) {
  int64_t start = now();
  int child = fork();
  if (child) waitpid(child, NULL, 0); else spin(50000);
  t->inner = now() - start;
  return child;
}

static void processes(void) {
  struct timing t;
  int64_t start = now();
  int child = forks(400, &t);
  t.outer = now() - start;
  if (child) {
    tell(400, t);
  } else {
    printf("child %ld %ld\n", (long)t.inner, (long)t.outer);
    timed(401, 30000);
    exit(0);
  }
}

static void handler(int number) { timed(number == SIGUSR1 ? 500 : 501, 20000); }

APART int interrupted(long id, struct timing *t) {
  int64_t start = now();
  raise(SIGUSR1);
  raise(SIGUSR2);
  spin(20000);
  t->inner = now() - start;
  return id;
}

static void signals(void) {
  char *stack = malloc(1 << 16);
  stack_t other = {.ss_sp = stack, .ss_size = 1 << 16};
  sigaltstack(&other, NULL);
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGUSR1, &action, NULL);
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR2, &action, NULL);
  struct timing t;
  int64_t start = now();
  interrupted(502, &t);
  t.outer = now() - start;
  tell(502, t);
}

/* ------------------------------------------------------------------------------------------------- conditions */

int is_on;

APART int switches(int on) { is_on = on; return on; }

APART int fills(long n, struct result *r) {
  switches(n % 2);
  r->status = n % 3 ? 0 : -1;
  r->n = n;
  switches(0);
  return r->status;
}

static char *const text_start = (char *)&fills;

APART int hooks(long n) {
  /* nothing of this file lies that far away */
  long distance = (char *)__builtin_return_address(0) - text_start;
  return labs(distance) > 1 << 24;
}

static void conditions(void) {
  struct result r;
  long hooked = 0;
  for (long n = 0; n < 30; n++) {
    r.n = 100;
    __asm__ volatile("" : : "r"(&r) : "memory");
    fills(n, &r);
    hooked += hooks(n);
  }
  printf("hooked %ld\n", hooked);
}

/* ------------------------------------------------------------------------------------------------- in progress */

APART int waits(long id, struct timing *t) {
  char go;
  int64_t start = now();
  while (read(0, &go, 1) == 1 && go != '\n')
    ;
  t->inner = now() - start;
  return id;
}

static void in_progress(void) {
  struct timing t;
  printf("ready\n");
  fflush(stdout);
  waits(600, &t);
  int64_t start = now();
  waits(601, &t);
  t.outer = now() - start;
  tell(601, t);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  const char *what = argv[1];
  if (!strcmp(what, "calls")) {
    for (long id = 1; id <= 40; id++) timed(id, id * 3000);
    recursion(100, 40);
    recursion(2000, 100);
    longjmps();
    jumps();
    threads();
    signals();
  }
  if (!strcmp(what, "processes")) processes();
  if (!strcmp(what, "conditions")) conditions();
  if (!strcmp(what, "in_progress")) in_progress();
  return 0;
}
