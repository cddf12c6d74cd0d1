"""What an inlined copy of a function was inlined into.

    surrounding(entry of main, entry of a copy of g in a copy of f)   ->   (the copy of f, main)

Source: DWARF 5, section 3.3.8.2: a copy's entry lies in the entry of the block into which it was inlined.
"""

from __future__ import annotations

from probelang.dwarf import constants as c
from probelang.dwarf.entry import Entry

_DEEPEST = 200


def surrounding(function: Entry, copy: Entry) -> tuple[Entry, ...]:
    """The functions around a copy, innermost first; empty where it is none of `function`."""
    waiting: list[tuple[Entry, tuple[Entry, ...]]] = [(function, (function,))]
    while waiting:
        entry, around = waiting.pop()
        for child in entry.children():
            if child.key == copy.key:
                return around
            if child.tag == c.TAG_subprogram or len(around) > _DEEPEST:
                continue
            inner = (child, *around) if child.tag == c.TAG_inlined_subroutine else around
            waiting.append((child, inner))
    return ()


def is_copy(entry: Entry) -> bool:
    return entry.tag == c.TAG_inlined_subroutine


def call_place(copy: Entry) -> tuple[str, int]:
    """The source file and line of the call that the copy stands for; empty and 0 where that is not said."""
    number, line = copy.number(c.AT_call_file), copy.number(c.AT_call_line)
    files = copy.unit.files
    known = number is not None and 0 <= number < len(files)
    return files[number] if known and number is not None else "", line or 0
