"""Callers and stacks of system calls, where there is no function's entry: all that a handler asks about them goes together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, Run

pytestmark = pytest.mark.kernel

SOURCE = """
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((noipa)) long asks(long n) { return syscall(SYS_getppid) + n; }
__attribute__((noipa)) long often(long n) { return asks(n) + 1; }
__attribute__((noipa)) long seldom(long n) { return asks(n) + 2; }
int main(void)
{
    long sum = 0;
    for (int i = 0; i < 100; i++) {
        sum += often(i);
        if (i % 4 == 0)
            sum += seldom(i);
    }
    return sum == 0;
}
"""
GETPPID = 110


@pytest.fixture(scope="session")
def program(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O2", "-fno-optimize-sibling-calls", name="asking")


@pytest.fixture
def able(backend: Backend, requires: Callable[..., None]) -> Backend:
    if backend == "kernel":
        requires("cookie", "raw_tracepoints", "task_vma_iterator", "task_pt_regs")
    return backend


def test_callers_of_system_calls(program: Path, probelang: Run, able: Backend) -> None:
    script = f"""
    global n
    probe process("{program}").syscall {{
        if ($syscall != {GETPPID}) next
        if (within function("often")) n["within often"]++
        if (within function("seldom")) n["within seldom"]++
        if (caller is function("asks")) n["caller asks"]++
        n[callers(2)]++
    }}
    probe end {{ foreach (what+ in n) println(what, " ", n[what]) }}"""
    result = probelang("-w", "--backend", able, "-c", str(program), "-e", script)
    assert "lost" not in result.stderr and "cut" not in result.stderr
    assert result.stdout.splitlines() == [
        "asks<-often 100", "asks<-seldom 25", "caller asks 125", "within often 100", "within seldom 25",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("point", "condition"), [("syscall", f"$syscall == {GETPPID}"), ('function("asks")', "1")]
)
def test_a_stack_is_the_same_however_often_it_is_asked_for(
    point: str, condition: str, program: Path, probelang: Run, able: Backend
) -> None:
    asked = "println(ustack(2)); println(ubacktrace()); println(callers(4));"
    script = f"""
    global hits
    probe process("{program}").{point} when ({condition}) {{ if (hits++ == 0) {{ {asked * 4} }} }}"""
    result = probelang("-w", "--backend", able, "-c", str(program), "-e", script)
    lines = result.stdout.splitlines()
    assert result.status == 0 and len(lines) == 12, result.stderr
    assert len(set(lines[::3])) == len(set(lines[1::3])) == len(set(lines[2::3])) == 1
    assert int(lines[0]) > 0
    assert "asks<-often<-main" in lines[1] and "often<-main<-" in lines[2]
