/* faults THREADS CALLS FILE: calls hit(page, text) with texts in pages of FILE that another thread drops from memory all the
 * time. The text of page 7 is "7:" and letters. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 64
static unsigned long hits;
static long number_of_calls;
static char *pages;
static int file;
static volatile int has_ended;

__attribute__((noinline, noipa, patchable_function_entry(1))) long hit(long page, const char *text)
{
    __asm__ volatile("" ::: "memory");
    return page;
}

static void *run(void *first)
{
    for (long i = 0; i < number_of_calls; i++) {
        long page = (i * 7 + (long)first * 13) % PAGES;
        hit(page, pages + page * 4096);
        __atomic_add_fetch(&hits, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void *drop(void *unused)
{
    while (!has_ended) {
        madvise(pages, PAGES * 4096, MADV_DONTNEED);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        usleep(50);
    }
    return unused;
}

int main(int argc, char **argv)
{
    (void)argc;
    int threads = atoi(argv[1]);
    char page[4096];
    number_of_calls = atol(argv[2]);
    file = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < PAGES; i++) {
        memset(page, 0, sizeof page);
        int length = sprintf(page, "%d:", i);
        memset(page + length, 'a' + i % 26, (size_t)(20 + i));
        if (write(file, page, sizeof page) != sizeof page)
            return 3;
    }
    fsync(file);
    pages = mmap(NULL, PAGES * 4096, PROT_READ, MAP_SHARED, file, 0);
    pthread_t ids[64], dropper;
    pthread_create(&dropper, NULL, drop, NULL);
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, run, (void *)i);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    has_ended = 1;
    pthread_join(dropper, NULL);
    fprintf(stderr, "hits=%lu\n", hits);
    return 0;
}
