/* Callers and callee in one file: functions, inlined copies, jumps, pointers, lines, recursion. C and C++.
 *
 *@ probe process("{program}").function("callee")
 *@ 1                                                          = all
 *@ caller is function("alpha")                                = alpha
 *@ caller is function("a*")                                   = alpha + apple + around
 *@ caller is function("a????")                                = alpha + apple
 *@ caller is function("nobody_calls")                         = 0
 *@ !(caller is function("alpha"))                             = all - alpha
 *@ !caller is function("alpha")                               = all - alpha
 *@ caller is function("alpha") || caller is function("beta")  = alpha + beta
 *@ caller is function("a*") && !(caller is function("ap*"))   = alpha + around
 *@ caller is function("around")                               = around
 *@ caller is function("tail")                                 = tail
 *@ caller is function("tail_user")                            = tail_user
 *@ caller is function("by_pointer")                           = by_pointer
 *@ caller is function("chilly")                               = chilly
 *@ caller is function("recurse")                              = recurse
 *@ caller is process("{program}").function("beta")            = beta
 *@ caller in process("{program}")                             = all
 *@ caller in library("libc.so.6")                             = 0
 *@ caller is process("{program}").function("*") && !(caller in process("{program}")) = 0
 *@ within function("outer")                                   = in_outer
 *@ within function("middle")                                  = in_middle
 *@ !(within function("outer"))                                = all - in_outer
 *@ within function("middle") && !(within function("outer"))   = middle_alone
 *@ within function("outer") || caller is function("alpha")    = in_outer + alpha
 *@ within function("recurse")                                 = in_recurse
 *@ within function("callee")                                  = all
 *@ within function("one_round") && caller is function("b*")   = beta + by_pointer
 *@ [-g] caller is function("inl")                             = inl
 *@ [-g] caller is function("inl*")                            = inl + inlmore
 *@ [-g] caller is function("inlmore")                         = inlmore + inlmore_inl
 *@ caller is function("host")                                 = inlmore + inlmore_inl
 *@ [-g] caller is function("inl") && caller is function("around") = around_inl
 *@ [-g] caller is function("alpha@plain.c")                   = alpha
 *@ [-g] caller is function("*@plain.c")                       = all
 *@ [-g] within function("hull")                               = in_hull
 *@ [-g] !(within function("hull"))                            = all - in_hull
 *@ [-g] caller is statement("lines@plain.c:{line first}")     = first
 *@ [-g] caller is statement("lines@plain.c:{line first}-{line second}") = first + second
 *@ [-g] caller is process("{program}").statement("lines@plain.c:{line third}") = third
 *@ [-g] caller is statement("*@plain.c:{line third}")         = third
 *
 *@ probe process("{program}").function("shifted")
 *@ 1                                                          = shifted
 *@ caller is function("beta")                                 = shifted_beta
 *@ caller is function("apple")                                = shifted_apple
 *@ within function("outer")                                   = shifted_outer
 *
 *@ probe process("{program}").function("leave")
 *@ 1                                                          = leave
 *@ caller is function("ends")                                 = ends
 *@ caller is function("ends_too")                             = ends_too
 *@ caller is function("behind")                               = 0
 *@ within function("ends")                                    = ends
 *@ within function("one_round")                               = leave
 */
#define MAIN
#include "truth.h"
#include <setjmp.h>

DEPTH(outer);
DEPTH(middle);
DEPTH(recurse);
DEPTH(hull);
static __thread jmp_buf way_out;

NOIPA long callee(long n)
{
    HIT(all);
    COUNT_INSIDE(outer);
    COUNT_INSIDE(middle);
    COUNT_INSIDE(recurse);
    COUNT_INSIDE(hull);
    if (depth_middle && !depth_outer)
        COUNT(middle_alone);
    return n + 1;
}

/* optimised, its first instructions move the stack pointer, and a branch follows: a probe may stand there */
NOIPA long shifted(long n)
{
    volatile char room[40];
    room[0] = (char)n;
    if (n == -1)
        abort();
    COUNT(shifted);
    if (depth_outer)
        COUNT(shifted_outer);
    return room[0];
}

NOIPA void alpha(long n)
{
    COUNT(alpha);
    callee(n);
    BARRIER();
}

NOIPA void apple(long n)
{
    COUNT(apple);
    callee(n);
    COUNT(shifted_apple);
    shifted(n);
    BARRIER();
}

NOIPA void beta(long n)
{
    COUNT(beta);
    callee(n);
    COUNT(shifted_beta);
    shifted(n);
    BARRIER();
}

NOIPA void nobody_calls(long n)
{
    callee(n);
    BARRIER();
}

ALWAYS_INLINE void inl(long n)
{
    COUNT(inl);
    callee(n);
}

ALWAYS_INLINE void inlmore(long n)
{
    COUNT(inlmore);
    callee(n);
    COUNT(inlmore_inl);
    inl(n);
}

NOIPA void around(long n)
{
    COUNT(around);
    COUNT(around_inl);
    inl(n);
    COUNT(around);
    callee(n);
    COUNT(around);
    COUNT(around_inl);
    inl(n + 1);
    BARRIER();
}

NOIPA void host(long n)
{
    inlmore(n);
    BARRIER();
}

/* optimised, this is a jump: the frame that is returned to is that of tail_user */
NOIPA long tail(long n)
{
#ifdef TAILED
    COUNT(tail_user);
#else
    COUNT(tail);
#endif
    return callee(n);
}

NOIPA void tail_user(long n)
{
    tail(n);
    BARRIER();
}

static long (*volatile pointer)(long) = callee;

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

/* the call lies in the part that the compiler puts elsewhere, chilly.cold */
NOIPA void chilly(long n)
{
    if (__builtin_expect(n % 7 == 3, 0)) {
        is_cold();
        COUNT(chilly);
        callee(n);
        is_cold();
    }
    BARRIER();
}

NOIPA void recurse(long n)
{
    ENTER(recurse);
    COUNT(recurse);
    callee(n);
    if (n > 0)
        recurse(n - 1);
    LEAVE(recurse);
}

NOIPA void lines(long n)
{
    COUNT(first);
    callee(n); // @first
    if (n & 1) {
        COUNT(second);
        callee(n); // @second
    }
    COUNT(third);
    callee(n); // @third
    BARRIER();
}

NOIPA void middle(long n)
{
    ENTER(middle);
    callee(n);
    BARRIER();
    LEAVE(middle);
}

NOIPA void outer(long n)
{
    ENTER(outer);
    middle(n);
    callee(n);
    if (n % 4 == 0)
        beta(n);
    LEAVE(outer);
}

ALWAYS_INLINE void hull(long n)
{
    ENTER(hull);
    middle(n);
    callee(n);
    LEAVE(hull);
}

NOIPA void hull_user(long n)
{
    hull(n);
    BARRIER();
}

__attribute__((noreturn)) NOIPA void leave(long n)
{
    HIT(leave);
    longjmp(way_out, n ? 1 : 2);
}

/* the call is the last instruction: the address behind it is another function's */
NOIPA void ends(long n)
{
    COUNT(ends);
    leave(n);
}

NOIPA void behind(long n)
{
    BARRIER();
    (void)n;
}

NOIPA void ends_too(long n)
{
    COUNT(ends_too);
    leave(n);
}

static NOIPA void one_round(long i)
{
    alpha(i);
    if (i % 2)
        apple(i);
    beta(i);
    around(i);
    host(i);
    tail_user(i);
    by_pointer(i);
    chilly(i);
    if (i % 4 == 0)
        recurse(i % 5);
    lines(i);
    if (i % 3)
        outer(i);
    else
        middle(i);
    hull_user(i);
    behind(i);
    if (i % 50 == 7 && !setjmp(way_out))
        ends(i);
    if (i % 50 == 9 && !setjmp(way_out))
        ends_too(i);
}
