"""A program that says what it is about to call with which arguments, and gdb, which says what it finds there.

`C` and `CPP` print a line for each call, `plain a=5 b=7 c=120`; `values_at` runs the program under gdb with a breakpoint at an
address for each function and gives the same lines, read from the parameters' locations at that address.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

C = r"""
#include <alloca.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#define CALL(format, call) (printf(format "\n"), call)
#define CALL1(format, a, call) (printf(format "\n", a), call)
typedef struct { char a; short b; } small;
typedef struct { long a; double b; } mixed;
typedef struct { float x, y, z; } vec;
typedef struct { char c[3]; } three;
typedef struct { long a[5]; } big;
enum e { A, B };
volatile long sink;
void use(void *p) { sink += *(char *)p; }

int plain(int a, long b, char c) { sink += a + b + c; return a; }
int loop_first(int n) { do { sink++; n--; } while (n > 0); return n; }
int while_first(int n) { while (n > 0) { n--; sink++; } return n; }
int forever_first(int n) { for (;;) { if (n-- <= 0) return n; sink++; } }
int one_line(int n) { do sink++; while (--n > 0); return n; }
int vla(int n) { int a[n + 1]; memset(a, 0, sizeof a); return a[n]; }
int allocated(int n, int m) { char *p = alloca(n + 1); memset(p, m, n); return p[0]; }
int variadic(int n, ...) {
    va_list l;
    va_start(l, n);
    int s = 0;
    for (int i = 0; i < n; i++)
        s += va_arg(l, int);
    va_end(l);
    return s;
}
double doubly_variadic(int n, double d, ...) { va_list l; va_start(l, d); double s = va_arg(l, double); va_end(l); return s + d + n; }
int huge(int n, int m) { char buffer[100000]; memset(buffer, n, sizeof buffer); return buffer[m]; }
double doubles(double a, float b, int c) { return a + b + c; }
long structs(small a, mixed b, vec c, three d, big e) { return a.a + b.a + (long)b.b + (long)c.x + d.c[2] + e.a[4]; }
int many(int a, int b, int c, int d, int e, int f, int g, int h) { return a + b + c + d + e + f + g + h; }
long double extended(long double x, int y) { return x + y; }
__int128 wide(__int128 x, _Bool b) { return x + b; }
int aligned(int n) { char b[64] __attribute__((aligned(64))); memset(b, n, 64); return b[5]; }
int goto_first(int n) {
    static void *t[] = {&&top, &&out};
top:
    n--;
    sink++;
    goto *t[n <= 0];
out:
    return n;
}
int switch_first(int n) { switch (n) { case 0: sink++; case 1: sink++; case 2: return 7; case 3: sink--; case 4: case 5: return 1; } return n; }
int empty(int n) { return n; }
void nothing(int n) {}
enum e enums(enum e x, char s) { sink += s; return x; }
int old_style(a, b) char a; float b; { sink += a; return b; }
int recursive(int n) {
    if (n <= 0)
        return 0;
    return n + CALL1("recursive n=%d", n - 1, recursive(n - 1));
}
static inline __attribute__((always_inline)) int inlined(int q) { while (q > 5) { q--; sink++; } return q; }
int inline_first(int n) { return inlined(n); }
__attribute__((noinline)) int overwritten(int n) { n = 5; use(&n); return n; }
__attribute__((noinline)) int escapes(int n, int m) { sink += m; use(&n); sink += n; use(&m); return n; }

int main(int argc, char **argv) {
    big bb = {{1, 2, 3, 4, 5}};
    for (int i = 0; i < 3; i++) {
        CALL1("plain a=%d b=7 c=120", i + 5, plain(i + 5, 7, 'x'));
        CALL1("loop_first n=%d", i + 3, loop_first(i + 3));
        CALL1("while_first n=%d", i + 3, while_first(i + 3));
        CALL1("forever_first n=%d", i + 2, forever_first(i + 2));
        CALL1("one_line n=%d", i + 2, one_line(i + 2));
        CALL("vla n=9", vla(9));
        CALL1("allocated n=5 m=%d", i, allocated(5, i));
        CALL("variadic n=2", variadic(2, i, 4));
        CALL1("doubly_variadic n=1 d=%g", 1.5 + i, doubly_variadic(1, 1.5 + i, 2.5));
        CALL1("huge n=%d m=5", i, huge(i, 5));
        CALL1("doubles a=%g b=2.5 c=4", 1.25 + i, doubles(1.25 + i, 2.5f, 4));
        CALL("structs a={1,2} b={3,4.5} c={1,2,3} d={{7,8,9}} e={{1,2,3,4,5}}",
             structs((small){1, 2}, (mixed){3, 4.5}, (vec){1, 2, 3}, (three){{7, 8, 9}}, bb));
        CALL1("many a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=%d", 8 + i, many(1, 2, 3, 4, 5, 6, 7, 8 + i));
        CALL1("extended x=1.5 y=%d", i, extended(1.5L, i));
        CALL1("wide x=%d b=1", i, wide(i, 1));
        CALL1("aligned n=%d", i, aligned(i));
        CALL1("goto_first n=%d", i + 3, goto_first(i + 3));
        CALL1("switch_first n=%d", i, switch_first(i));
        CALL1("empty n=%d", i, empty(i));
        CALL1("nothing n=%d", i, nothing(i));
        CALL("enums x=1 s=104", enums(B, 'h'));
        CALL("old_style a=97 b=3.5", old_style('a', 3.5));
        CALL("recursive n=4", recursive(4));
        CALL1("inline_first n=%d", i + 9, inline_first(i + 9));
        CALL1("overwritten n=%d", i + 9, overwritten(i + 9));
        CALL1("escapes n=%d m=3", i + 9, escapes(i + 9, 3));
    }
    return sink == 12345;
}
"""

CPP = r"""
#include <cstdio>
#include <string>
#define CALL1(format, a, call) (printf(format "\n", a), (void)(call))
volatile long sink;
struct Tag {};
struct Simple {
    int a;
    explicit Simple(int x) : a(x) { sink += x; }
};
struct Base {
    int a;
    virtual ~Base() { sink++; }
    virtual int get(int k) const { return a + k; }
};
struct Last : virtual Base {
    int get(int k) const override { return a * k; }
};
struct Counted {
    int n;
    Counted(int x) : n(x) {}
    Counted(const Counted &o) : n(o.n) { sink++; }
};
int tagged(Tag, int n) { return n; }
int by_value(Counted c, int n) { sink += c.n; return n; }
template <typename T> T twice(T x) { return x + x; }
int throwing(int n) {
    try {
        if (n > 1)
            throw n;
        return 0;
    } catch (int caught) {
        return caught;
    }
}
int text(std::string c, int n) { return (int)c.size() + n; }
int main() {
    for (int i = 0; i < 3; i++) {
        CALL1("tagged n=%d", i, tagged(Tag(), i));
        CALL1("by_value n=%d", i, by_value(Counted(5), i));
        CALL1("twice<int> x=%d", i, twice(i));
        CALL1("twice<double> x=%g", i + .5, twice(i + .5));
        CALL1("throwing n=%d", i, throwing(i));
        CALL1("text n=%d", i, text("abc", i));
        CALL1("Simple x=%d", i, Simple(i));
        Last last;
        CALL1("get k=%d", i, last.get(i));
    }
    return 0;
}
"""

_SCRIPT = r"""
import gdb, json
def text(value):
    kind = value.type.strip_typedefs()
    if kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return "{" + ",".join(text(value[f]) for f in kind.fields()) + "}"
    if kind.code == gdb.TYPE_CODE_ARRAY:
        return "{" + ",".join(text(value[i]) for i in range(kind.range()[0], kind.range()[1] + 1)) + "}"
    if kind.code == gdb.TYPE_CODE_FLT:
        return f"{float(value):g}"
    if kind.sizeof == 16:
        return str(int.from_bytes(gdb.selected_inferior().read_memory(value.address, 16), "little"))
    return str(int(value))
class Stop(gdb.Breakpoint):
    def stop(self):
        frame = gdb.selected_frame()
        block = frame.block()
        while not block.function or not block.superblock.is_static:
            block = block.superblock
        words = [NAMES[self.location]]
        for symbol in block:
            if symbol.is_argument and symbol.name not in SKIPPED:
                words.append(f"{symbol.name}={text(symbol.value(frame))}")
        LINES.append(" ".join(words))
        return False
NAMES = {f"*{a:#x}": n for a, n in BREAKS}
SKIPPED = {"this", "c"} if IS_CPP else set()  # said by nobody: an object
LINES = []
gdb.execute("set confirm off")
gdb.execute("set width 0")
for place in NAMES:
    Stop(place)
gdb.execute("run > /dev/null")
for line in LINES:
    print("AT " + line)
"""


def said(program: Path) -> list[str]:
    # where it lies: what is built with -pg leaves a file in its folder
    folder = program.parent
    return subprocess.run(
        [program], capture_output=True, text=True, check=False, cwd=folder
    ).stdout.splitlines()


def values_at(program: Path, breaks: Mapping[int, str], is_cpp: bool = False) -> list[str]:
    """By gdb. `breaks`: addresses with what to call them. The program is not position-independent."""
    script = program.with_suffix(".gdb.py")
    script.write_text(f"BREAKS = {list(breaks.items())!r}\nIS_CPP = {is_cpp}\n{_SCRIPT}")
    command = ["gdb", "-nx", "-q", "-batch", "-x", str(script), str(program)]
    folder = program.parent
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
    return re.findall(r"^AT (.*)$", output, re.MULTILINE)
