"""What an inlined copy of a function was inlined into, and where.

    surrounding(entry of a copy of g in a copy of f in main)   ->   (the copy of f, main)
    call_place(the copy of g)                                  ->   ("/src/x.c", 12)

Source: DWARF 5, section 3.3.8.2: a copy's entry lies in the entry of the block into which it was inlined.
"""

from __future__ import annotations

from collections.abc import Iterator

from probelang.dwarf import constants as c
from probelang.dwarf.callsites import within
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.sweep import FUNCTIONS, entries_around, sweep

_COPIES = frozenset((c.TAG_inlined_subroutine,))


def is_copy(entry: Entry) -> bool:
    return entry.tag == c.TAG_inlined_subroutine


def surrounding(copy: Entry) -> tuple[Entry, ...]:
    """The functions around a copy, innermost first. Raises BinaryError."""
    around = entries_around(copy.unit, copy.position)
    return tuple(entry for entry in reversed(around) if entry.tag in FUNCTIONS and entry.key != copy.key)


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
