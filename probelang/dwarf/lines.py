"""Which source line an instruction comes from, and which instructions a line has.

    table = line_table(unit)
    table.row_at(0x1139)               ->  LineRow(0x1139, "/src/x.c", line=12, column=5, is_stmt=True, ...)
    table.statements("x.c", {12})      ->  (LineRow(0x1139, ...), LineRow(0x1180, ...))

Source: DWARF 5, section 6.2; GNU extensions as in binutils' include/dwarf2.h.
"""

from __future__ import annotations

import fnmatch
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from probelang.dwarf.leb import signed, unsigned
from probelang.dwarf.lineheader import (
    DAMAGED,
    LineHeader,
    line_failure,
    read_file_entry,
    read_line_header,
)

if TYPE_CHECKING:
    from probelang.dwarf.entry import Unit

MOST_ROWS = 1 << 21
"""Of one unit: a few bytes of a damaged file may ask for any number."""
_MASK = (1 << 64) - 1
# addresses that linkers write for code that they threw away: GNU ld 0, others -1 or -2
_DISCARDED = frozenset((0, _MASK, _MASK - 1))


class LineRow(NamedTuple):
    """Holds from `address` (of the image) to the next row's. `file`: full path. `line` 0: no line. A tuple, because large units have
    a hundred thousand. `end_sequence`: nothing begins here, the code before ends."""

    address: int
    file: str
    line: int
    column: int
    is_stmt: bool
    prologue_end: bool
    end_sequence: bool


@dataclass(frozen=True, slots=True)
class LineTable:
    """`rows`: those of each sequence of code in its order, sequences by address. `starts`: first address of each sequence with
    where its rows begin and end."""

    rows: tuple[LineRow, ...]
    starts: tuple[tuple[int, int, int], ...]

    def row_at(self, address: int) -> LineRow | None:
        """The row that holds at an address; of several at one address the last. None where there is none."""
        index = bisect_right(self.starts, (address, 1 << 62, 0)) - 1
        if index < 0:
            return None
        _, first, end = self.starts[index]
        position = bisect_right(self.rows, address, first, end, key=_address) - 1
        row = self.rows[position]
        return None if row.end_sequence else row

    def between(self, low: int, high: int) -> Sequence[LineRow]:
        """Rows whose address is in [low, high), which one sequence of code holds."""
        index = bisect_right(self.starts, (low, 1 << 62, 0)) - 1
        if index < 0:
            return ()
        _, first, end = self.starts[index]
        first = bisect_left(self.rows, low, first, end, key=_address)
        return self.rows[first : bisect_left(self.rows, high, first, end, key=_address)]

    def lines_of(self, pattern: str) -> tuple[LineRow, ...]:
        """Rows of files that match (see `file_matches`)."""
        wanted = matcher(pattern)
        return tuple(row for row in self.rows if not row.end_sequence and wanted(row.file))

    def statements(self, pattern: str, lines: Container[int] | None = None) -> tuple[LineRow, ...]:
        """Where statements begin, by address: of each run of rows of one line the first that a debugger would choose. A line has
        several where the compiler has split or copied it: into inlined instances, or around a loop."""
        wanted = matcher(pattern)
        found: dict[tuple[int, int], LineRow] = {}
        for run in self._runs():
            file, line = run[0].file, run[0].line
            if line and (lines is None or line in lines) and wanted(file):
                first = next((row for row in run if row.is_stmt), None)
                if first is not None:
                    found.setdefault((first.address, line), first)
        return tuple(sorted(found.values()))

    def _runs(self) -> Iterator[list[LineRow]]:
        run: list[LineRow] = []
        for row in self.rows:
            if run and (row.end_sequence or row.line != run[0].line or row.file != run[0].file):
                yield run
                run = []
            if not row.end_sequence:
                run.append(row)
        if run:
            yield run


def _address(row: LineRow) -> int:
    return row.address


def line_table(unit: Unit) -> LineTable:
    """Of a unit, read once; of a split unit its skeleton's. Empty without one. Raises BinaryError."""
    return (unit.base or unit).lines


def source_files(unit: Unit) -> tuple[str, ...]:
    """Full paths by the numbers that DW_AT_decl_file and DW_AT_call_file use (a file may have several): only the header is read."""
    return unit.files


def matcher(pattern: str) -> Callable[[str], bool]:
    """`file_matches` for many paths: each is compared once."""
    known: dict[str, bool] = {}

    def matches(path: str) -> bool:
        if path not in known:
            known[path] = file_matches(path, pattern)
        return known[path]

    return matches


def file_matches(path: str, pattern: str) -> bool:
    """Whether a full path is what `@pattern` of a probe point means: equal, or equal from a `/` on; `*`, `?` and `[...]` as in the shell,
    but `*` goes across `/`."""
    pattern = pattern.removeprefix("./")
    if fnmatch.fnmatchcase(path, pattern):
        return True
    return not pattern.startswith("/") and fnmatch.fnmatchcase(path, f"*/{pattern}")


def read_line_table(unit: Unit) -> LineTable:
    header = read_line_header(unit)
    if header is None:
        return LineTable((), ())
    try:
        sequences = _run(header, header.section.take(header.program, header.end - header.program))
    except DAMAGED:
        raise line_failure(
            header.section, f"has a program before {header.end:#x} that cannot be read"
        ) from None
    sequences = [s for s in sequences if s[0].address not in _DISCARDED]
    sequences.sort(key=lambda s: s[0].address)
    rows: list[LineRow] = []
    starts: list[tuple[int, int, int]] = []
    for sequence in sequences:
        starts.append((sequence[0].address, len(rows), len(rows) + len(sequence)))
        rows += sequence
    return LineTable(tuple(rows), tuple(starts))


def _run(header: LineHeader, code: bytes) -> list[list[LineRow]]:
    """The rows of each sequence. One long function: it takes a step for each row of the source."""
    files = list(header.files)
    base, span = header.line_base, header.line_range
    first_special = len(header.lengths) + 1
    unit_bytes, most = header.minimum_bytes, header.most_operations
    sequences: list[list[LineRow]] = []
    rows: list[LineRow] = []
    left = MOST_ROWS
    address = operation = column = 0
    file = line = 1
    path = _file(files, 1)
    is_stmt, prologue_end = header.default_is_stmt, False
    position, size = 0, len(code)
    while position < size:
        opcode = code[position]
        position += 1
        if opcode >= first_special or opcode == 8:  # special; const_add_pc
            if not span:
                raise ValueError
            adjusted = (255 if opcode == 8 and first_special > 8 else opcode) - first_special
            step = adjusted // span
            if most == 1:
                address = (address + step * unit_bytes) & _MASK
            else:
                address = (address + (operation + step) // most * unit_bytes) & _MASK
                operation = (operation + step) % most
            if opcode >= first_special:
                line = (line + base + adjusted % span) & 0xFFFFFFFF
                rows.append(LineRow(address, path, line, column, is_stmt, prologue_end, False))
                prologue_end = False
        elif opcode == 1:  # copy
            rows.append(LineRow(address, path, line, column, is_stmt, prologue_end, False))
            prologue_end = False
        elif opcode == 2:  # advance_pc
            step, position = unsigned(code, position)
            if most == 1:
                address = (address + step * unit_bytes) & _MASK
            else:
                address = (address + (operation + step) // most * unit_bytes) & _MASK
                operation = (operation + step) % most
        elif opcode == 3:  # advance_line
            step, position = signed(code, position)
            line = (line + step) & 0xFFFFFFFF
        elif opcode == 4:  # set_file
            file, position = unsigned(code, position)
            path = _file(files, file)
        elif opcode == 5:  # set_column
            column, position = unsigned(code, position)
        elif opcode == 6:  # negate_stmt
            is_stmt = not is_stmt
        elif opcode == 9:  # fixed_advance_pc
            address = (address + int.from_bytes(code[position : position + 2], "little")) & _MASK
            operation = 0
            position += 2
        elif opcode == 10:  # set_prologue_end
            prologue_end = True
        elif opcode == 0:
            length, position = unsigned(code, position)
            end = position + length
            if not length or end > size:
                raise IndexError
            match code[position]:
                case 1:  # end_sequence
                    if rows:
                        rows.append(LineRow(address, path, line, column, is_stmt, False, True))
                        sequences.append(rows)
                        left -= len(rows)
                        rows = []
                    address = operation = column = 0
                    file = line = 1
                    path = _file(files, 1)
                    is_stmt, prologue_end = header.default_is_stmt, False
                case 2:  # set_address
                    address = int.from_bytes(code[position + 1 : end], "little") & _MASK
                    operation = 0
                case 3:  # define_file
                    name, folder, _ = read_file_entry(code, position + 1)
                    files.append(header.path(folder, name))
                case _:  # set_discriminator, and what others have added
                    pass
            position = end
        else:  # set_basic_block, set_epilogue_begin, set_isa, and what others have added
            for _ in range(header.lengths[opcode - 1]):
                _, position = unsigned(code, position)
        if len(rows) > left:
            raise ValueError
    if rows:  # a table that was cut: the last row reaches nowhere
        last = rows[-1]
        rows.append(last._replace(end_sequence=True))
        sequences.append(rows)
    return sequences


def _file(files: list[str], number: int) -> str:
    return files[number] if number < len(files) else ""
