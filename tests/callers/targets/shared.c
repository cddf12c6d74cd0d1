/* A callee in a library, called from the program, from its own library, from another one and from libc; and a function of the
 * program that libraries call. Compiled as -DMAIN, -DLIBRARY and -DOTHER.
 *
 *@ probe process("{library}").function("lib_callee")
 *@ 1                                                            = all
 *@ caller is process("{program}").function("alpha")             = alpha
 *@ caller is process("{program}").function("*a")                = alpha + beta
 *@ caller is process("{program}").function("by_pointer")        = by_pointer
 *@ caller in process("{program}")                               = alpha + beta + by_pointer + cold_user + compare
 *@ !(caller in process("{program}"))                            = lib_inner + lib_hidden + other_caller
 *@ caller is function("lib_*")                                  = lib_inner + lib_hidden
 *@ caller is function("lib_inner")                              = lib_inner
 *@ caller is library("{library}").function("lib_hidden")        = lib_hidden
 *@ caller in library("{library}")                               = lib_inner + lib_hidden
 *@ caller in library("{other}")                                 = other_caller
 *@ caller is library("{other}").function("other_caller")        = other_caller
 *@ caller is library("{other}").function("other_*") || caller is function("lib_inner") = other_caller + lib_inner
 *@ caller in library("libc.so.6")                               = 0
 *@ caller is process("{program}").function("compare")           = compare
 *@ within process("{program}").function("outer")                = in_outer
 *@ !(within process("{program}").function("outer"))             = all - in_outer
 *@ within library("{other}").function("other_caller")           = other_caller
 *@ within library("{other}").function("other_*")                = other_caller
 *@ within function("lib_inner")                                 = lib_inner
 *@ within process("{program}").function("outer") && caller in library("{other}") = outer_other
 *@ [-g] caller is process("{program}").statement("alpha@shared.c:{line alpha}") = alpha
 *
 *@ probe process("{library}").function("lib_shifted")
 *@ 1                                                            = lib_shifted
 *@ caller is process("{program}").function("beta")              = lib_shifted
 *@ caller in library("{other}")                                 = 0
 *
 *@ probe process("{program}").function("callback")
 *@ 1                                                            = callback
 *@ caller in library("{library}")                               = lib_each
 *@ caller is library("{library}").function("lib_each")          = lib_each
 *@ caller in library("{other}")                                 = other_each
 *@ caller in process("{program}")                               = callback_main
 *@ caller is function("callbacks")                              = callback_main
 *@ within library("{library}").function("lib_each")             = lib_each
 *@ within function("callbacks")                                 = callback
 *@ within library("{other}").function("*") || caller in process("{program}") = other_each + callback_main
 *
 *@ probe process("{program}").function("compare")
 *@ 1                                                            = compare
 *@ caller in library("libc.so.6")                               = compare
 *@ !(caller in library("libc.so.6"))                            = 0
 *@ caller in process("{program}")                               = 0
 *@ within function("sorts")                                     = compare
 *@ within process("{program}").function("outer")                = 0
 */
#include "truth.h"

typedef long (*function)(long);
#ifdef __cplusplus
extern "C" {
#endif
long lib_callee(long n);
long lib_shifted(long n);
void lib_inner(long n);
void lib_hidden_user(long n);
void lib_each(function call, long n);
void other_caller(long n);
void other_each(function call, long n);
extern __thread volatile int depth_outer;
#ifdef __cplusplus
}
#endif

#ifdef LIBRARY
__thread volatile int depth_outer;

NOIPA long lib_callee(long n)
{
    HIT(all);
    COUNT_INSIDE(outer);
    return n + 1;
}

NOIPA long lib_shifted(long n)
{
    volatile char room[40];
    room[0] = (char)n;
    if (n == -1)
        abort();
    COUNT(lib_shifted);
    return room[0];
}

/* through the procedure linkage table, as libraries call what others may replace */
NOIPA void lib_inner(long n)
{
    COUNT(lib_inner);
    lib_callee(n);
    BARRIER();
}

static NOIPA void lib_hidden(long n)
{
    COUNT(lib_hidden);
    lib_callee(n);
    BARRIER();
}

NOIPA void lib_hidden_user(long n)
{
    lib_hidden(n);
    BARRIER();
}

NOIPA void lib_each(function call, long n)
{
    COUNT(lib_each);
    call(n);
    COUNT(lib_each);
    call(n + 1);
    BARRIER();
}
#endif

#ifdef OTHER
NOIPA void other_caller(long n)
{
    COUNT(other_caller);
    lib_callee(n);
    BARRIER();
}

NOIPA void other_each(function call, long n)
{
    COUNT(other_each);
    call(n);
    BARRIER();
}
#endif

#ifdef MAIN
NOIPA void alpha(long n)
{
    COUNT(alpha);
    lib_callee(n); // @alpha
    BARRIER();
}

NOIPA void beta(long n)
{
    COUNT(beta);
    lib_callee(n);
    lib_shifted(n);
    BARRIER();
}

static function volatile pointer = lib_callee;

NOIPA void by_pointer(long n)
{
    COUNT(by_pointer);
    pointer(n);
    BARRIER();
}

__attribute__((cold)) NOIPA void is_cold(void)
{
    BARRIER();
}

NOIPA void cold_user(long n)
{
    if (__builtin_expect(n % 5 == 3, 0)) {
        is_cold();
        COUNT(cold_user);
        lib_callee(n);
        is_cold();
    }
}

NOIPA long callback(long n)
{
    HIT(callback);
    return n;
}

NOIPA void callbacks(long n)
{
    lib_each(callback, n);
    other_each(callback, n);
    COUNT(callback_main);
    callback(n);
    BARRIER();
}

NOIPA int compare(const void *left, const void *right)
{
    long a = *(const long *)left, b = *(const long *)right;
    HIT(compare);
    lib_callee(a);
    return (a > b) - (a < b);
}

NOIPA void sorts(long n)
{
    long values[8];
    for (int i = 0; i < 8; i++)
        values[i] = (n * 7919 + i * 104729) % 101;
    qsort(values, 8, sizeof values[0], compare);
    BARRIER();
}

NOIPA void outer(long n)
{
    ENTER(outer);
    alpha(n);
    COUNT(outer_other);
    other_caller(n);
    LEAVE(outer);
}

static NOIPA void one_round(long i)
{
    alpha(i);
    beta(i);
    by_pointer(i);
    cold_user(i);
    lib_inner(i);
    lib_hidden_user(i);
    other_caller(i);
    callbacks(i);
    if (i % 2)
        outer(i);
    if (i % 10 == 0)
        sorts(i);
}
#endif
