"""Every way in which a predicate about callers is decided in the kernel gives the same: what the program counts for itself.

Which way is taken depends on the shape of the question and on the kernel; `--without` takes its features away.
"""

from __future__ import annotations

import os
import random
import subprocess
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from probelang.llvm.builder import Value
from probelang.llvm.callers.ranges import FEW, inside
from probelang.llvm.emitter import Emitter
from probelang.runtime import perf
from tests.conftest import Result
from tests.llvm_text.machine import Inline, Machine

pytestmark = pytest.mark.kernel

Run = Callable[..., Result]
Requires = Callable[..., None]
SOURCE = Path(__file__).parent / "targets" / "ways.c"
ROUNDS = 300
DEEP, SHALLOW = 100, 50
"""A thread has at most 64 calls under way whose returns are hooked: those of `deep` are, where it is asked about."""
INTERPRETER = "/lib64/ld-linux-x86-64.so.2"


@dataclass(frozen=True, slots=True)
class Target:
    folder: Path

    @property
    def program(self) -> str:
        return str(self.folder / "ways")

    @property
    def library(self) -> str:
        return str(self.folder / "libcallee.so")

    @property
    def other(self) -> str:
        return str(self.folder / "libother.so")


@dataclass(frozen=True, slots=True)
class Calls:
    """As the program has counted them, by the caller."""

    main: int
    own: int
    other: int
    deep: int

    @property
    def all(self) -> int:
        return self.main + self.own + self.other + self.deep


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    target = Target(tmp_path_factory.mktemp("ways"))

    def build(made: str, *words: str) -> None:
        way = ["gcc", "-O1", f"-Wl,-rpath,{target.folder}", "-o", made, str(SOURCE), *words]
        subprocess.run(way, check=True)

    build(target.library, "-DLIBRARY", "-shared", "-fPIC")
    build(target.other, "-DOTHER", "-shared", "-fPIC", target.library)
    build(target.program, "-fPIE", "-pie", target.other, target.library)
    return target


@pytest.fixture
def ask(
    probelang: Run, target: Target, tmp_path: Path, requires: Requires
) -> Callable[..., tuple[list[int], Calls]]:
    """Counts the hits of a probe for which each of the questions is answered by yes, while the program runs."""
    requires("root", "ring_buffer")

    def run(
        questions: list[str],
        *words: str,
        point: str = "",
        before: str = "",
        behind: str = "",
        deepest: int = DEEP,
    ) -> tuple[list[int], Calls]:
        where = point or f'process("{target.library}").function("callee")'
        lines = [f"global n{i} probe {where} when ({q}) {{ n{i}++ }}" for i, q in enumerate(questions)]
        shown = ', " ", '.join(f"n{i}" for i in range(len(questions)))
        script = "\n".join([*lines, f"probe end {{ println({shown}) }}"])
        output = tmp_path / "output"
        command = f"{before} {target.program} {ROUNDS} {deepest} {behind}".strip()
        result = probelang("-c", command, "-o", str(output), *words, "-e", script)
        assert result.status == 0, result.stderr
        assert "lost" not in result.stderr, result.stderr
        counted = [int(word) for word in output.read_text().split()]
        return counted, Calls(*(int(word) for word in result.stdout.split()))

    return run


def questions_of(target: Target) -> list[str]:
    return [
        f'caller is process("{target.program}").function("from_main")',
        'caller is function("from_own")',
        f'caller is library("{target.other}").function("from_other")',
        f'!(caller in process("{target.program}"))',
        f'caller in process("{target.library}") || caller in library("{target.other}")',
        f'caller is process("{target.program}").function("*")',
        f'within process("{target.program}").function("from_deep")',
        f'within process("{target.program}").function("deep") && caller is process("{target.program}").function("from_*")',
        f'!within process("{target.program}").function("from_main")',
        f'within library("{target.other}").function("from_other")',
        'within function("from_own")',
    ]


def answers(calls: Calls) -> list[int]:
    libraries = calls.own + calls.other
    program = calls.main + calls.deep
    return [
        calls.main, calls.own, calls.other, libraries, libraries, program, calls.deep, calls.deep,
        calls.all - calls.main, calls.other, calls.own,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "without",
    [
        (),
        ("task_vma_iterator",),
        ("uprobe_multi",),
        *(pytest.param((name,), marks=pytest.mark.slow) for name in ("sleepable", "iterators", "session")),
    ],
    ids="-".join,
)
def test_at_an_entry(
    without: tuple[str, ...], ask: Callable[..., tuple[list[int], Calls]], target: Target, requires: Requires
) -> None:
    requires("task_vma_iterator", "find_vma", "uprobe_multi")
    counted, calls = ask(questions_of(target), *(f"--without={name}" for name in without))
    assert counted == answers(calls)


@pytest.mark.parametrize(
    "without", [(), pytest.param(("uprobe_multi",), marks=pytest.mark.slow)], ids="-".join
)
def test_at_a_return(
    without: tuple[str, ...], ask: Callable[..., tuple[list[int], Calls]], target: Target, requires: Requires
) -> None:
    requires("task_vma_iterator", "uprobe_multi")
    point = f'process("{target.library}").function("callee").return'
    counted, calls = ask(
        questions_of(target), *(f"--without={name}" for name in without), point=point, deepest=SHALLOW
    )
    assert counted == answers(calls)


def test_at_many_places_by_one_program(ask: Callable[..., tuple[list[int], Calls]], target: Target) -> None:
    point = f'process("{target.library}").function("[cf]*")'
    counted, calls = ask(
        ['caller is function("from_own")', f'caller in process("{target.library}")'], point=point
    )
    assert counted[0] == calls.own
    assert counted[1] == calls.own


def test_of_a_program_that_the_dynamic_linker_was_told_to_run(
    ask: Callable[..., tuple[list[int], Calls]], target: Target, requires: Requires
) -> None:
    requires("task_vma_iterator")
    if not os.path.exists(INTERPRETER):
        pytest.skip("another dynamic linker")
    counted, calls = ask(questions_of(target), before=INTERPRETER)
    assert counted == answers(calls)


def test_in_a_process_that_is_a_copy(ask: Callable[..., tuple[list[int], Calls]], target: Target) -> None:
    counted, calls = ask(questions_of(target), behind="fork")
    assert counted == answers(calls)


def test_a_return_probe_of_somebody_else_hides_nobody(
    ask: Callable[..., tuple[list[int], Calls]], target: Target, requires: Requires
) -> None:
    requires("task_vma_iterator")
    symbols = subprocess.run(["nm", target.library], capture_output=True, text=True, check=True).stdout
    (address,) = [int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(" T callee")]
    foreign = perf.open_uprobe(target.library, address, is_return=True, pid=-1)
    try:
        perf.enable(foreign)
        counted, calls = ask(questions_of(target))
    finally:
        os.close(foreign)
    assert counted == answers(calls)


def test_a_kernel_that_cannot_find_areas_is_told_of(
    probelang: Run, target: Target, requires: Requires
) -> None:
    requires("root", "ring_buffer")
    point = f'process("{target.library}").function("callee")'
    script = f'probe {point} when (caller in library("{target.other}")) {{ exit() }}'
    words = ("--without=task_vma_iterator", "--without=find_vma")
    result = probelang("-c", f"{target.program} 1 1", *words, "-e", script)
    assert result.status == 1
    assert "task_vma_iterator" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_layout_says_which_way_and_why(probelang: Run, target: Target) -> None:
    point = f'process("{target.library}").function("callee")'
    tests = " || ".join(f"({q})" for q in questions_of(target)[:4])
    shown = probelang("--emit", "layout", "-e", f"probe {point} when ({tests}) {{ exit() }}").stdout
    assert 'caller is function("from_own"): same module, 1 range' in shown.replace("\\", "")
    assert "main executable, 1 range" in shown
    assert "memory area, 1 range" in shown
    assert "main executable, all code" in shown


# ------------------------------------------------------------------------------------------------------ ranges


def random_ranges(count: int, bits: int, seed: int) -> list[tuple[int, int]]:
    bounds = sorted(random.Random(seed).sample(range(1 << bits), 2 * count))
    return list(zip(bounds[::2], bounds[1::2], strict=True))


@pytest.mark.parametrize(
    ("count", "bits"),
    [(1, 20), (2, 20), (FEW, 20), (FEW + 1, 20), (64, 20), (1000, 16), (1000, 31), (100, 40)],
)
def test_an_offset_is_found_in_ranges(count: int, bits: int, requires: Requires) -> None:
    requires("root", "ring_buffer")
    ranges = random_ranges(count, bits, count)

    def write(e: Emitter, values: list[Value]) -> Value:
        return inside(e, values[0], ranges)

    starts = [low for low, _ in ranges]
    chosen = random.Random(1)
    offsets = [
        bound + step
        for pair in chosen.sample(ranges, min(count, 40))
        for bound in pair
        for step in (-1, 0, 1)
    ]
    offsets += [0, -1, 1 << 32, 1 << 62, -(1 << 63), ranges[0][0] - (1 << 40), ranges[-1][1] + (1 << 33)]
    offsets += [chosen.randrange(1 << bits) for _ in range(50)]
    with Machine({"inside": (("offset",), Inline(write))}) as machine:
        for offset in offsets:
            index = bisect_right(starts, offset) - 1
            expected = index >= 0 and offset < ranges[index][1]
            assert machine.call("inside", offset) == int(expected), hex(offset)
