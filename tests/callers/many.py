"""A program of thousands of callers: functions f0000 to f4095, and between them g0000 to g0511, which call one function."""

from __future__ import annotations

_HEAD = """/*
 *@ probe process("{program}").function("callee")
 *@ 1                                                             = all
 *@ caller is function("f*")                                      = f
 *@ !(caller is function("f*"))                                   = g + h
 *@ caller is function("f???7")                                   = f_7
 *@ caller is function("f????") && !(caller is function("f*7"))   = f - f_7
 *@ caller is function("g*")                                      = g
 *@ caller is function("f0000") || caller is function("f4095")    = f_edges
 *@ caller is function("f0000")                                   = f_first
 *@ caller is function("h") || caller is function("g*")           = g + h
 *@ within function("f*")                                         = f
 *@ within function("h")                                          = all
 */
#define MAIN
#include "truth.h"

NOIPA long callee(long n)
{
    HIT(all);
    return n;
}
"""
_TAIL = """
NOIPA void h(long i)
{
    COUNT(h);
    callee(i);
    for (int n = 0; n < 4096; n++) {
        COUNT(f);
        if (n % 10 == 7)
            COUNT(f_7);
        if (n == 0 || n == 4095)
            COUNT(f_edges);
        if (n == 0)
            COUNT(f_first);
        f[n](i);
    }
    for (int n = 0; n < 512; n++) {
        COUNT(g);
        g[n](i);
    }
}

static NOIPA void one_round(long i)
{
    h(i);
}
"""


def source() -> str:
    bodies = list[str]()
    for n in range(4096):
        bodies.append(_function(f"f{n:04}"))
        if n % 8 == 5:
            bodies.append(_function(f"g{n // 8:04}"))
    tables = [_table("f", 4096), _table("g", 512)]
    return "\n".join([_HEAD, *bodies, *tables, _TAIL])


def _function(name: str) -> str:
    return f"static NOIPA void {name}(long i) {{ callee(i); BARRIER(); }}"


def _table(letter: str, count: int) -> str:
    names = ", ".join(f"{letter}{n:04}" for n in range(count))
    return f"static void (*const {letter}[])(long) = {{{names}}};"
