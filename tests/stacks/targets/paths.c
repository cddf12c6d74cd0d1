/* Calls `leaf` by ways chosen by chance, and writes to FILE how often by which: `main;left;leaf 17`, sorted as they came first.
 *
 *   paths ROUNDS FILE [STAY]        with STAY it goes on until its parent ends
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noipa))
#define DEEPEST 12

static const char *way[32];
static int depth;
static struct { char text[400]; long count, sum; } known[4096];
static int ways;

static void count(int size)
{
    char text[400] = "";
    for (int i = 0; i < depth; i++) {
        strcat(text, i ? ";" : "");
        strcat(text, way[i]);
    }
    int i = 0;
    while (i < ways && strcmp(known[i].text, text))
        i++;
    if (i == ways)
        strcpy(known[ways++].text, text);
    known[i].count++;
    known[i].sum += size;
}

FUNCTION void leaf(int size)
{
    way[depth++] = "leaf";
    count(size);
    depth--;
}

FUNCTION void left(unsigned bits);
FUNCTION void right(unsigned bits);

static void go_on(unsigned bits)
{
    if (depth > DEEPEST || bits % 4 == 3)
        leaf((int)(bits % 100));
    else if (bits % 4 == 2)
        right(bits / 4);
    else
        left(bits / 4);
}

FUNCTION void left(unsigned bits)
{
    way[depth++] = "left";
    go_on(bits);
    depth--;
}

FUNCTION void right(unsigned bits)
{
    volatile char room[200]; /* a frame of another size */
    room[bits % 200] = (char)bits;
    (void)room[bits % 100];
    way[depth++] = "right";
    go_on(bits);
    if (bits % 7 == 0)
        leaf(1);
    depth--;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsigned state = 1;
    way[depth++] = "main";
    for (long i = atol(argv[1]); i > 0; i--) {
        state = state * 1664525u + 1013904223u;
        go_on(state >> 8);
    }
    FILE *file = fopen(argv[2], "w");
    for (int i = 0; i < ways; i++)
        fprintf(file, "%s %ld %ld\n", known[i].text, known[i].count, known[i].sum);
    fclose(file);
    if (argc > 3)
        for (;;)
            pause();
    return 0;
}
