"""Call sites that debug information describes, beside the call instructions that objdump shows."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from probelang.dwarf.callsites import call_sites, within
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.instances import find_instances
from probelang.dwarf.types import own_name
from tests.conftest import Compile

SOURCE = """
#include <stdlib.h>
volatile long sink;
__attribute__((noipa)) long one(long n) { sink = n; return n + 1; }
__attribute__((noipa)) long two(long n) { sink = n; return n + 2; }
static inline __attribute__((always_inline)) long both(long n) { return one(n) * two(n + 1); }
__attribute__((noipa)) long caller(long n, long (*f)(long)) {
    long s = one(n) + f(n);
    for (long i = 0; i < n; i++) s += both(i);
    free((void *)sink);
    return s + two(s);
}
__attribute__((noipa)) long ends(long n) { sink++; return one(n); }
int main(int argc, char **argv) { return caller(argc, two) + ends(argc) == 0; }
"""


@pytest.fixture(scope="module", params=["-gdwarf-4", "-gdwarf-5"])
def program(request: pytest.FixtureRequest, compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O2", str(request.param), name=f"calls{request.param}")


def debug_of(path: Path) -> Debug:
    found = Files().debug(str(path))
    assert found is not None
    return found


def described(debug: Debug, function: str) -> set[tuple[str, int]]:
    """Name of the callee and return address."""
    found: set[tuple[str, int]] = set()
    for instance in find_instances(debug, function):
        for site in call_sites(instance.entry):
            if site.return_address is not None:
                found.add((own_name(site.callee) if site.callee is not None else "", site.return_address))
    return found


def calls(path: Path, function: str) -> set[tuple[str, int]]:
    """The same from the instructions: the one behind each call."""
    shown = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", str(path)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    rows = re.findall(r"^ +([0-9a-f]+):\t(\S+) *(.*)$", shown, re.MULTILINE)
    found: set[tuple[str, int]] = set()
    for (_, word, operand), (behind, _, _) in pairwise(rows):
        if word == "call":
            name = re.search(r"<(\w+)(?:@plt)?>", operand)
            found.add((name[1] if name is not None else "", int(behind, 16)))
    return found


@pytest.mark.parametrize("function", ["caller", "main", "ends"])
def test_every_call_and_where_it_returns_to(program: Path, function: str) -> None:
    assert described(debug_of(program), function) == calls(program, function)


def test_calls_of_inlined_code_belong_to_the_function_around_it_and_to_the_copy(program: Path) -> None:
    debug = debug_of(program)
    (copy,) = [i for i in find_instances(debug, "both") if i.inlined]
    names = {own_name(site.callee) for site in call_sites(copy.entry) if site.callee is not None}
    assert names == {"one", "two"}
    assert described(debug, "both") < described(debug, "caller")


def test_a_jump_in_place_of_a_call_returns_nowhere(program: Path) -> None:
    (function,) = find_instances(debug_of(program), "ends")
    sites = call_sites(function.entry)
    assert [(own_name(s.callee) if s.callee else "", s.return_address) for s in sites] == [("one", None)]


def test_what_lies_in_a_function_is_walked_with_or_without_inlined_copies(program: Path) -> None:
    (function,) = [i for i in find_instances(debug_of(program), "caller") if not i.inlined]
    everything, own = list(within(function.entry, inlined=True)), list(within(function.entry, inlined=False))
    assert {e.offset for e in own} < {e.offset for e in everything}
    assert {e.offset for e in everything} == {e.offset for e in function.entry.descendants()}
