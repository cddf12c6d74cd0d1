"""Exact counts: threads, children, signals, every way out of a function. The targets count their own calls."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.ptrace.conftest import Trace, environment, traced

COUNT = """
global entered, left, handled
probe process.function("work") { entered++ }
probe process.function("work").return { left++ }
probe process.function("in_handler") { handled++ }
probe end { printf("entered=%d left=%d seen=%d\\n", entered, left, handled) }
"""
WAYS = [
    ("threads", 1, 1000), ("threads", 2, 500), ("threads", 8, 200), ("threads", 64, 40),
    ("forks", 100, 3), ("storm", 1000, 1), ("vforks", 30, 3), ("spawns", 30, 3), ("clones", 30, 3),
    ("exec_from_thread", 1, 50), ("daemon", 1, 50),
]  # fmt: skip


@pytest.mark.parametrize(("way", "count", "calls"), WAYS)
def test_every_call_counts(trace: Trace, crowd: Path, way: str, count: int, calls: int) -> None:
    ran = trace(COUNT, "-c", f"{crowd} {way} {count} {calls}", "--pass-status")
    assert ran.value("entered") == ran.value("left") == ran.value("work") > 0, ran.messages
    assert ran.status == 3
    assert ran.messages == ""


def test_signals_every_millisecond_change_nothing(trace: Trace, crowd: Path) -> None:
    ran = trace(COUNT, "-c", f"{crowd} signals 1 5000")
    assert ran.value("entered") == ran.value("left") == ran.value("work") == 5000
    assert ran.value("seen") == ran.value("handled") > 0


FUNCTIONS = (
    "thrower",
    "between",
    "jumper",
    "recurse",
    "even",
    "odd",
    "walker",
    "first",
    "last",
)


@pytest.fixture(scope="module")
def ways(ways_out: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """How often each function was entered, and how often it returned."""
    script = tmp_path_factory.mktemp("ways") / "ways.probe"
    entries = ", ".join(f'process.function("{f}")' for f in FUNCTIONS)
    returns = ", ".join(f'process.function("{f}").return' for f in FUNCTIONS)
    script.write_text(
        f"global entered, left\nprobe {entries} {{ entered[ppfunc()]++ }}\nprobe {returns} {{ left[ppfunc()]++ }}\n"
        'probe end { foreach (f in entered) printf("%s %d %d\\n", f, entered[f], left[f]) }'
    )
    plain = subprocess.run([ways_out], capture_output=True, text=True, check=False)
    ran = subprocess.run(
        traced("-c", ways_out, "--pass-status", script),
        capture_output=True, text=True, env=environment(), timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (plain.returncode, plain.stderr) == (7, "")
    assert plain.stdout in ran.stdout  # what the program itself counted and computed
    rows = re.findall(r"^(\w+) (\d+) (\d+)$", ran.stdout, re.MULTILINE)
    return {name: (int(entered), int(left)) for name, entered, left in rows}


def test_recursion_returns_as_often_as_it_enters(ways: dict[str, tuple[int, int]]) -> None:
    assert ways["recurse"] == (5001, 5001)


def test_functions_that_jump_to_each_other_all_return(ways: dict[str, tuple[int, int]]) -> None:
    assert ways["even"] == (30, 30)
    assert ways["odd"] == (25, 25)
    assert ways["first"] == ways["last"] == (10, 10)


def test_an_exception_passes_and_is_no_return(ways: dict[str, tuple[int, int]]) -> None:
    assert ways["thrower"] == ways["between"] == (30, 20)


def test_a_longjmp_is_no_return(ways: dict[str, tuple[int, int]]) -> None:
    assert ways["jumper"] == (20, 10)


def test_a_function_that_walks_the_stack_sees_its_callers(ways: dict[str, tuple[int, int]]) -> None:
    assert ways["walker"] == (5, 5)
