"""Entries of a unit in one pass, each with the function around it: the quick way to the few that are wanted.

    for entry, function in sweep(unit, FUNCTIONS): ...          every function with code and every inlined copy
    for entry, function in sweep(unit, FUNCTIONS, [0x1c2]): ... only the entry in whose attributes byte 0x1c2 of the unit lies
    for entry, prefix in sweep_scope(unit, TYPES, [0x1c2]): ... of the file's scope, with the namespaces and classes around it

What holds nothing that is wanted is jumped over (DW_AT_sibling), and no attribute is decoded: a value found by a search of bytes
leads to its entry in a microsecond for each entry of the outermost level. Source: DWARF 5, sections 2.3 and 7.5.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.abbrev import Abbreviation
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.leb import unsigned

FUNCTIONS = frozenset((c.TAG_subprogram, c.TAG_inlined_subroutine))
_CLASSES = frozenset((c.TAG_structure_type, c.TAG_class_type, c.TAG_union_type, c.TAG_interface_type))
_TYPES = _CLASSES | {c.TAG_enumeration_type, c.TAG_array_type, c.TAG_subroutine_type}
OUTER = _CLASSES | {c.TAG_namespace, c.TAG_module}
"""What gives the names inside it a prefix."""
_C_FAMILY = frozenset((0x1, 0x2, 0x4, 0xC, 0x1A, 0x1D, 0x21, 0x2B, 0x2C, 0x3A, 0x3B, 0x8001))
PLAIN_C = frozenset((0x1, 0x2, 0xC, 0x1D, 0x2C, 0x8001))  # C89, C, C99, C11, C17, assembler
_NO_NAMESPACES = frozenset(range(1, 0x80)) - {
    c.TAG_namespace,
    c.TAG_module,
    c.TAG_compile_unit,
    c.TAG_partial_unit,
}
_DAMAGED = (IndexError, ValueError, KeyError, struct.error, forms.UnknownForm, OverflowError)
MAXIMUM_DEPTH = 1000

Found: TypeAlias = "tuple[Entry, Entry | None]"
Shape: TypeAlias = "tuple[Abbreviation, int, bool, bool]"
Parents: TypeAlias = "list[Entry]"


def has_code(entry: Entry) -> bool:
    return entry.has(c.AT_low_pc) or entry.has(c.AT_ranges)


def sweep(unit: Unit, tags: frozenset[int], positions: Sequence[int] | None = None) -> Iterator[Found]:
    """Entries of these tags, in order, and the function with code that each lies in. `positions`: only entries in whose attributes one of
    these, ascending, lies; without, what lies in types and in abstract functions is left out, where nothing of it is code. Raises
    BinaryError."""
    skipped = _TYPES if positions is None and unit.language in _C_FAMILY else frozenset[int]()
    for entry, parents in _entries(unit, tags, positions, skipped):
        yield entry, next((p for p in reversed(parents) if p.tag == c.TAG_subprogram and has_code(p)), None)


def sweep_scope(
    unit: Unit, tags: frozenset[int], positions: Sequence[int] | None = None
) -> Iterator[tuple[Entry, str]]:
    """Entries of these tags in the scope of the file, its namespaces and classes, with what these put before a name: `ns::cls::`. Raises
    BinaryError."""
    for entry, parents in _entries(unit, tags, positions, frozenset()):
        if all(parent.tag in OUTER for parent in parents[1:]):
            yield entry, prefix_of(parents)


def entries_around(unit: Unit, position: int) -> list[Entry]:
    """What an entry lies in, outermost first, without a look at more of the unit than leads there; empty where there is no such entry.
    Raises BinaryError."""
    tags = frozenset((unit.entry(position).tag,))
    found = _entries(unit, tags, [position], frozenset())
    return next((list(parents) for entry, parents in found if entry.position == position), list[Entry]())


def prefix_of(parents: Sequence[Entry]) -> str:
    names = (parent.text(c.AT_name) for parent in parents if parent.tag in OUTER)
    return "".join(f"{name}::" for name in names if name)


class Prefixes:
    """What namespaces put before the names of functions; each unit is swept once."""

    def __init__(self) -> None:
        self._known: dict[Unit, dict[int, str]] = {}

    def of(self, entry: Entry) -> str:
        """Raises BinaryError."""
        if entry.unit.language in PLAIN_C:
            return ""
        known = self._known.get(entry.unit)
        if known is None:
            found = _entries(entry.unit, frozenset((c.TAG_subprogram,)), None, _NO_NAMESPACES)
            known = {e.position: _full_prefix(parents) for e, parents in found if len(parents) > 1}
            self._known[entry.unit] = known
        return known.get(entry.position, "")


def _full_prefix(parents: Sequence[Entry]) -> str:
    """As demanglers write it."""
    names = (parent.text(c.AT_name) for parent in parents if parent.tag in OUTER)
    return "".join(f"{name or '(anonymous namespace)'}::" for name in names)


def _entries(
    unit: Unit, tags: frozenset[int], positions: Sequence[int] | None, skipped: frozenset[int]
) -> Iterator[tuple[Entry, Parents]]:
    position = unit.first
    try:
        for entry, parents in _walk(unit, tags, positions, skipped):
            position = entry.position
            yield entry, parents
    except _DAMAGED as error:
        raise unit.damaged(position, error) from None


def _walk(
    unit: Unit, tags: frozenset[int], positions: Sequence[int] | None, skipped: frozenset[int]
) -> Iterator[tuple[Entry, Parents]]:
    """`skipped`: what lies in these, and in functions without code where there are any, is left out. The list of parents is the walk's own."""
    data, end = unit.data, unit.size_bytes
    abbreviations = unit.abbreviations
    shapes: dict[int, Shape] = {}
    parents: Parents = []
    position, wanted = unit.first, 0
    next_wanted = -1 if positions is None else positions[0] if positions else end
    while position < end:
        number, start = data[position], position + 1
        if number >= 0x80:
            number, start = unsigned(data, position)
        if number == 0:
            parents.pop()
            if not parents:
                return
            position = start
            continue
        shape = shapes.get(number)
        if shape is None:
            shape = shapes[number] = _shape(abbreviations[number], tags, skipped)
        abbreviation, size, is_wanted, is_skipped = shape
        behind = start + size if size >= 0 else _behind(abbreviation, data, start, unit)
        if is_wanted and next_wanted < behind:
            yield Entry(unit, position, abbreviation, start), parents
        if positions is not None and next_wanted < behind:
            while wanted < len(positions) and positions[wanted] < behind:
                wanted += 1
            if wanted == len(positions):
                return
            next_wanted = positions[wanted]
        if abbreviation.has_children:
            if abbreviation.sibling is not None and (is_skipped or next_wanted >= 0):
                at, width = abbreviation.sibling
                sibling = int.from_bytes(data[start + at : start + at + width], "little")
                if not position < sibling <= end:
                    raise ValueError
                if is_skipped or next_wanted >= sibling:
                    position = sibling
                    continue
            parents.append(Entry(unit, position, abbreviation, start))
            if len(parents) > MAXIMUM_DEPTH:
                raise ValueError
        elif not parents:
            return
        position = behind


def _shape(abbreviation: Abbreviation, tags: frozenset[int], skipped: frozenset[int]) -> Shape:
    tag = abbreviation.tag
    coded = c.AT_low_pc in abbreviation.names or c.AT_ranges in abbreviation.names
    is_skipped = bool(skipped) and (tag in skipped or (tag == c.TAG_subprogram and not coded))
    size = -1 if abbreviation.size is None else abbreviation.size
    return abbreviation, size, tag in tags, is_skipped


def _behind(abbreviation: Abbreviation, data: bytes, position: int, unit: Unit) -> int:
    for _, form, _ in abbreviation.attributes:
        if form == c.FORM_exprloc and data[position] < 0x80:
            position += 1 + data[position]
        else:
            position = forms.skip(form, data, position, unit)
    return position


def places_of(data: bytes, needle: bytes) -> list[int]:
    """Where `needle` stands."""
    found: list[int] = []
    position = data.find(needle)
    while position >= 0:
        found.append(position)
        position = data.find(needle, position + 1)
    return found
