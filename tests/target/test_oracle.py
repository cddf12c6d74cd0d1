"""Every variable at every instruction of the corpus in tests/target/oracle, as gdb has it and as our code finds it: the same value, or
optimised out for both. The full run is marked slow.

Not compared as numbers, but counted and named in the report:

- what is in vector registers: probes cannot read them; a register that holds gdb's value has to exist
- numbers that compilers describe by floating point arithmetic, which probes cannot do
- parameters at a function's first instruction that are described by where they will be stored: gdb shows what happens to be there,
  ours is compared with what gdb finds where they have been stored
- values passed by the code of another file, whose debug information our code does not look at
- values passed to a function that is in its third recursion or deeper: our code looks through one or two
- thread-local variables of static programs, which gdb does not find
- where gdb is wrong, or knows less: it takes the missing last pieces of a value for 0; in an inlined function it reads registers of the function
  around it where those of the caller are meant; it refuses some arithmetic of LLVM's ("Incompatible types on DWARF stack"), and
  stops working at references in structs that are in pieces (coerce_pieced_ref); where a call is described without its target,
  as those of destructors, it does not know what was called, where our code reads the call instruction
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pytest

ORACLE = Path(__file__).parent / "oracle"
COMPARED = (
    "number", "number passed", "in a vector register", "<optimized out>", "<synthetic pointer>", "<unreadable>"
)  # fmt: skip
MOST_NAMED = 0.08
"""The part of all values that may be named exceptions."""


class Report(TypedDict):
    ended: bool
    stops: int
    pairs: int
    values: dict[str, int]
    differences: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Program:
    compiler: str
    level: str
    source: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.compiler, self.level, self.source, *self.options))

    def build(self, folder: Path) -> list[Path]:
        """The program, and the library that it calls."""
        program = folder / "program"
        words = [self.compiler, "-g", "-w", self.level, *self.options]
        if self.source == "library.c":
            library = folder / "library.so"
            compiled(folder, *words, "-shared", "-fPIC", "-o", str(library), str(ORACLE / self.source))
            compiled(folder, *words, "-DPROGRAM", "-o", str(program), str(ORACLE / self.source), str(library))
            return [program, library]
        standard = ["-std=c++17"] if self.source.endswith("cpp") else []
        compiled(folder, *words, *standard, "-o", str(program), str(ORACLE / self.source))
        return [program]


def compiled(folder: Path, *command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    subprocess.run(command, check=True, cwd=folder)


def pairs_of(compilers: str, source: str) -> Iterator[Program]:
    for compiler in compilers.split():
        for level in ("-O0", "-O1", "-O2", "-O3", "-Os"):
            yield Program(compiler, level, source)


QUICK = [
    Program("gcc", "-O2", "library.c"),
    Program("clang", "-O1", "library.c", ("-gdwarf-4",)),
    Program("g++", "-O2", "classes.cpp", ("-no-pie",)),
]
EVERY = [
    *pairs_of("gcc clang", "plain.c"),
    *pairs_of("g++ clang++", "classes.cpp"),
    *pairs_of("gcc clang", "library.c"),
    *(
        Program(compiler, level, "plain.c", options)
        for compiler in ("gcc", "clang")
        for level, options in (
            ("-O2", ("-gdwarf-4", "-no-pie")),
            ("-O1", ("-gsplit-dwarf", "-gdwarf-4")),
            ("-O2", ("-static",)),
            ("-O0", ("-static", "-gdwarf-4")),
            ("-O3", ("-march=x86-64-v3", "-fomit-frame-pointer")),
        )
    ),
    # gdb 13 finds nothing in the location lists of LLVM's split files of version 5
    Program("g++", "-O1", "classes.cpp", ("-gsplit-dwarf", "-gdwarf-5")),
    Program("clang++", "-O2", "classes.cpp", ("-static", "-fdebug-types-section")),
]


@pytest.fixture(scope="session")
def gdb() -> str:
    """One that has Python 3.11 or later."""
    path = shutil.which("gdb")
    if path is None:
        pytest.skip("needs gdb")
    asked = subprocess.run(
        [path, "-nx", "-q", "-batch", "-ex", "python import sys; print(sys.version_info >= (3, 11))"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if asked.stdout.strip() != "True":
        pytest.skip("needs gdb with Python 3.11 or later")
    return path


def report_of(gdb: str, program: Program, folder: Path) -> Report:
    files = program.build(folder)
    result = folder / "report.json"
    environment = {
        **os.environ,
        "ORACLE_FILES": ":".join(map(str, files)),
        "ORACLE_RESULT": str(result),
        "ORACLE_PATH": ":".join(path for path in sys.path if path.endswith("site-packages")),
    }
    words = [gdb, "-nx", "-q", "-batch", "-x", str(ORACLE / "driver.py"), str(files[0])]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert result.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    report: Report = json.loads(result.read_text())
    assert report["ended"], done.stdout[-3000:] + done.stderr[-3000:]
    return report


def check(program: Program, report: Report, least: int) -> None:
    values = Counter(report["values"])
    print(f"{program}: {report['pairs']} pairs at {report['stops']} stops: {dict(values)}")
    assert not report["differences"], report["differences"][:20]
    assert report["pairs"] >= least
    assert values.total() - sum(values[known] for known in COMPARED) <= MOST_NAMED * values.total()


@pytest.mark.parametrize("program", QUICK, ids=str)
def test_values_are_those_of_gdb(gdb: str, program: Program, tmp_path: Path) -> None:
    check(program, report_of(gdb, program, tmp_path), 300)


@pytest.mark.slow
@pytest.mark.parametrize("program", EVERY, ids=str)
def test_values_are_those_of_gdb_everywhere(gdb: str, program: Program, tmp_path: Path) -> None:
    check(program, report_of(gdb, program, tmp_path), 300 if program.source == "library.c" else 3000)
