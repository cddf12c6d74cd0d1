"""Callees of callees: only when every frame between is one of the calls that were meant."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Run

pytestmark = pytest.mark.kernel

SOURCE = """
#include <stdio.h>
static long counts[8];
enum { F_G, F_H, E_G, E_H, HERE };
static __thread int from;
__attribute__((noinline)) int h(int x) { if (from >= 0) counts[from + 1]++; asm volatile(""); return x + 1; }
__attribute__((noinline)) int g(int x) { counts[from]++; int r = h(x); asm volatile(""); return r + 1; }
__attribute__((noinline)) int f(int x) { from = F_G; int r = g(x); asm volatile(""); from = -1; return r + 1; }
__attribute__((noinline)) int e(int x) { from = E_G; int r = g(x); asm volatile(""); from = -1; return r + 1; }
int main(void) {
    int sum = 0;
    from = -1;
    for (int i = 0; i < 300; i++) {
        sum += f(i);
        if (i % 3 == 0) sum += e(i);
        if (i % 2) sum += h(i);
    }
    printf("f g %ld\\nf h %ld\\ne g %ld\\ne h %ld\\n", counts[F_G], counts[F_H], counts[E_G], counts[E_H]);
    return sum == 0;
}
"""
SCRIPT = """
global n
probe process("{program}").function("f").callees(2) {{ n["f", ppfunc()]++ }}
probe process("{program}").function("e").callees(2) {{ n["e", ppfunc()]++ }}
probe end {{ foreach ([way, name] in n) println(way, " ", name, " ", n[way, name]) }}
"""


@pytest.mark.parametrize("flags", ["-O0", "-O2", "-O2 -no-pie", "-O1 -fcf-protection"])
def test_each_frame_must_be_such_a_call(probelang: Run, able: Backend, tmp_path: Path, flags: str) -> None:
    program, source, script, output = (tmp_path / n for n in ("program", "program.c", "s.probe", "output"))
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-g", *flags.split(), "-o", program, source], check=True)
    script.write_text(SCRIPT.format(program=program))
    result = probelang("--backend", able, "-c", str(program), "-o", str(output), str(script))
    assert result.status == 0 and "lost" not in result.stderr, result.stderr
    assert sorted(output.read_text().splitlines()) == sorted(result.stdout.splitlines())
