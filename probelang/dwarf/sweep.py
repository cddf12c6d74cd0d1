"""Entries of a unit in one pass, each with the function around it: the quick way to the few that are wanted.

    for entry, function in sweep(unit, CODE): ...             every function with code and every inlined copy
    for entry, function in sweep(unit, None, [0x1c2]): ...    the entry in whose attributes byte 0x1c2 of the unit lies

What holds nothing that is wanted is jumped over (DW_AT_sibling), and no attribute is decoded: a value found by a search of bytes
leads to its entry in a few microseconds for each entry of the outermost level. Source: DWARF 5, sections 2.3 and 7.5.3.
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
_TYPES = frozenset(
    (c.TAG_structure_type, c.TAG_class_type, c.TAG_union_type, c.TAG_enumeration_type, c.TAG_array_type,
     c.TAG_subroutine_type, c.TAG_interface_type)
)  # fmt: skip
_C_FAMILY = frozenset((0x1, 0x2, 0x4, 0xC, 0x1A, 0x1D, 0x21, 0x2B, 0x2C, 0x3A, 0x3B, 0x8001))
_DAMAGED = (IndexError, ValueError, KeyError, struct.error, forms.UnknownForm, OverflowError)
MAXIMUM_DEPTH = 1000

Found: TypeAlias = "tuple[Entry, Entry | None]"
Shape: TypeAlias = "tuple[Abbreviation, int, bool, bool, bool]"


def has_code(entry: Entry) -> bool:
    return entry.has(c.AT_low_pc) or entry.has(c.AT_ranges)


def sweep(unit: Unit, tags: frozenset[int] | None, positions: Sequence[int] | None = None) -> Iterator[Found]:
    """Entries of these tags (None: of all), in order, and the function with code that each lies in. `positions`: only entries in whose
    attributes one of these, ascending, lies; without, what lies in types and in abstract functions is left out, where nothing of it is
    code. Raises BinaryError."""
    position = unit.first
    try:
        for entry, function in _walk(unit, tags, positions):
            position = entry.position
            yield entry, function
    except _DAMAGED as error:
        raise unit.damaged(position, error) from None


def _walk(unit: Unit, tags: frozenset[int] | None, positions: Sequence[int] | None) -> Iterator[Found]:
    data, end = unit.data, unit.size_bytes
    abbreviations = unit.abbreviations
    skips_types = positions is None and unit.language in _C_FAMILY
    shapes: dict[int, Shape] = {}
    around: list[tuple[int, Entry]] = []  # depth below it, function
    position, depth, wanted = unit.first, 0, 0
    next_wanted = -1 if positions is None else positions[0] if positions else end
    while position < end:
        number, start = data[position], position + 1
        if number >= 0x80:
            number, start = unsigned(data, position)
        if number == 0:
            depth -= 1
            if depth <= 0:
                return
            while around and around[-1][0] > depth:
                around.pop()
            position = start
            continue
        shape = shapes.get(number)
        if shape is None:
            shape = shapes[number] = _shape(abbreviations[number], tags, skips_types)
        abbreviation, size, is_wanted, is_function, is_skipped = shape
        behind = start + size if size >= 0 else _behind(abbreviation, data, start, unit)
        if is_wanted and next_wanted < behind:
            yield Entry(unit, position, abbreviation, start), around[-1][1] if around else None
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
            depth += 1
            if depth > MAXIMUM_DEPTH:
                raise ValueError
            if is_function:
                around.append((depth, Entry(unit, position, abbreviation, start)))
        elif depth == 0:
            return
        position = behind


def _shape(abbreviation: Abbreviation, tags: frozenset[int] | None, skips_types: bool) -> Shape:
    tag = abbreviation.tag
    attributes = [attribute for attribute, _, _ in abbreviation.attributes]
    coded = c.AT_low_pc in attributes or c.AT_ranges in attributes
    is_function = tag == c.TAG_subprogram and coded
    is_skipped = skips_types and (tag in _TYPES or (tag == c.TAG_subprogram and not coded))
    size = -1 if abbreviation.size is None else abbreviation.size
    return abbreviation, size, tags is None or tag in tags, is_function, is_skipped


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
