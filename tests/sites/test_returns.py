"""Where functions return: every `ret` that a function reaches, and what must not be taken for a return of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.functions import find_functions
from probelang.sites.returns import Exits, Returns, calls_through_pointer
from tests.conftest import Compile

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#define APART __attribute__((noinline))
static volatile int sink;
APART int leaf(int n) { sink += n; return n < 3 ? n * 3 : sink; }
APART int calls(int n) { return leaf(n) + leaf(n + 1) + sink; }
APART int jumps(int n) { sink++; return calls(n + 1); }
APART int leaves_the_file(int n) { sink++; return putchar(n); }
APART int through_pointer(int (*f)(int), int n) { sink++; return f(n); }
APART int calls_pointer(int (*f)(int), int n) { return f(n) + sink; }
APART int chooses(int n) {
  switch (n) {
    case 0: sink += leaf(2); break;
    case 1: sink = 7; return calls(3) + 1;
    case 2: sink ^= calls(4); break;
    case 3: return leaf(1) - sink;
    case 4: sink -= leaf(1); break;
    case 5: sink = calls(9) * leaf(2); break;
    case 6: return sink;
  }
  return leaf(n) + sink;
}
int (*const table[])(int) = {leaf, calls, jumps, leaf, calls, jumps};
APART int chooses_function(int n) { sink++; return table[n](n); }
__attribute__((noinline, cold)) void fails(int n) { printf("%d\n", n); }
APART int cold_part(int n) {
  if (__builtin_expect(n > 1000, 0)) { fails(n); fails(n + sink); return calls(n) + n; }
  return calls(n) + calls(n - 1);
}
int main(int argc, char **argv) {
  return leaf(argc) + calls(argc) + jumps(argc) + leaves_the_file(argc) + through_pointer(leaf, argc) + chooses(argc)
    + chooses_function(argc) + calls_pointer(leaf, argc) + cold_part(argc);
}
"""
FLAGS = ["-O0", "-O1", "-O2", "-O2 -fcf-protection=full", "-O2 -no-pie -fno-pie", "-O3", "-Os"]


@pytest.fixture(scope="module", params=FLAGS)
def program(request: pytest.FixtureRequest, compile_c: Compile) -> Path:
    number = FLAGS.index(request.param)
    return compile_c(SOURCE, *request.param.split(), name=f"returns{number}")


@pytest.fixture
def binary(program: Path) -> Binary:
    return open_binary(str(program))


def exits(binary: Binary, name: str) -> Exits:
    (function,) = find_functions(binary, name)
    return Returns(binary).of(function.address)


def shown(program: Path, *names: str) -> list[int]:
    """The `ret` instructions of symbols, by objdump."""
    text = subprocess.run(["objdump", "-d", program], check=True, capture_output=True, text=True).stdout
    found: list[int] = []
    inside = False
    for line in text.splitlines():
        if line.endswith(">:"):
            inside = line.split("<")[1][:-2] in names
        elif inside and line.split("\t")[-1].split()[:1] in (["ret"], ["retq"]):
            found.append(int(line.split(":")[0], 16))
    return sorted(found)


@pytest.mark.parametrize("name", ["leaf", "calls", "calls_pointer", "main"])
def test_every_return_of_a_function_is_found(program: Path, binary: Binary, name: str) -> None:
    found = exits(binary, name)
    assert found.refusal is None
    assert list(found.returns) == shown(program, name) != []


def test_a_switch_does_not_leave_the_function(program: Path, binary: Binary) -> None:
    found = exits(binary, "chooses")
    assert found.refusal is None
    assert list(found.returns) == shown(program, "chooses")


def test_a_part_that_lies_apart_belongs_to_its_function(program: Path, binary: Binary) -> None:
    found = exits(binary, "cold_part")
    assert found.refusal is None
    assert list(found.returns) == shown(program, "cold_part", "cold_part.cold")


def test_what_calls_nothing_is_no_way_for_exceptions(binary: Binary) -> None:
    assert not exits(binary, "leaf").calls
    assert exits(binary, "calls").calls and not exits(binary, "calls").through_pointer
    assert exits(binary, "calls_pointer").through_pointer


@pytest.mark.parametrize("name", ["jumps", "leaves_the_file", "through_pointer", "chooses_function"])
def test_a_function_that_is_left_by_a_jump_returns_elsewhere(
    program: Path, binary: Binary, name: str
) -> None:
    found = exits(binary, name)
    (function,) = find_functions(binary, name)
    text = subprocess.run(
        ["objdump", "-d", f"--disassemble={function.symbol}", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if "ret" in text.split(f"<{function.symbol}>:")[1].split():
        assert found.refusal is None and list(found.returns) == shown(program, name)
    else:
        assert found.refusal is not None and "left by a jump" in found.refusal.reason


def test_without_symbols_the_unwind_table_tells(program: Path, binary: Binary, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run(["strip", "-o", str(bare), str(program)], check=True)
    (function,) = find_functions(binary, "calls")
    assert Returns(open_binary(str(bare))).of(function.address).returns == exits(binary, "calls").returns
    assert Returns(open_binary(str(bare))).of(function.address + 1).refusal is not None


def test_functions_that_call_what_they_are_given(binary: Binary) -> None:
    by_name = {name: find_functions(binary, name)[0].address for name in ("leaf", "calls", "calls_pointer")}
    assert {name for name, address in by_name.items() if calls_through_pointer(binary, address)} == {
        "calls_pointer"
    }
