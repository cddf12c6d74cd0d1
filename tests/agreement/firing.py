"""A program that calls `fire` as often, and in as many threads, as it is told."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.agreement.halves import Target

SOURCE = r"""
#include <pthread.h>
#include <stdlib.h>
__attribute__((noinline)) long fire(long n) { __asm__ volatile("" ::: "memory"); return n; }
static long turns;
static void *work(void *unused) {
    for (long i = 0; i < turns; i++) fire(i);
    return unused;
}
int main(int count, char **words) {  /* calls, threads */
    turns = atol(words[1]);
    long others = count > 2 ? atol(words[2]) - 1 : 0;
    pthread_t threads[64];
    for (long i = 0; i < others; i++) pthread_create(&threads[i], 0, work, 0);
    work(0);
    for (long i = 0; i < others; i++) pthread_join(threads[i], 0);
    return 0;
}
"""


def build(folder: Path) -> Target:
    (folder / "fire.c").write_text(SOURCE)
    source, program = str(folder / "fire.c"), str(folder / "fire")
    subprocess.run(["gcc", "-O1", "-o", program, source, "-lpthread"], check=True)
    return Target(str(folder / "fire"), function_offset(folder / "fire", "fire"))


def function_offset(path: Path, name: str) -> int:
    """By readelf: address - start of its segment in memory + start in the file."""
    text = subprocess.run(["readelf", "-lsW", path], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^\s*\d+: (\w+)\s+\d+ FUNC .* {name}$", text, re.MULTILINE)
    assert found is not None
    address = int(found.group(1), 16)
    for offset, start, size in re.findall(r"^\s+LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", text, re.MULTILINE):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return address - int(start, 16) + int(offset, 16)
    raise AssertionError(f"{name} lies in no segment")
