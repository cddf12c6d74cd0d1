"""Abbreviations: the shapes that entries have.

    read_abbreviations(data, offset, facts)  ->  {1: Abbreviation(TAG_compile_unit, True, ((AT_producer, FORM_strp, 0), ...)), ...}

Source: DWARF 5, section 7.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.dwarf import constants as c
from probelang.dwarf.forms import Facts, fixed_size
from probelang.dwarf.leb import signed, unsigned


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """`attributes`: (attribute, form, constant of DW_FORM_implicit_const). `size`: of all values in bytes, None where it varies.
    `sibling`: where in them DW_AT_sibling stands and its size, for the next entry at this level; None without one, or where
    that varies."""

    tag: int
    has_children: bool
    attributes: tuple[tuple[int, int, int], ...]
    size: int | None
    sibling: tuple[int, int] | None


def read_abbreviations(data: bytes, offset: int, facts: Facts) -> dict[int, Abbreviation]:
    """Raises IndexError where the data ends early."""
    table: dict[int, Abbreviation] = {}
    position = offset
    while True:
        number, position = unsigned(data, position)
        if number == 0:
            return table
        tag, position = unsigned(data, position)
        has_children = data[position] != 0
        position += 1
        attributes: list[tuple[int, int, int]] = []
        while True:
            attribute, position = unsigned(data, position)
            form, position = unsigned(data, position)
            if attribute == 0 and form == 0:
                break
            constant = 0
            if form == c.FORM_implicit_const:
                constant, position = signed(data, position)
            attributes.append((attribute, form, constant))
        table[number] = _abbreviation(tag, has_children, attributes, facts)


def _abbreviation(
    tag: int, has_children: bool, attributes: list[tuple[int, int, int]], facts: Facts
) -> Abbreviation:
    size: int | None = 0
    sibling: tuple[int, int] | None = None
    for attribute, form, _ in attributes:
        width = fixed_size(form, facts)
        if attribute == c.AT_sibling and size is not None and width and form != c.FORM_ref_addr:
            sibling = size, width
        size = None if size is None or width is None else size + width
    return Abbreviation(tag, has_children, tuple(attributes), size, sibling)
