"""Abbreviations: the shapes that entries have.

    Abbreviations(section, offset, facts)[1]  ->  Abbreviation(TAG_compile_unit, True, ((AT_producer, FORM_strp, 0), ...), ...)

A table is read as far as it is asked for: to look at the root of a unit costs one abbreviation.
Source: DWARF 5, section 7.5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.dwarf import constants as c
from probelang.dwarf.forms import Facts, fixed_size
from probelang.dwarf.leb import signed, unsigned

if TYPE_CHECKING:
    from probelang.dwarf.section import Section

_MOST_ATTRIBUTES = 512


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """`attributes`: (attribute, form, constant of DW_FORM_implicit_const); `names`: the attributes. `places`: where in the
    values an attribute stands, and its form and size, as far as all before it have a size of their own. `size`: of all values
    in bytes, None where it varies. `sibling`: where in them DW_AT_sibling stands and its size, for the next entry at this
    level; None without one, or where that varies."""

    tag: int
    has_children: bool
    attributes: tuple[tuple[int, int, int], ...]
    names: frozenset[int]
    places: dict[int, tuple[int, int, int]]
    size: int | None
    sibling: tuple[int, int] | None


class Abbreviations(dict[int, Abbreviation]):
    """The table at an offset of .debug_abbrev, by number; KeyError for one that it has not. Raises BinaryError where the
    section ends early. `spend`: told what was read."""

    def __init__(
        self, section: Section, offset: int, facts: Facts, spend: Callable[[int], None] | None = None
    ) -> None:
        super().__init__()
        self._spend = spend
        self._section = section
        self._position = offset
        self._facts = facts
        self._ended = False

    def __missing__(self, number: int) -> Abbreviation:
        while not self._ended:
            start = self._position
            try:
                found = self._next()
            except IndexError:
                raise self._section.damaged(start) from None
            if found == number:
                return self[number]
        raise KeyError(number)

    def _next(self) -> int:
        """Reads one more; 0 at the end of the table."""
        data = self._section.data
        number, position = unsigned(data, self._position)
        if number == 0:
            self._ended = True
            return 0
        tag, position = unsigned(data, position)
        has_children = data[position] != 0
        position += 1
        attributes: list[tuple[int, int, int]] = []
        while len(attributes) <= _MOST_ATTRIBUTES:
            attribute, position = unsigned(data, position)
            form, position = unsigned(data, position)
            if attribute == 0 and form == 0:
                if self._spend is not None:
                    self._spend(1 + len(attributes))
                self[number] = _abbreviation(tag, has_children, attributes, self._facts)
                self._position = position
                return number
            if attribute == c.AT_MIPS_linkage_name:  # how it was called before DWARF 4
                attribute = c.AT_linkage_name
            constant = 0
            if form == c.FORM_implicit_const:
                constant, position = signed(data, position)
            attributes.append((attribute, form, constant))
        raise IndexError


def _abbreviation(
    tag: int, has_children: bool, attributes: list[tuple[int, int, int]], facts: Facts
) -> Abbreviation:
    size: int | None = 0
    sibling: tuple[int, int] | None = None
    places: dict[int, tuple[int, int, int]] = {}
    for attribute, form, _ in attributes:
        width = fixed_size(form, facts)
        if size is not None and width is not None:
            if attribute == c.AT_sibling and width and form != c.FORM_ref_addr:
                sibling = size, width
            if form in _PLAIN:
                places[attribute] = size, form, width
        size = None if size is None or width is None else size + width
    names = frozenset(row[0] for row in attributes)
    return Abbreviation(tag, has_children, tuple(attributes), names, places, size, sibling)


_PLAIN = frozenset(
    (c.FORM_addr, c.FORM_data1, c.FORM_data2, c.FORM_data4, c.FORM_data8, c.FORM_ref1, c.FORM_ref2, c.FORM_ref4,
     c.FORM_ref8, c.FORM_flag, c.FORM_strp, c.FORM_line_strp, c.FORM_sec_offset, c.FORM_ref_addr, c.FORM_ref_sig8,
     c.FORM_strx1, c.FORM_strx2, c.FORM_strx3, c.FORM_strx4, c.FORM_addrx1, c.FORM_addrx2, c.FORM_addrx3,
     c.FORM_addrx4, c.FORM_GNU_ref_alt, c.FORM_GNU_strp_alt, c.FORM_ref_sup4, c.FORM_ref_sup8, c.FORM_strp_sup)
)  # fmt: skip
"""Forms of a fixed size whose values are numbers as they stand."""
