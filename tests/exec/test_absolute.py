"""`process(PID).statement(ADDRESS).absolute`: an address in the memory of a process that runs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, Run

SOURCE = """
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) long work(long n) { __asm__ volatile(""); return n + 1; }
int main(void)
{
    long n = 0;
    printf("%p\\n", (void *)work);
    fflush(stdout);
    while (getchar() != EOF) n = work(n);
    return 0;
}
"""


@pytest.fixture
def worker(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O1", "-g", name="absolute_worker")


def test_it_is_hit_where_the_file_is_mapped(
    worker: Path, probelang: Run, backend: Backend, requires: Callable[..., None], tmp_path: Path
) -> None:
    requires(*("root", "uprobe_multi") if backend == "kernel" else ("ptrace",))
    process = subprocess.Popen([str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdin is not None
    address = process.stdout.readline().strip()
    script = (
        f'global n, sent probe process({process.pid}).statement({address}).absolute {{ if (n == 0) println(pp(), " ", $n); n++ }} '
        f"probe process({process.pid}).end {{ exit() }} "
        f'probe timer.ms(50) {{ if (!sent++) system("printf 12345 > /proc/{process.pid}/fd/0"); if (n == 5) exit() }} '
        "probe end { println(n) }"
    )
    try:
        found = probelang("--backend", backend, "-x", str(process.pid), "-T", "20", "-e", script)
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()
    assert found.status == 0, found.stderr
    assert found.stdout == f"process({process.pid}).statement({address}).absolute 0\n5\n"


def test_what_lies_nowhere_is_named(probelang: Run) -> None:
    found = probelang("check", "-e", "probe process(1).statement(0x10).absolute { }")
    assert found.status == 1
    assert re.search(r"error\[E04(15|07)\]", found.stderr), found.stderr
    without = probelang("check", "-e", 'probe process("true").statement(0x10).absolute { }')
    assert "process(PID)" in without.stderr
