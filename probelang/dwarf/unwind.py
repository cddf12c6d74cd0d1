"""All unwind rows of a file at once, as the kernel's programs and `probelang.runtime.stacks.walk` search them.

    table = unwind_table(read_image("/usr/bin/x"))
    table.rows      ->  [(0x0, 0, 0, ROW_UNKNOWN), (0x1020, 2, 0, ROW_RSP), ..., (0x11c5, 0, 0, ROW_UNKNOWN)], packed
    cached_unwind_table("/usr/bin/x")  ->  the same, from disk the second time

`probelang.dwarf.frames` answers for one address and knows every rule; this knows the few that a step of unwinding needs, for every
address. An entry that is damaged leaves its function without rows; sections that are raise BinaryError.
Sources: DWARF 5, section 6.4; LSB Core 10.6.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from probelang.dwarf.frameentries import Table, eh_frame
from probelang.dwarf.image import BinaryError, Image, build_id, parse_image, read_image
from probelang.dwarf.unwindcode import FARTHEST, PC_BITS, UNKNOWN
from probelang.dwarf.unwindentries import MOST_BYTES, Function, executable, read_functions
from probelang.dwarf.unwindframes import is_framed
from probelang.dwarf.unwindgaps import slots, starts_and_signal_returns


@dataclass(frozen=True, slots=True)
class UnwindTable:
    """`rows`: UNWIND_ROWs (artifact/stacks.py) by offset in the file; empty where the file has none. `framed`: every function that has
    rows keeps a frame pointer, so that at a return address the caller's frame is at rbp, whatever the row; 0 in rbp is the outermost."""

    rows: bytes
    framed: bool


def unwind_table(image: Image) -> UnwindTable:
    """Raises BinaryError."""
    table = eh_frame(image)
    entries = () if table is None else read_functions(table, executable(image))
    functions: list[Function] = []
    for more in (slots(image), entries, _of_debug_frames(image), starts_and_signal_returns(image)):
        functions = sorted([*functions, *_without(functions, more)], key=_low)
    rows = _joined(functions)
    return UnwindTable(rows.tobytes(), is_framed(image.data, rows, functions))


def unwind_table_of_memory(data: bytes, name: str = "[vdso]") -> UnwindTable:
    """Of an ELF file that lies in memory only. Raises BinaryError."""
    return unwind_table(parse_image(name, data))


def cached_unwind_table(file: str | Image) -> UnwindTable:
    """`file`: a path, or what was read there. Raises BinaryError."""
    from probelang.dwarf.unwindcache import keep_rows, kept_rows_path, open_rows

    image = read_image(file) if isinstance(file, str) else file
    path = kept_rows_path(image)
    kept = None if path is None else open_rows(path)
    if kept is not None:
        return UnwindTable(*kept)
    table = unwind_table(image)
    if path is not None:
        keep_rows(path, table.rows, table.framed)
    return table


def _low(function: Function) -> int:
    return function[0]


def _of_debug_frames(image: Image) -> Iterator[Function]:
    """Of `.debug_frame`, in the file and its debug files: the functions that were compiled without tables for exceptions. A damaged
    one is as good as none."""
    for file in (image, *_separate(image)):
        if file.section(".debug_frame") or file.section(".zdebug_frame"):
            from probelang.dwarf.compression import Budget, open_section  # few files have one

            with suppress(BinaryError):
                section = open_section(file, ".debug_frame", Budget(MOST_BYTES))
                if section is not None and section.size:
                    table = Table(section.path, section.name, section.data, 0, section.size, 0, False)
                    yield from read_functions(table, executable(image))


def _separate(image: Image) -> Iterator[Image]:
    from probelang.dwarf.separate import separate_files

    if not image.path.startswith("["):
        yield from separate_files(image, build_id(image))


def _without(known: list[Function], more: Iterable[Function]) -> list[Function]:
    """Those of `more` that begin in none of the `known`, and whose places fit a row."""
    found: list[Function] = []
    for function in more:
        index = bisect_right(known, function[0], key=_low) - 1
        if function[1] <= FARTHEST and (index < 0 or known[index][1] <= function[0]):
            found.append(function)
    return found


def _joined(functions: list[Function]) -> array[int]:
    """Rows with their pc; equal neighbours are one, and between functions nothing is known."""
    joined = array("Q")
    if not functions:
        return joined
    joined.append(UNKNOWN)
    end = 0
    for number, (low, high, rows) in enumerate(functions, 1):
        if number < len(functions):
            high = min(high, functions[number][0])
        if low >= high:
            continue  # of two for the same code the last one holds
        if low > end and joined[-1] >> PC_BITS != UNKNOWN >> PC_BITS:
            joined.append(end | UNKNOWN)
        if joined[-1] >> PC_BITS == rows[0] >> PC_BITS:
            rows = rows[1:]
        joined.extend([low + row for row in rows if row & FARTHEST < high - low])
        end = high
    if joined[-1] >> PC_BITS != UNKNOWN >> PC_BITS:
        joined.append(end | UNKNOWN)
    if len(joined) > 1 and not joined[1] & FARTHEST:
        joined.pop(0)  # a function begins where the file does
    return joined
