/* One function that two others call, fast from one and slow from the other. Says how often: NAME=NUMBER. */
#include <stdio.h>
#include <unistd.h>

#define PUBLIC __attribute__((noipa))

static long queries, slow, serves, backups;

PUBLIC long query(long us)
{
    queries++;
    if (us) {
        slow++;
        usleep((useconds_t)us);
    }
    return us;
}

PUBLIC long serve(long n)
{
    long found = 0;
    serves++;
    for (long i = 0; i < n; i++)
        found += query(0);
    return found + 1;
}

PUBLIC long backup(void)
{
    backups++;
    return query(10000) + 1;
}

PUBLIC long nightly(void) { return backup() + 1; }

int main(void)
{
    long done = 0;
    for (int i = 0; i < 30; i++)
        done += serve(i % 4);
    for (int i = 0; i < 5; i++)
        done += i % 2 ? nightly() : backup();
    printf("queries=%ld\nslow=%ld\nserves=%ld\nbackups=%ld\n", queries, slow, serves, backups);
    return done == 0;
}
