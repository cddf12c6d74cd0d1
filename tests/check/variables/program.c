#include <stddef.h>
#define APART __attribute__((noinline, noipa))

enum color { RED, GREEN = 7 };
struct hidden;
struct list {
    struct list *next;
    int id;
    unsigned flag : 3;
    struct { int x, y; } at;
};

int number = 3;
double ratio = 1.5;
__int128 wide;
extern int without(int n);

APART int insert(struct list *list, int n, struct hidden *hidden, void *nothing, struct list **end)
{
    int before = n * 3;
    __asm__ volatile("" ::"r"(before));
    int later = list->id;
    __asm__ volatile("" : "+r"(later));
    return later + n + (hidden != NULL) + (nothing != NULL) + (end != NULL);
}

APART int insert_all(struct list *items, int n)
{
    return items->id + n;
}

APART void clear(enum color color)
{
    number = color;
}

struct pair { long a, b; };

APART long by_value(struct pair pair, int n)
{
    return pair.a + pair.b + n;
}

int main(void)
{
    struct list list = {&list, 1, 2, {3, 4}};
    clear(GREEN);
    return by_value((struct pair){1, 2}, 3) + insert(&list, 5, NULL, NULL, NULL) + insert_all(&list, 6) + without(number) + (int)ratio + (int)wide;
}
