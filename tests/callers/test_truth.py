"""Predicates of callers against programs that count for themselves, to the last hit, however they are built and whoever runs them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probelang.options import Backend
from tests.callers.conftest import Build
from tests.conftest import only

pytestmark = pytest.mark.kernel

Check = Callable[..., None]
ROUNDS = {"kernel": 2000, "ptrace": 20}
"""A hit costs a hundred times as much with ptrace."""

EVERY_WAY = [
    f"{language} {level} {position} {debug}".strip()
    for language in ("c", "c++")
    for level in ("-O0", "-O1", "-O2", "-O3")
    for position in ("-pie", "-no-pie")
    for debug in ("-g", "")
]
PROGRAMS = ["plain", "shared", "plugin", "inside", "throws", "coroutines"]
OTHER_WAYS = [
    "c -O2 -pie -g -fomit-frame-pointer -fno-plt",
    "c -O2 -pie -g -fno-omit-frame-pointer",
    "c -O2 -pie -g -fcf-protection -Wl,-z,now",
    "c -O2 -pie -g -Wl,-z,noseparate-code",
    "c -O2 -pie -gdwarf-4 -g -gz",
    "c -O2 -no-pie -g -static-libgcc -ffunction-sections",
    "c -O2 -pie -g -falign-functions=1",
]


SOME = [
    ("plain", "c -O2 -pie -g"),
    ("plain", "c++ -O0 -no-pie"),
    ("shared", "c -O3 -pie -g -fcf-protection"),
    ("plugin", "c++ -O1 -no-pie -g"),
    ("inside", "c -O2 -pie -g"),
    ("throws", "c++ -O2 -pie -g"),
    ("coroutines", "c -O2 -pie"),
]


def every(ways: list[str]) -> list[tuple[str, str]]:
    """No program is built for the language that it is not written in."""
    return [(name, way) for name in PROGRAMS for way in ways if name != "throws" or "c++" in way.split()]


def rounds(name: str, backend: Backend) -> int:
    """Coroutines take many turns in each."""
    return ROUNDS[backend] // 10 if name == "coroutines" else ROUNDS[backend]


@pytest.mark.parametrize(("name", "way"), SOME)
def test_every_claim_holds(name: str, way: str, built: Build, check: Check, backend: Backend) -> None:
    check(built(name, way), f"{{program}} -n {rounds(name, backend)}")


def test_on_signal_stacks_above_the_interrupted_one(built: Build, check: Check, backend: Backend) -> None:
    check(built("inside", "c -O2 -pie -g"), f"{{program}} -t 2 -n {200 if backend == 'kernel' else 4}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), every([*EVERY_WAY, *OTHER_WAYS]))
def test_every_claim_holds_in_every_way(
    name: str, way: str, built: Build, check: Check, backend: Backend
) -> None:
    check(built(name, way), f"{{program}} -n {rounds(name, backend)}")


SOMETIMES = pytest.mark.slow


@pytest.mark.parametrize(
    "name", ["inside", *(pytest.param(name, marks=SOMETIMES) for name in ("shared", "plain", "plugin"))]
)
def test_while_threads_map_and_unmap(name: str, built: Build, check: Check, backend: Backend) -> None:
    threads, times = (4, ROUNDS[backend]) if backend == "kernel" else (2, 4)
    check(built(name, "c -O2 -pie -g"), f"{{program}} -t {threads} -m -n {times}")


@pytest.mark.parametrize("name", ["shared", pytest.param("plain", marks=SOMETIMES)])
def test_in_two_processes_at_once_their_children_and_what_they_become(
    name: str, built: Build, check: Check, backend: Backend
) -> None:
    one = f"{{program}} -n {500 if backend == 'kernel' else 4} -f 1 -e 1"
    check(built(name, "c -O2 -pie -g"), f"sh -c '{one} & {one} -t 2 -m & wait'")


@only("kernel", "how many run a handler at the same time")
@pytest.mark.slow
def test_of_a_hundred_threads(built: Build, check: Check, backend: Backend) -> None:
    check(built("plain", "c -O2 -pie -g"), "{program} -t 100 -m -n 200")


@only("kernel", "how a program searches among thousands of ranges")
@pytest.mark.parametrize("way", ["c -O1", pytest.param("c -O2 -g", marks=pytest.mark.slow)])
def test_thousands_of_callers(way: str, built: Build, check: Check, backend: Backend) -> None:
    check(built("many", way), "{program} -n 5")
