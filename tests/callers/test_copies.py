"""`within` what was inlined: only the functions that hold its copies are hooked, and inside of these the stack tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, Run

TARGET = Path(__file__).with_name("targets") / "copies.c"
SCRIPT = """
global n
probe process("PROGRAM").function("leaf") {
    if (within function("small")) n["copy"]++
    else if (within function("outer") || within function("again")) n["holder"]++
    else n["outside"]++
    if (within function("deep")) n["deep"]++
}
probe end { println(n["copy"], " ", n["holder"], " ", n["outside"], " ", n["deep"]) }
"""
ROUNDS, CALLS_UNDER_DEEP = 3, 20 * 4


@pytest.mark.parametrize("level", ["-O1", "-O2"])
@pytest.mark.parametrize("shell", [False, True], ids=["started", "forked"])
def test_copies_are_told_from_what_holds_them(
    level: str,
    shell: bool,
    backend: Backend,
    compile_c: Compile,
    probelang: Run,
    requires: Callable[..., None],
) -> None:
    if backend == "kernel":
        requires("task_vma_iterator")
    program = compile_c(TARGET, level, "-g", name=f"copies{level}")
    command = f"sh -c '{program}; true'" if shell else str(program)
    done = probelang(
        "run", "--backend", backend, "-c", command, "-e", SCRIPT.replace("PROGRAM", str(program))
    )
    assert done.status == 0, done.stderr
    *told, found = done.stdout.splitlines()
    sums = [sum(column) for column in zip(*(map(int, line.split()) for line in told), strict=True)]
    assert len(told) == 2 and [int(word) for word in found.split()] == [*sums, ROUNDS * CALLS_UNDER_DEEP]
    assert "lost" not in done.stderr
