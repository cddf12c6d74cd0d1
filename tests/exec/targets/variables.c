/* A program that says what its variables are, so that tests have values to compare with: lines of "tag: text".
 *
 *   variables [LIBRARY]
 *
 * LIBRARY is opened while the program runs, and its `in_library` called.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define APART __attribute__((noinline, noipa))
#define BARRIER __asm__ volatile("" ::: "memory")

enum color { RED, GREEN = 7, BLUE = -3 };
enum big { SMALL = 1, LARGE = 0x700000000 };

struct leaf { short pad; int c; };
struct middle { int k; struct leaf b[4]; };
struct pair { long a; int b; };
struct triple { long a, b, c; };

struct top {
    struct middle *a;
    union {
        struct { short low, high; };
        int both;
    };
    int negative : 5;
    unsigned positive : 6;
    long wide : 40;
    bool flag : 1;
    char name[12];
    const char *text;
    enum color color;
    enum big big;
    bool yes;
    char letter;
    signed char sc;
    unsigned char uc;
    unsigned short us;
    float f;
    double d;
    long double ld;
    __int128 wide_signed;
    unsigned __int128 wide_unsigned;
    int grid[3][4];
    unsigned long huge;
    struct top *next;
    int (*call)(int);
    void *nothing;
};

typedef struct { int x, y; } point_t;

int number = 41;
long table[6] = {10, 11, 12, 13, 14, 15};
point_t where = {3, -4};
static const char *label = "a label";
static int hidden = 17;
double ratio = 2.5;
__thread int per_thread = 5;
static __thread long own_thread = -6;
struct top *first;

static void say(const char *tag, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    flockfile(stdout);
    printf("%s: ", tag);
    vprintf(format, list);
    putchar('\n');
    funlockfile(stdout);
    va_end(list);
}

/* --------------------------------------------------------------------------------------------------- values */

APART int look(struct top *x, int i, int j)
{
    say("chain", "%d %d %d", x->a->b[i].c, x->a->b[j].c, x->next->a->k);
    say("anonymous", "%d %d %d", x->low, x->high, x->both);
    say("bits", "%d %d %ld %d", x->negative, x->positive, (long)x->wide, x->flag);
    say("grid", "%d %d %d", x->grid[i][j], x->grid[2][3], x->next->grid[j][i]);
    say("small", "%d %d %d %d %d", x->yes, x->letter, x->sc, x->uc, x->us);
    say("enums", "%d %ld", x->color, (long)x->big);
    say("floats", "%f %g %e %.3f", x->f, x->d, x->d, (double)x->ld);
    say("whole", "%ld %ld", (long)x->f, (long)x->next->d);
    say("less", "%d %d %d %d %d", x->f < x->d, x->d < 10, x->f == 1.5, x->d > x->next->d, x->d >= x->d);
    say("halves", "%lx %lx %lx %lx", (unsigned long)x->wide_signed, (unsigned long)(x->wide_signed >> 64),
        (unsigned long)x->wide_unsigned, (unsigned long)(x->wide_unsigned >> 64));
    say("unsigned", "%d %d %d", x->huge > x->next->huge, x->huge < x->next->huge, x->huge >= x->next->huge);
    say("texts", "%s %s", x->name, x->text);
    say("addresses", "%p %p %p", (void *)&x->a->b[i].c, (void *)x->grid, (void *)&x->next->d);
    say("arrays", "%p %p", (void *)x->grid, (void *)x->next->name);
    say("sizes", "%zu %zu %zu", sizeof(struct top), sizeof(point_t), sizeof(struct middle));
    say("offset", "%zu", __builtin_offsetof(struct top, grid));
    return x->a->b[i].c + i + j;
}

APART void globals(int n)
{
    static long counted = 100;
    counted += n;
    number += n;
    per_thread += n;
    own_thread -= n;
    BARRIER;
    say("globals", "%d %ld %ld %d %d %s %d %g", number, table[n], table[5], where.x, where.y, label, hidden, ratio);
    say("static", "%ld", counted);
    say("tls", "%d %ld", per_thread, own_thread);
}

/* ------------------------------------------------------------------------------------------------ arguments */

APART void consume(const void *p) { __asm__ volatile("" ::"r"(p) : "memory"); }

APART long by_value(struct pair p, struct triple t, point_t q, char last)
{
    consume(&t); /* or -O2 does not say where it is at the entry */
    say("byvalue", "%ld %d %ld %ld %ld %d %d %d", p.a, p.b, t.a, t.b, t.c, q.x, q.y, last);
    return p.a + t.c;
}

APART long many(int a, char b, short c, long d, unsigned e, unsigned char f, short g, long h, unsigned char i)
{
    say("many", "%d %d %d %ld %u %d %d %ld %d", a, b, c, d, e, f, g, h, i);
    return a + b + c + d + e + f + g + h + i;
}

APART double scale(double x, float y, int n)
{
    say("scale", "%f %f %d", x, y, n);
    return x * y * n;
}

APART struct pair make_pair(long a, int b)
{
    struct pair made = {a, b};
    say("pair", "%ld %d", made.a, made.b);
    return made;
}

APART struct triple make_triple(long a)
{
    struct triple made = {a, a + 1, a * 2};
    say("triple", "%ld %ld %ld", made.a, made.b, made.c);
    return made;
}

APART signed char narrow(int n) { return (signed char)n; }
APART unsigned unsign(int n) { return (unsigned)n; }
APART enum color paint(int n) { return n ? GREEN : BLUE; }
APART const char *named(int n) { return n ? "one" : "zero"; }
APART void nothing(int n) { hidden += n; }

/* ----------------------------------------------------------------------------------------------- calls, loops */

static long depth_calls, depth_sum;

APART long depth(long n)
{
    long below = n ? depth(n - 1) : 0;
    __asm__ volatile("" : "+r"(below));
    __atomic_add_fetch(&depth_calls, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&depth_sum, n + below, __ATOMIC_RELAXED);
    return n + below;
}

static jmp_buf back;

/* Left by longjmp from below 3, unless `jump` is 0. */
APART long leave(long n, int jump)
{
    if (jump && n == 2)
        longjmp(back, 1);
    long got = n > 0 ? leave(n - 1, jump) : 0;
    __asm__ volatile("" : "+r"(got));
    return got + n;
}

APART void leave_twice(void)
{
    if (setjmp(back) == 0) {
        leave(5, 1);
        exit(3); /* so that nobody comes by here as if it had returned */
    }
    say("leave", "%ld", leave(3, 0));
}

static inline __attribute__((always_inline)) int twice(int value)
{
    say("twice", "%d", value);
    int doubled = value * 2;
    __asm__ volatile("" : "+r"(doubled));
    return doubled;
}

APART int loop(int from, int to)
{
    int sum = 0;
    for (int i = from; i < to; i++) {
        int square = i * i;
        __asm__ volatile("" : "+r"(square));
        sum += square; /* in the loop */
        say("loop", "%d %d", i, square);
    }
    return sum + twice(from) + twice(to);
}

APART int first_n(int n)
{
    say("n", "%s %d", __func__, n);
    return n + 1;
}

APART int second_n(int a, int n)
{
    say("n", "%s %d", __func__, n);
    return n + a;
}

APART int third_n(int a, int b, long n)
{
    say("n", "%s %ld", __func__, n);
    return (int)n + a + b;
}

APART int same_n(int n)
{
    say("n", "%s %d", __func__, n);
    return n - 1;
}

APART long jump_end(long n)
{
    say("jumps", "jump_end %ld 7", n);
    return 7;
}

APART long jump_middle(long n)
{
    say("jumps", "jump_middle %ld 7", n);
    return jump_end(n * 2); /* optimised: a jump, so that both return at once */
}

APART long jump_begin(long n)
{
    say("jumps", "jump_begin %ld 7", n);
    return jump_middle(n + 1);
}

APART int bad(struct top *x, const char *text)
{
    say("faults", "user read fault at %p", (void *)&x->a);
    say("faults", "user read fault at %p", (void *)&x->next);
    say("faults", "user read fault at %p", (void *)&x->grid[2][(long)text]);
    say("faults", "user read fault at %p", (void *)&x->d);
    return x == NULL && text == NULL;
}

APART int mapped(const struct pair *pairs) { return pairs != NULL; } /* it does not read them */

static void *thread(void *given)
{
    long n = (long)given;
    per_thread = (int)n;
    for (long i = 0; i < 20; i++)
        depth(n + i % 3);
    return NULL;
}

static void map_file(void)
{
    char name[] = "/tmp/variables-XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    struct pair pair = {987654321, -5};
    if (pwrite(file, &pair, sizeof pair, 4096) != sizeof pair)
        exit(3);
    const char *pages = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, file, 0);
    mapped((const struct pair *)(pages + 4096));
    close(file);
}

APART int with_status(void *status)
{
    struct stat *s = status;
    say("status", "%ld %d", (long)s->st_size, (int)s->st_mode);
    return s->st_size > 0;
}

static int increment(int n) { return n + 1; }

int main(int argc, char **argv)
{
    struct middle middle = {9, {{1, 100}, {1, -200}, {1, 300}, {1, 400}}}, other = {-8, {{0}}};
    struct top second = {
        .a = &other, .d = 3.25, .f = 0.5f, .huge = 3, .name = "second", .text = "2nd",
        .grid = {{20, 21, 22, 23}, {24, 25, 26, 27}, {28, 29, 30, 31}},
    };
    struct top top = {
        .a = &middle, .low = -2, .high = 77, .negative = -7, .positive = 45, .wide = -123456789012, .flag = true,
        .name = "elephant", .text = "a text", .color = BLUE, .big = LARGE, .yes = true, .letter = 'x', .sc = -100,
        .uc = 200, .us = 60000, .f = 1.5f, .d = -6.02e23, .ld = 1234.5L,
        .wide_signed = -((__int128)5 << 70), .wide_unsigned = ((unsigned __int128)0xabcdef << 64) | 0x1234567890abcdef,
        .grid = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}}, .huge = 0xffffffffffffff00, .next = &second,
        .call = increment,
    };
    second.next = &top;
    first = &top;
    look(&top, 1, 2);
    globals(2);
    globals(3);
    by_value((struct pair){123456789012, -9}, (struct triple){1, -2, 3}, (point_t){-1, 1 << 30}, 'q');
    many(-1, 'b', -3, 1L << 40, 4000000000u, 250, -7, -8, 255);
    scale(1.25, -2.5f, 4);
    make_pair(-5, 6);
    make_triple(1L << 33);
    int narrowed = narrow(200);
    unsigned unsigned_one = unsign(-1);
    int blue = paint(0), green = paint(1);
    say("ordered", "%d %u %d %d %s", narrowed, unsigned_one, blue, green, named(1));
    nothing(1);
    int used = argc;
    say("depth", "%ld", depth(4));
    leave_twice();
    used += loop(2, 5) + first_n(used) + second_n(1, 22) + third_n(1, 2, 33) + same_n(44);
    jump_begin(10);
    bad((struct top *)0x10, (const char *)8);
    map_file();
    pthread_t threads[3];
    for (long i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, thread, (void *)(4 * i));
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    say("threads", "%ld %ld", depth_calls, depth_sum);
    if (argc > 1) {
        void *handle = dlopen(argv[1], RTLD_NOW);
        void (*in_library)(int) = handle ? (void (*)(int))dlsym(handle, "in_library") : NULL;
        if (!in_library)
            return 3;
        in_library(7);
        number += 100;
        in_library(8);
    }
    struct stat status;
    stat("/", &status);
    with_status(&status);
    return used == 123456789;
}
