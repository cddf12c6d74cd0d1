/* Walks through its functions at random, writes down how it came to the end of each walk, and says at its end how often each way
 * was taken: "way COUNT c<-a<-walk". With an argument: the seed. Compiled as -DMAIN, and as -DLIBRARY for b and d.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOIPA __attribute__((noipa))
enum { WALKS = 1000, WAYS = 2000 };

typedef struct walker {
    unsigned long random;
    char way[200];
    void (*step)(struct walker *, int);
} walker;

#ifdef __cplusplus
extern "C" {
#endif
void b(walker *w, int left);
void d(walker *w, int left);
#ifdef __cplusplus
}
#endif

/* `room` makes frames of different sizes; the call is not the last thing, so it is no jump */
#define STEP(name, room) \
    NOIPA void name(walker *w, int left) \
    { \
        volatile char space[room]; \
        size_t length = strlen(w->way); \
        memmove(w->way + sizeof #name + 1, w->way, length + 1); \
        memcpy(w->way, #name "<-", sizeof #name + 1); \
        space[0] = (char)left; \
        w->step(w, left - 1); \
        memmove(w->way, w->way + sizeof #name + 1, length + 1); \
        space[room - 1] = space[0]; \
    }

#ifdef LIBRARY
STEP(b, 700)
STEP(d, 8)
#endif

#ifdef MAIN
static struct {
    char way[200];
    long count;
} ways[WAYS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long seed = 1;

NOIPA void end(walker *w)
{
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < WAYS; i++)
        if (!ways[i].count || strcmp(ways[i].way, w->way) == 0) {
            strcpy(ways[i].way, w->way);
            ways[i].count++;
            break;
        }
    pthread_mutex_unlock(&mutex);
}

STEP(a, 16)
STEP(c, 48)
STEP(e, 4000)

static NOIPA void step(walker *w, int left)
{
    static void (*const steps[])(walker *, int) = {a, b, c, d, e};
    if (left <= 0) {
        end(w);
        __asm__ volatile("");
        return;
    }
    w->random = w->random * 6364136223846793005ul + 1442695040888963407ul;
    steps[(w->random >> 33) % 5](w, left);
    __asm__ volatile("");
}

NOIPA void *walk(void *number)
{
    walker w = {seed + (unsigned long)number, "walk", step};
    for (int i = 0; i < WALKS; i++) {
        step(&w, 1 + i % 3);
        __asm__ volatile("");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[3];
    if (argc > 1)
        seed = strtoul(argv[1], NULL, 10);
    for (long i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, walk, (void *)i);
    walk((void *)3);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WAYS && ways[i].count; i++)
        printf("way %ld %s\n", ways[i].count, ways[i].way);
    return 0;
}
#endif
