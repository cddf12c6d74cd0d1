"""What an inlined copy of a function was inlined into, and where.

    copies_of(main)             ->   {0x1c2: Copy(the copy of f, (main,)), 0x1e0: Copy(the copy of g in it, (the copy of f, main))}
    call_place(the copy of g)   ->   ("/src/x.c", 12)

Source: DWARF 5, section 3.3.8.2: a copy's entry lies in the entry of the block into which it was inlined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from probelang.dwarf import constants as c
from probelang.dwarf.callsites import within
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.sweep import sweep

_DEEPEST = 200
_COPIES = frozenset((c.TAG_inlined_subroutine,))


def is_copy(entry: Entry) -> bool:
    return entry.tag == c.TAG_inlined_subroutine


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """`around`: the functions that it is inlined into, innermost first."""

    entry: Entry
    around: tuple[Entry, ...]


def copies_of(function: Entry) -> dict[int, Copy]:
    """Every copy in a function, by the offset of its entry. Raises BinaryError."""
    found: dict[int, Copy] = {}
    waiting: list[tuple[Entry, tuple[Entry, ...]]] = [(function, (function,))]
    while waiting:
        entry, around = waiting.pop()
        for child in entry.children():
            if is_copy(child):
                found[child.offset] = Copy(child, around)
            if child.tag != c.TAG_subprogram and len(around) < _DEEPEST:
                waiting.append((child, (child, *around) if is_copy(child) else around))
    return found


def copies_in(place: Unit | Entry) -> Iterator[Entry]:
    """The copies in a unit, or in a function or copy. Raises BinaryError."""
    if isinstance(place, Unit):
        yield from (entry for entry, _ in sweep(place.full, _COPIES))
    else:
        yield from filter(is_copy, within(place, inlined=True))


def call_place(copy: Entry) -> tuple[str, int]:
    """The source file and line of the call that the copy stands for; empty and 0 where that is not said."""
    number, line = copy.number(c.AT_call_file), copy.number(c.AT_call_line)
    files = copy.unit.files
    known = number is not None and 0 <= number < len(files)
    return files[number] if known and number is not None else "", line or 0
