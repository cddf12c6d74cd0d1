"""Where a probe of unoptimised code reads its parameters: gdb, stopped there, finds what the program says it passed, once a call."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from probelang.dwarf.files import Debug, Files
from probelang.dwarf.lines import LineTable
from probelang.target.prologue import entry_address, prologue_end
from tests.target.parameters import CPP, C, said, values_at

needs_gdb = pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
ELSEWHERE = {"_ZN6SimpleC1Ei", "_ZNK4Base3getEi"}
"""Called by what is looked at (the constructor of whole objects), or not at all."""
LOOPS = {"loop_first", "forever_first", "one_line", "goto_first"}
"""The first statement of these is where their loop goes back to."""


def build(folder: Path, compiler: str, *flags: str, source: str = C) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    text = folder / ("x.cpp" if source is CPP else "x.c")
    text.write_text(source)
    program = folder / "x"
    command = [compiler, "-w", "-no-pie", *flags, "-o", str(program), str(text)]
    subprocess.run(command, check=True, capture_output=True)
    return program


def opened(program: Path) -> Debug:
    debug = Files().debug(str(program))
    assert debug is not None
    return debug


def ends(debug: Debug) -> dict[str, tuple[int, int]]:
    """Entry and end of the prologue of every function with parameters."""
    found: dict[str, tuple[int, int]] = {}
    for unit in debug.info.units:
        for low, _, entry in debug.functions.of(unit.full):
            scope = debug.scope(low, entry.offset)
            if scope is not None and scope.parameters() and scope.name not in ("main", "use"):
                found[scope.name] = entry_address(entry), prologue_end(debug, scope)
    return found


GCC = [
    ("-O0",),
    ("-O0", "-fstack-protector-all", "-fcf-protection=full", "-gdwarf-4"),
    ("-O0", "-fstack-clash-protection", "-fomit-frame-pointer", "-gdwarf-3"),
    ("-O0", "-pg"),
    ("-O0", "-mavx2", "-mstackrealign", "-fno-asynchronous-unwind-tables", "-gdwarf-2"),
]
CLANG = [
    ("-O0",),
    ("-O0", "-fomit-frame-pointer", "-gdwarf-4"),
    ("-O0", "-fstack-protector-all", "-mstackrealign"),
    ("-O0", "-mavx2", "-fcf-protection=full"),
]
CASES = [("gcc", flags) for flags in GCC] + [("clang", flags) for flags in CLANG]


@needs_gdb
@pytest.mark.parametrize(("compiler", "flags"), CASES, ids=lambda v: v if isinstance(v, str) else " ".join(v))
def test_parameters_are_there_and_each_call_passes_once(
    tmp_path: Path, compiler: str, flags: tuple[str, ...]
) -> None:
    program = build(tmp_path, compiler, "-g", *flags)
    found = ends(opened(program))
    moved = {end: name for name, (entry, end) in found.items() if end != entry}
    expected = [line for line in said(program) if line.split()[0] in moved.values()]
    assert values_at(program, moved) == expected
    assert Counter(line.split()[0] for line in expected)["recursive"] == 15


def test_most_functions_have_such_an_address(tmp_path: Path) -> None:
    found = ends(opened(build(tmp_path, "gcc", "-g", "-O0")))
    assert {name for name, (entry, end) in found.items() if entry == end} == LOOPS


def test_in_optimised_code_a_store_of_something_else_is_not_the_parameter(tmp_path: Path) -> None:
    entry, end = ends(opened(build(tmp_path, "gcc", "-g", "-O2")))["overwritten"]
    assert end == entry


@needs_gdb
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_methods_constructors_and_templates(tmp_path: Path, compiler: str) -> None:
    program = build(tmp_path, compiler, "-g", "-O0", source=CPP)
    debug = opened(program)
    names = {line.split()[0] for line in said(program)}
    moved: dict[int, str] = {}
    for unit in debug.info.units:
        for low, _, entry in debug.functions.of(unit):
            scope = debug.scope(low, entry.offset)
            if scope is None or scope.name not in names or scope.linkage_name in ELSEWHERE:
                continue
            end = prologue_end(debug, scope)
            assert end != low, scope.name
            moved[end] = scope.name
    assert values_at(program, moved, is_cpp=True) == said(program)


def test_without_lines_it_is_the_entry(tmp_path: Path) -> None:
    debug = opened(build(tmp_path, "gcc", "-g", "-O0"))
    scopes = [debug.scope(low, e.offset) for u in debug.info.units for low, _, e in debug.functions.of(u)]
    plain = next(s for s in scopes if s is not None and s.name == "plain")
    plain.unit.__dict__["_lines"] = LineTable((), ())
    assert prologue_end(debug, plain) == entry_address(plain.function)
