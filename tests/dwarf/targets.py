"""Target programs for the tests of files and probe points, compiled by the system's gcc."""

from __future__ import annotations

import subprocess
from pathlib import Path

C = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static __attribute__((noinline)) int helper(int x) { return x * 3 + 1; }
__attribute__((noinline)) int visible(int x) { return helper(x) + 1; }
__attribute__((noinline, visibility("hidden"))) int hidden(int x) { return x - 1; }
int visible_alias(int x) __attribute__((alias("visible")));
__attribute__((noinline, weak)) int weak_one(int x) { return x + 2; }
int data_object = 5;
static int (*choose(void))(int) { return visible; }
int chosen(int x) __attribute__((ifunc("choose")));
int main(int argc, char **argv) {
    char *p = malloc(argc + 10);
    memset(p, argc, 10);
    printf("%d %d %d %d %p\\n", visible(argc), hidden(argc), weak_one(argc), chosen(argc), (void *)p);
    free(p);
    return 0;
}
"""

CPP = """
#include <string>
#include <cstdlib>
volatile int sink;
namespace shop {
struct Cart {
    int total = 0;
    __attribute__((noinline)) Cart() { total = 1; }
    __attribute__((noinline)) ~Cart() { sink = total; }
    __attribute__((noinline)) void add(int price) { total += price; }
    __attribute__((noinline)) void add(double price) { total += (int)price; }
    __attribute__((noinline)) int size() const { return total; }
    __attribute__((noinline)) bool operator<(const Cart &o) const { return total < o.total; }
};
template <typename T> __attribute__((noinline)) T twice(T x) { return x + x; }
namespace { __attribute__((noinline)) int secret(int x) { return x ^ 5; } }
int use_secret(int x) { return secret(x); }
}
__attribute__((noinline)) int plain(std::string s) { return (int)s.size(); }
extern "C" __attribute__((noinline)) int add(int a) { return a; }
int main(int argc, char **) {
    shop::Cart a, b;
    a.add(argc); a.add(2.5); b.add(3);
    return a.size() + shop::twice(argc) + (int)shop::twice(2.5 * argc) + plain("x") + add(a < b) + shop::use_secret(argc) > 1000;
}
"""

# Entries on which no probe may stand, and some that look like them but are fine
ASM = """
.text
.macro entry name
.globl \\name
.type \\name, @function
\\name:
.endm
.macro done name
ret
.size \\name, .-\\name
.endm
entry bad_syscall
  syscall
  done bad_syscall
entry bad_lock
  lock incl (%rdi)
  done bad_lock
entry bad_notrack
  notrack jmp *%rax
  done bad_notrack
entry bad_cs
  .byte 0x2e
  nopl (%rax)
  done bad_cs
entry bad_vex_as_jump
  vpcmpeqd %ymm0, %ymm1, %ymm2
  done bad_vex_as_jump
entry bad_vex_refused
  vpxor %xmm0, %xmm0, %xmm0
  done bad_vex_refused
entry bad_evex
  vpcmpeqb %zmm0, %zmm1, %k1
  done bad_evex
entry bad_int3
  int3
  done bad_int3
entry good_vex
  vmovups (%rdi), %ymm0
  done good_vex
entry bad_vex_load
  vmovdqu (%rdi), %ymm0
  done bad_vex_load
entry good_endbr
  endbr64
  done good_endbr
entry good_push
  push %r12
  pop %r12
  done good_push
entry good_fs
  mov %fs:0, %rax
  done good_fs
entry good_sse
  pxor %xmm0, %xmm0
  done good_sse
entry good_rep
  rep stosb
  done good_rep
entry good_long
  movabs $0x0f05050505050505, %rax
  done good_long
.type table, @object
.globl table
table: .quad 1
.size table, 8
.globl untyped
untyped: ret
.globl empty_size
.type empty_size, @function
empty_size: ret
.section .note.GNU-stack,"",@progbits
"""


def compile_target(folder: Path, name: str, source: str, *flags: str, suffix: str = ".c") -> Path:
    """Compiles `source` to `folder/name`."""
    text = folder / f"{name}{suffix}"
    text.write_text(source)
    compiler = "g++" if suffix == ".cpp" else "gcc"
    out = folder / name
    command = [compiler, *flags, "-o", str(out), str(text)]
    subprocess.run(command, check=True, capture_output=True)
    return out


def nm(path: Path) -> dict[str, int]:
    """Symbols of a file and their addresses, by binutils: the oracle."""
    lines = subprocess.run(["nm", str(path)], check=True, capture_output=True, text=True).stdout.splitlines()
    rows = (line.split() for line in lines)
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}
