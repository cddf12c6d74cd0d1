"""Lines of instructions and instructions of lines: as binutils reads them, and each instruction of a table built in memory."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.dwarf.entry import Unit
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.image import BinaryError
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.lines import LineRow, LineTable, file_matches, line_table, source_files

HEADER = """
static inline __attribute__((always_inline)) int square(int x) {
    int y = x * x;
    return y;
}
"""
C = """
#include <stdio.h>
#include "inc/header.h"
volatile int sink;
int sum(int *a, int n)
{
    int s = 0;
    for (int i = 0; i < n; i++)
        s += square(a[i]);
    sink = square(s);
    return s;
}
int main(int argc, char **argv) {
    int a[] = {argc, 2, 3};
    switch (argc) { case 1: sink = 5; break; case 2: sink = 7; break; default: puts("?"); }
    return sum(a, 3) == 1;
}
"""
CPP = """
#include <string>
#include <stdexcept>
#include <vector>
template <typename T> T twice(T x) { return x + x; }
struct A { std::string s; explicit A(const char *t) : s(t) {} ~A() { s.clear(); } };
int f(int x) {
    A a("f");
    if (x > 2) throw std::runtime_error("x");
    return twice(x);
}
int main(int argc, char **) {
    std::vector<int> v{1, 2, argc};
    try { return f(v[2]) + (int)twice(2.5); } catch (std::exception &e) { return 1; }
}
"""


def build(folder: Path, compiler: str, *flags: str, cpp: bool = False) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    (folder / "inc").mkdir(exist_ok=True)
    (folder / "inc" / "header.h").write_text(HEADER)
    name = "x.cpp" if cpp else "x.c"
    (folder / name).write_text(CPP if cpp else C)
    subprocess.run([compiler, *flags, "-o", "x", name], check=True, capture_output=True, cwd=folder)
    return folder / "x"


def opened(program: Path) -> Debug:
    debug = Files().debug(str(program))
    assert debug is not None
    return debug


def tables(program: Path) -> list[LineTable]:
    return [line_table(unit) for unit in opened(program).info.units]


def all_rows(program: Path) -> list[LineRow]:
    return [row for table in tables(program) for row in table.rows]


# ------------------------------------------------------------------------------------------------ beside binutils

ROW = re.compile(r"^(\S.*?)\s+(\d+|-)\s+(0x[0-9a-f]+|0)(?:\[\d+\])?(?:\s+\d+)?\s*(x)?(?: +END)?\s*$")


def readelf_rows(program: Path) -> list[tuple[int, str, int | None, bool]]:
    """Address, file without folder, line (None where code ends), whether a statement begins."""
    command = ["readelf", "--debug-dump=decodedline", "-W", str(program)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows: list[tuple[int, str, int | None, bool]] = []
    for line in text.splitlines():
        if found := ROW.match(line):
            number = None if found[2] == "-" else int(found[2])
            rows.append((int(found[3], 16), found[1].rpartition("/")[2], number, found[4] is not None))
    return rows


def as_readelf(row: LineRow) -> tuple[int, str, int | None, bool]:
    name = row.file.rpartition("/")[2]
    return (row.address, name, None if row.end_sequence else row.line, row.is_stmt and not row.end_sequence)


CASES = [("gcc", f"-gdwarf-{v}") for v in (2, 3, 4, 5)] + [("clang", f"-gdwarf-{v}") for v in (2, 3, 4, 5)]
needs_readelf = pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")


@needs_readelf
@pytest.mark.parametrize(("compiler", "version"), CASES)
def test_rows_are_those_of_readelf(tmp_path: Path, compiler: str, version: str) -> None:
    program = build(tmp_path, compiler, "-O2", version)
    assert sorted(map(as_readelf, all_rows(program)), key=str) == sorted(readelf_rows(program), key=str)


@needs_readelf
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_rows_of_cpp_with_sections_for_each_function(tmp_path: Path, compiler: str) -> None:
    program = build(tmp_path, compiler, "-O1", "-g", "-ffunction-sections", cpp=True)
    rows = all_rows(program)
    assert len(rows) > 40
    assert sorted(map(as_readelf, rows), key=str) == sorted(readelf_rows(program), key=str)


@needs_readelf
@pytest.mark.parametrize(
    ("compiler", "flag"), [("gcc", "-gdwarf64"), ("clang", "-gdwarf64"), ("gcc", "-gsplit-dwarf")]
)
def test_64_bit_and_split_tables(tmp_path: Path, compiler: str, flag: str) -> None:
    program = build(tmp_path, compiler, "-O2", "-g", flag)
    assert sorted(map(as_readelf, all_rows(program)), key=str) == sorted(readelf_rows(program), key=str)


def test_a_split_unit_has_the_lines_of_its_skeleton(tmp_path: Path) -> None:
    info = opened(build(tmp_path, "gcc", "-O0", "-g", "-gsplit-dwarf")).info
    skeleton = info.units[0]
    assert skeleton.full is not skeleton
    assert line_table(skeleton.full) is line_table(skeleton)
    assert source_files(skeleton.full) == source_files(skeleton)


@pytest.mark.parametrize(("compiler", "version"), CASES)
def test_the_row_at_an_address_is_what_addr2line_says(tmp_path: Path, compiler: str, version: str) -> None:
    if shutil.which("addr2line") is None:
        pytest.skip("needs addr2line")
    program = build(tmp_path, compiler, "-O2", version)
    addresses = sorted({r.address + d for r in all_rows(program) if not r.end_sequence for d in (0, 1)})
    command = ["addr2line", "-e", str(program), *map(hex, addresses)]
    answers = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    info = opened(program).info
    for address, answer in zip(addresses, answers, strict=True):
        unit = info.unit_at(address)
        row = line_table(unit).row_at(address) if unit is not None else None
        assert row is not None
        path, _, line = answer.split(" (")[0].rpartition(":")
        assert (str(Path(path)), line.replace("?", "0")) == (row.file, str(row.line)), hex(address)


@pytest.mark.parametrize(("compiler", "version"), CASES)
def test_files_are_full_paths_by_their_number(tmp_path: Path, compiler: str, version: str) -> None:
    info = opened(build(tmp_path, compiler, "-O2", version)).info
    files = source_files(info.units[0])
    assert files[0] == f"{tmp_path}/x.c"
    assert f"{tmp_path}/inc/header.h" in files
    square = next(e for e in info.units[0].root.children() if e.text(0x03) == "square")
    assert files[square.number(0x3A) or 0] == f"{tmp_path}/inc/header.h"


# ---------------------------------------------------------------------------------------------- lines to addresses


def gdb_breaks(program: Path, lines: Iterable[int]) -> list[list[int]]:
    """Where gdb stops for each line of x.c."""
    if shutil.which("gdb") is None:
        pytest.skip("needs gdb")
    command = ["gdb", "-nx", "-q", "-batch"]
    for line in lines:
        command += [
            "-ex",
            "delete",
            "-ex",
            f"break x.c:{line}",
            "-ex",
            "echo \\n----",
            "-ex",
            "info breakpoints",
        ]
    text = subprocess.run([*command, str(program)], capture_output=True, text=True, check=True).stdout
    return [[int(a, 16) for a in re.findall(r" (0x[0-9a-f]{16}) ", part)] for part in text.split("----")[1:]]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_gdb_stops_where_statements_begin(tmp_path: Path, compiler: str) -> None:
    # only in unoptimised code: before an inlined call gdb sees a prologue, which it skips
    program = build(tmp_path, compiler, "-O0", "-g", "-no-pie")
    table = next(t for t in tables(program) if t.rows)
    lines = (7, 9, 10, 11, 14, 15, 16)
    for line, gdbs in zip(lines, gdb_breaks(program, lines), strict=True):
        ours = [row.address for row in table.statements("x.c", {line})]
        assert gdbs and set(gdbs) <= set(ours), line


def test_a_line_of_an_inlined_function_has_a_statement_in_each_copy(tmp_path: Path) -> None:
    program = build(tmp_path, "gcc", "-O1", "-g")
    table = next(t for t in tables(program) if t.rows)
    lines = {row.line for row in table.lines_of("header.h")}
    assert lines == {2, 3, 4}
    found = table.statements("inc/header.h", {3})
    assert len(found) >= 2
    assert all(row.is_stmt and row.line == 3 for row in found)


def test_statements_of_all_lines_are_in_order_and_differ(tmp_path: Path) -> None:
    for table in tables(build(tmp_path, "gcc", "-O2", "-g")):
        found = table.statements("*")
        places = [(row.address, row.line) for row in found]
        assert places == sorted(set(places))
        assert all(row.line and row.is_stmt and not row.end_sequence for row in found)


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [
        ("/src/a/x.c", "x.c", True),
        ("/src/a/x.c", "a/x.c", True),
        ("/src/a/x.c", "/src/a/x.c", True),
        ("/src/a/x.c", "./x.c", True),
        ("/src/a/xx.c", "x.c", False),
        ("/src/a/x.c", "/x.c", False),
        ("/src/a/x.c", "*.c", True),
        ("/src/a/x.c", "s?c/*/x.c", True),
        ("/src/a/x.c", "[a-c]/x.c", True),
        ("/src/a/x.c", "b/x.c", False),
        ("/src/a/x.c", "X.c", False),
        ("x.c", "x.c", True),
        ("/src/a/x.c", "*", True),
    ],
)
def test_patterns_of_files(path: str, pattern: str, matches: bool) -> None:
    assert file_matches(path, pattern) is matches


# ------------------------------------------------------------------------------------------------ built in memory

START = 0x401000


@dataclass(frozen=True)
class Lines:
    """A file with one unit whose lines are `line`; the unit's folder is /f, its name u.c."""

    line: bytes
    path: str = "/in/memory"
    alternate: None = None
    strings: bytes = b"\0"

    def section(self, name: str) -> bytes:
        abbreviations = (
            b"\x01\x11\0\x03\x08\x1b\x08\x10\x17\0\0\0"  # name, comp_dir: strings; stmt_list: sec_offset
        )
        body = struct.pack("<HIB", 4, 0, 8) + b"\x01u.c\0/f\0" + struct.pack("<I", 0)
        known = {
            ".debug_info": struct.pack("<I", len(body)) + body,
            ".debug_abbrev": abbreviations,
            ".debug_line": self.line,
            ".debug_line_str": self.strings,
        }
        return known.get(name, b"")

    def split(self, name: str, folder: str, identity: int) -> None:
        return None


LENGTHS = b"\0\x01\x01\x01\x01\0\0\0\x01\0\0\x01"


@dataclass(frozen=True)
class Facts:
    """Of a header."""

    version: int = 4
    minimum: int = 1
    most: int = 1
    base: int = 13
    span: int = 14
    is_64: bool = False


PLAIN = Facts()


def header(tables_: bytes, facts: Facts) -> tuple[bytes, bytes]:
    """What stands up to its length, and what is behind, with the tables."""
    rest = bytes((facts.minimum,)) + (bytes((facts.most,)) if facts.version >= 4 else b"")
    rest += (
        b"\x01\xfb" + bytes((facts.span, facts.base)) + (LENGTHS + b"\x02" * 20)[: facts.base - 1] + tables_
    )
    front = struct.pack("<H", facts.version) + (b"\x08\0" if facts.version >= 5 else b"")
    return front + struct.pack("<Q" if facts.is_64 else "<I", len(rest)), rest


OLD = b"inc\0/abs\0\0" + b"a.c\0\0\0\0" + b"h.h\0\x01\0\0" + b"k.h\0\x02\x05\x06" + b"\0"


def unit_of(program: bytes, tables_: bytes = OLD, facts: Facts = PLAIN, strings: bytes = b"\0") -> Unit:
    front, rest = header(tables_, facts)
    body = front + rest + program
    length = struct.pack("<IQ", 0xFFFFFFFF, len(body)) if facts.is_64 else struct.pack("<I", len(body))
    return DebugInfo(Lines(length + body, strings=strings)).units[0]


def run(program: bytes, facts: Facts = PLAIN) -> list[tuple[int, str, int, int]]:
    """Address from the start, name of the file, line, column."""
    rows = line_table(unit_of(SET + program + END, facts=facts)).rows
    return [(r.address - START, r.file, r.line, r.column) for r in rows if not r.end_sequence]


SET = b"\0\x09\x02" + struct.pack("<Q", START)
END = b"\0\x01\x01"
COPY = b"\x01"


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("is_64", [False, True])
def test_files_of_old_tables(version: int, is_64: bool) -> None:
    unit = unit_of(b"", facts=Facts(version, is_64=is_64))
    assert source_files(unit) == ("/f/u.c", "/f/a.c", "/f/inc/h.h", "/abs/k.h")


@pytest.mark.parametrize("is_64", [False, True])
def test_files_of_new_tables(is_64: bool) -> None:
    offset = struct.pack("<Q" if is_64 else "<I", 3)
    folders = b"\x01\x01\x08" + b"\x03" + b"/f\0../g\0/abs\0"  # path: string
    # path: line_strp, folder: udata, MD5: data16, size: data4 (of which one does not need to know)
    files = b"\x04\x01\x1f\x02\x0b\x05\x1e\x04\x06" + b"\x02"
    files += offset + b"\0" + b"m" * 16 + b"size" + offset + b"\x01" + b"m" * 16 + b"size"
    unit = unit_of(SET + COPY + END, folders + files, Facts(5, is_64=is_64), b"..\0x/../a.c\0")
    assert source_files(unit) == ("/f/a.c", "/g/a.c")
    assert line_table(unit).rows[0].file == "/g/a.c"  # the first register is 1, also where numbers begin at 0


@pytest.mark.parametrize(
    ("program", "rows"),
    [
        (COPY, [(0, "/f/a.c", 1, 0)]),
        (b"\x02\x85\x02" + COPY, [(0x105, "/f/a.c", 1, 0)]),  # advance_pc
        (b"\x03\x14" + COPY + b"\x03\x7f" + COPY, [(0, "/f/a.c", 21, 0), (0, "/f/a.c", 20, 0)]),
        (b"\x04\x02" + COPY, [(0, "/f/inc/h.h", 1, 0)]),
        (b"\x05\x11" + COPY, [(0, "/f/a.c", 1, 17)]),
        (b"\x08" + COPY, [(17, "/f/a.c", 1, 0)]),  # const_add_pc: (255 - 13) / 14
        (b"\x09\x34\x12" + COPY, [(0x1234, "/f/a.c", 1, 0)]),  # fixed_advance_pc
        (b"\x07\x0b\x0c\x07" + COPY, [(0, "/f/a.c", 1, 0)]),  # basic block, epilogue, isa
        (b"\x20", [(1, "/f/a.c", 1, 0)]),  # special: 32 - 13 = 14 + 5
        (b"\xff", [(17, "/f/a.c", 0, 0)]),
        (b"\0\x02\x04\x07" + COPY, [(0, "/f/a.c", 1, 0)]),  # set_discriminator
        (b"\0\x05\x80abc" + b"d" + COPY, [(0, "/f/a.c", 1, 0)]),  # of others
        (b"\0\x08\x03z.c\0\x01\0\0" + b"\x04\x04" + COPY, [(0, "/f/inc/z.c", 1, 0)]),  # define_file
        (b"\x04\x63" + COPY, [(0, "", 1, 0)]),  # no such file
    ],
)
def test_instructions(program: bytes, rows: list[tuple[int, str, int, int]]) -> None:
    assert run(program) == rows


def test_units_of_instructions_longer_than_a_byte_and_in_bundles() -> None:
    assert run(b"\x02\x03" + COPY, Facts(minimum=4)) == [(12, "/f/a.c", 1, 0)]
    # bundles of three operations: the fourth is in the second bundle (DWARF 5, 6.2.5.1)
    assert run(b"\x02\x02" + COPY + b"\x02\x02" + COPY, Facts(minimum=16, most=3)) == [
        (0, "/f/a.c", 1, 0),
        (16, "/f/a.c", 1, 0),
    ]
    assert run(b"\x20" * 4, Facts(minimum=16, most=3))[-1][0] == 16


def test_instructions_that_a_newer_standard_will_add_are_skipped() -> None:
    assert run(b"\x0d\x85\x02\x03" + COPY, Facts(base=14)) == [(0, "/f/a.c", 1, 0)]


def test_flags_of_rows() -> None:
    rows = line_table(unit_of(SET + b"\x0a" + COPY + COPY + b"\x06" + COPY + b"\x06" + COPY + END)).rows
    assert [(r.is_stmt, r.prologue_end, r.end_sequence) for r in rows] == [
        (True, True, False), (True, False, False), (False, False, False), (True, False, False), (True, False, True),
    ]  # fmt: skip


def test_sequences_are_put_in_order_and_start_afresh() -> None:
    second = b"\0\x09\x02" + struct.pack("<Q", START + 0x100) + b"\x03\x04" + COPY + b"\x02\x10" + END
    first = SET + b"\x03\x06" + COPY + b"\x02\x20" + COPY + b"\x02\x08" + END
    table = line_table(unit_of(second + first))
    assert [(r.address - START, r.line) for r in table.rows if not r.end_sequence] == [
        (0, 7),
        (0x20, 7),
        (0x100, 5),
    ]
    between = [(r.address - START, r.line) for r in table.between(START + 1, START + 0x100)]
    assert between == [(0x20, 7), (0x28, 7)]  # the second one ends the code
    lines = {
        a: row and row.line
        for a in (-1, 0, 0x1F, 0x27, 0x28, 0x100, 0x110)
        for row in [table.row_at(START + a)]
    }
    assert lines == {-1: None, 0: 7, 0x1F: 7, 0x27: 7, 0x28: None, 0x100: 5, 0x110: None}


def test_of_several_rows_at_an_address_the_last_holds_and_all_are_statements() -> None:
    table = line_table(unit_of(SET + COPY + b"\x03\x01" + COPY + b"\x02\x04" + COPY + END))
    row = table.row_at(START)
    assert row is not None and row.line == 2
    assert [(r.address - START, r.line) for r in table.statements("a.c")] == [(0, 1), (0, 2)]


def test_a_run_of_a_line_has_one_statement_the_first_that_debuggers_take() -> None:
    # line 1: not a statement, then one, then another; line 2; line 1 again
    program = (
        SET
        + b"\x06"
        + COPY
        + b"\x06\x02\x04"
        + COPY
        + b"\x02\x04"
        + COPY
        + b"\x02\x04\x03\x01"
        + COPY
        + b"\x02\x04\x03\x7f"
        + COPY
    )
    table = line_table(unit_of(program + b"\x02\x04" + END))
    assert [(r.address - START, r.line) for r in table.statements("a.c")] == [(4, 1), (12, 2), (16, 1)]
    assert [r.address - START for r in table.statements("a.c", {1})] == [4, 16]
    assert table.statements("b.c") == ()


@pytest.mark.parametrize("discarded", [0, (1 << 64) - 1, (1 << 64) - 2])
def test_code_that_the_linker_threw_away_has_no_rows(discarded: int) -> None:
    gone = b"\0\x09\x02" + struct.pack("<Q", discarded) + COPY + b"\x02\x10" + END
    assert [r.address for r in line_table(unit_of(gone + SET + COPY + END)).rows] == [START, START]


def test_a_unit_without_lines() -> None:
    class None_(Lines):
        def section(self, name: str) -> bytes:
            if name == ".debug_abbrev":
                return b"\x01\x11\0\x03\x08\x1b\x08\0\0\0"
            return super().section(name)

    unit = DebugInfo(None_(b"")).units[0]
    assert line_table(unit) == LineTable((), ())
    assert source_files(unit) == ()
    assert line_table(unit).row_at(5) is None


# ------------------------------------------------------------------------------------------------------- damaged


def damaged() -> Iterator[bytes]:
    front, rest = header(OLD, PLAIN)
    whole = struct.pack("<I", len(front + rest + SET)) + front + rest + SET
    yield whole[:-1]  # longer than its section
    yield whole[:3]
    yield b""
    yield struct.pack("<I", 20) + b"\x09\0" + b"\0" * 30  # version 9
    yield struct.pack("<IHI", 10, 4, 0xFFFF) + b"\0" * 30  # a header longer than its table
    yield struct.pack("<IHI", 10, 4, 2) + b"\x01\x01" + b"\0" * 30  # too short a header


@pytest.mark.parametrize("section", list(damaged()))
def test_damaged_headers_name_file_and_section(section: bytes) -> None:
    unit = DebugInfo(Lines(section)).units[0]
    for read in (source_files, line_table):
        with pytest.raises(BinaryError, match=r"\.debug_line") as caught:
            read(unit)
        assert "/in/memory" in str(caught.value)


@pytest.mark.parametrize(
    ("program", "facts"),
    [
        (b"\x02", PLAIN),  # no operand
        (b"\0\x20\x02", PLAIN),  # longer than the program
        (b"\0\0", PLAIN),
        (b"\xff", Facts(span=0)),
        (b"\x08", Facts(span=0)),
    ],
)
def test_damaged_programs_name_the_section(program: bytes, facts: Facts) -> None:
    unit = unit_of(SET + program, facts=facts)
    with pytest.raises(BinaryError, match=r"\.debug_line"):
        line_table(unit)
    assert len(source_files(unit)) == 4


def test_a_count_without_rows_costs_nothing() -> None:
    folders = b"\0\xff\xff\xff\xff\x0f"  # 4 G folders of no bytes each
    with pytest.raises(BinaryError):
        source_files(unit_of(b"", folders + b"\0\0", Facts(5)))


def test_a_long_name_that_is_named_often_is_no_reason_to_copy_it_often() -> None:
    names = b"\x01\x01\x1f" + b"\xd0\x86\x03" + b"\0\0\0\0" * 50_000
    long = b"x" * 10_000 + b"\0"
    with pytest.raises(BinaryError):
        source_files(unit_of(b"", names + b"\0\0", Facts(5), long))


@given(st.binary(max_size=60), st.integers(2, 5))
def test_random_tables_give_rows_or_name_the_section(data: bytes, version: int) -> None:
    for tables_, program in ((data, b""), (OLD, data)):
        try:
            table = line_table(unit_of(program, tables_, Facts(version)))
        except BinaryError:
            continue
        assert len(table.rows) <= 2 * len(data) + 2
