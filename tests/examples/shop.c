/* A small server's inside, which counts what it does. The scripts in examples/ are run against it.
 * At the end it prints one line for each count, NAME=NUMBER. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PUBLIC __attribute__((noipa))

static long prices, price_sum, requests, failures, steps, queries, slow_calls, locked;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

PUBLIC long price(long item, long amount)
{
    prices++;
    price_sum += amount;
    return item * amount;
}

PUBLIC int step_read(long id) { steps++; return (int)id; }
PUBLIC int step_write(long id) { steps++; return (int)id; }

PUBLIC int request(long id)
{
    requests++;
    step_read(id);
    if (id % 5 == 0) {
        failures++;
        return -1;
    }
    step_write(id);
    return 0;
}

PUBLIC void nap(long microseconds)
{
    slow_calls += microseconds >= 20000;
    if (microseconds)
        usleep((useconds_t)microseconds);
}

PUBLIC void exec_simple_query(const char *text) { queries += text[0] != 0; }

PUBLIC void lock(void *which)
{
    pthread_mutex_lock(which);
    locked++;
}

static void *worker(void *unused)
{
    for (int i = 0; i < 50; i++) {
        lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

int main(void)
{
    static const char *const texts[] = {"select 1", "select 2", "insert into t", "delete from t"};
    pthread_t threads[4];
    for (long i = 0; i < 100; i++)
        price(i, i % 7);
    for (long i = 1; i <= 20; i++)
        request(i);
    for (int i = 0; i < 40; i++)
        exec_simple_query(texts[i % 4]);
    nap(0);
    nap(30000);
    nap(0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, worker, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("prices=%ld\nprice_sum=%ld\nrequests=%ld\nfailures=%ld\nsteps=%ld\nqueries=%ld\nslow=%ld\nlocked=%ld\n", prices,
           price_sum, requests, failures, steps, queries, slow_calls, locked);
    return 0;
}
