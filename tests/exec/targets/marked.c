/* A program whose mark costs nothing unless somebody probes it, as its semaphore says.

   marked                    prints its number and where its semaphore is; obeys lines on standard input, and sells all the time:
     fork                    one more process that sells; its number is printed
     load PATH               a library with a mark of its own; where its semaphore is, is printed
     unload                  and goes
     end                     how often it sold
   marked family PATH        sells in children by fork, in a thread, in a program by vfork, in a library that is loaded late
   marked sell N             sells N times */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mark.h"

SEMAPHORE(shop, sold);
static long hits;

__attribute__((noinline)) static void sell(int i) {
  if (ENABLED(shop, sold)) {
    MARK2_WITH(shop, sold, i, "text");
    __atomic_add_fetch(&hits, 1, __ATOMIC_RELAXED);
  }
}

static void *sell_some(void *count) {
  for (long i = 0; i < (long)count; i++) sell(i);
  return NULL;
}

static void say_hits(void) {
  char line[40];
  int length = sprintf(line, "hits=%ld\n", hits);
  if (write(1, line, length) != length) abort();
}

static int child(long count) {
  hits = 0;
  sell_some((void *)count);
  say_hits();
  _exit(hits != count);
}

static int family(char *self, char *library) {
  int status = 0, failures = 0;
  pthread_t thread;
  sell_some((void *)100);
  pthread_create(&thread, NULL, sell_some, (void *)100);
  for (int i = 0; i < 3; i++)
    if (fork() == 0) child(50);
  pthread_join(thread, NULL);
  if (vfork() == 0) {
    execl(self, self, "sell", "70", NULL);
    _exit(1);
  }
  void *handle = dlopen(library, RTLD_NOW);
  long (*lend)(long) = (long (*)(long))dlsym(handle, "lend");
  long lent = lend(30);
  dlclose(handle);
  handle = dlopen(library, RTLD_NOW);
  lent += ((long (*)(long))dlsym(handle, "lend"))(30);
  while (wait(&status) > 0) failures += status != 0;
  if (failures || lent != 60 || hits != 200) printf("failures=%d lent=%ld\n", failures, lent);
  hits += lent;
  say_hits();
  return failures;
}

static void obey(char *line) {
  static void *handle;
  if (!strcmp(line, "fork\n")) {
    pid_t pid = fork();
    if (pid == 0)
      for (;;) {
        sell(0);
        usleep(1000);
      }
    printf("%d\n", pid);
  } else if (!strncmp(line, "load ", 5)) {
    line[strlen(line) - 1] = 0;
    handle = dlopen(line + 5, RTLD_NOW);
    printf("%p\n", handle ? ((void *(*)(void))dlsym(handle, "counter"))() : NULL);
  } else if (!strcmp(line, "unload\n")) {
    dlclose(handle);
    printf("gone\n");
  } else {
    printf("hits=%ld\n", hits);
    fflush(stdout);
    exit(0);
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "family")) return family(argv[0], argv[2]);
  if (argc > 2) return child(atoi(argv[2]));
  printf("%d %p\n", getpid(), (void *)&SEMAPHORE_OF(shop, sold));
  fflush(stdout);
  struct pollfd input = {0, POLLIN, 0};
  char line[4096];
  for (int i = 0;; i++) {
    sell(i);
    if (poll(&input, 1, 1) > 0) {
      if (!fgets(line, sizeof line, stdin)) return 1;
      obey(line);
    }
  }
}
