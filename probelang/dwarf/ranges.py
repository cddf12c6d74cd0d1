"""Address ranges of entries, and where a variable is at which address: range lists and location lists of DWARF 2 to 5.

    entry_ranges(subprogram)      ->  [(0x1139, 0x1172)]
    entry_locations(variable)     ->  b"\\x91\\x6c" everywhere, or [(0x1139, 0x1150, b"\\x55"), ...]

Sources: DWARF 5, sections 2.17.3, 2.6.2, 7.25, 7.29; for versions 2 to 4: DWARF 4, 2.17.3 and 2.6.2; GNU location views.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.leb import unsigned

if TYPE_CHECKING:
    from probelang.dwarf.entry import Entry, Unit
    from probelang.dwarf.info import Section

_MOST = 1 << 20  # rows of one list
_PIECE_BYTES = 256
_LONGEST_NUMBER = 40


def entry_ranges(entry: Entry) -> list[tuple[int, int]]:
    """Start and end (exclusive) of an entry's code; empty when it has none."""
    form, value = entry.get(c.AT_ranges) or (0, None)
    if isinstance(value, int):
        unit = entry.unit
        if unit.version >= 5:
            rows = _range_list(unit, form, value)
        else:
            base = (unit.base or unit).root.number(c.AT_GNU_ranges_base) or 0 if unit.kind == "split" else 0
            section = (unit.base or unit).info.section(".debug_ranges")
            rows = ((low, high) for low, high, _ in _pairs(section, base + value, unit, False))
        return [(low, high) for low, high in rows if low < high]
    low = entry.address(c.AT_low_pc)
    high = entry.get(c.AT_high_pc)
    if low is None or high is None or not isinstance(high[1], int):
        return []
    is_address = high[0] == c.FORM_addr or high[0] in forms.ADDRESS_INDEXES
    end = entry.address(c.AT_high_pc) if is_address else low + high[1]
    return [(low, end)] if end is not None and low < end else []


def entry_locations(
    entry: Entry, attribute: int = c.AT_location
) -> bytes | list[tuple[int, int, bytes]] | None:
    """An expression, or the list of (start, end, expression); None where the entry has none. The row (0, 1 << 64, ...) of a list holds
    where no other does (DW_LLE_default_location)."""
    found = entry.get(attribute)
    if found is None:
        return None
    form, value = found
    if isinstance(value, bytes):
        return value
    unit = entry.unit
    if unit.version >= 4 and form not in (c.FORM_sec_offset, c.FORM_loclistx):
        return None  # a constant
    if unit.version >= 5:
        return list(_location_list(unit, form, value))
    if unit.kind == "split":
        return list(_split_list(unit, value))
    return list(_pairs(unit.info.section(".debug_loc"), value, unit, True))


def _pairs(section: Section, offset: int, unit: Unit, located: bool) -> Iterator[tuple[int, int, bytes]]:
    """Lists of DWARF 2 to 4."""
    base = unit.low_pc
    for _ in range(_MOST):
        unit.info.spend(1, section)
        low, high = struct.unpack("<QQ", section.take(offset, 16))
        offset += 16
        if low == high == 0:
            return
        if low == (1 << 64) - 1:
            base = high
            continue
        expression = b""
        if located:
            size = section.number(offset, 2)
            expression = section.take(offset + 2, size)
            offset += 2 + size
        yield base + low, base + high, expression


def _split_list(unit: Unit, offset: int) -> Iterator[tuple[int, int, bytes]]:
    """Location lists of split files before DWARF 5 (GNU): start index and length, or start and end indexes."""
    section = unit.info.section(".debug_loc")
    cursor = _Cursor(section, offset, unit)
    for _ in range(_MOST):
        kind = cursor.byte()
        if kind == 0:
            return
        low = high = cursor.indexed()
        if kind == 1:  # a base address: the rows that count from one do not occur here
            continue
        if kind == 2:
            high = cursor.indexed()
        elif kind == 3:
            high = low + cursor.fixed(4)
        else:
            raise section.damaged(cursor.position)
        yield low, high, cursor.block(cursor.fixed(2))


class _Cursor:
    """Reads a list, a piece of the section at a time."""

    def __init__(self, section: Section, offset: int, unit: Unit) -> None:
        self.section = section
        self.position = offset
        self.unit = unit
        self._piece = b""
        self._origin = offset

    def byte(self) -> int:
        """The first of a row."""
        self.unit.info.spend(1, self.section)
        return self.fixed(1)

    def fixed(self, size: int) -> int:
        at = self._hold(size)
        self.position += size
        return int.from_bytes(self._piece[at : at + size], "little")

    def leb(self) -> int:
        at = self._hold(1)
        try:
            value, end = unsigned(self._piece, at)
        except IndexError:
            raise self.section.damaged(self.position) from None
        self.position += end - at
        return value

    def address(self) -> int:
        return self.fixed(8)

    def indexed(self) -> int:
        return self.unit.address(self.leb())

    def block(self, size: int | None = None) -> bytes:
        size = self.leb() if size is None else size
        self.position += size
        return self.section.take(self.position - size, size)

    def _hold(self, size: int) -> int:
        """Where in the piece that is held the position is; so many bytes follow, and a whole number if there is one."""
        at = self.position - self._origin
        if not 0 <= at <= len(self._piece) - _LONGEST_NUMBER:
            left = self.section.size - self.position
            if left < size:
                raise self.section.damaged(self.position)
            self._origin, at = self.position, 0
            self._piece = self.section.take(self.position, min(_PIECE_BYTES, left))
        return at


def _range_list(unit: Unit, form: int, value: int) -> Iterator[tuple[int, int]]:
    section = unit.info.section(".debug_rnglists")
    offset = _list_offset(unit, section, form == c.FORM_rnglistx, value, c.AT_rnglists_base)
    cursor, base = _Cursor(section, offset, unit), unit.low_pc
    for _ in range(_MOST):
        match cursor.byte():
            case c.RLE_end_of_list:
                return
            case c.RLE_base_addressx:
                base = cursor.indexed()
            case c.RLE_base_address:
                base = cursor.address()
            case c.RLE_startx_endx:
                yield cursor.indexed(), cursor.indexed()
            case c.RLE_startx_length:
                low = cursor.indexed()
                yield low, low + cursor.leb()
            case c.RLE_offset_pair:
                yield base + cursor.leb(), base + cursor.leb()
            case c.RLE_start_end:
                yield cursor.address(), cursor.address()
            case c.RLE_start_length:
                low = cursor.address()
                yield low, low + cursor.leb()
            case _:
                raise section.damaged(cursor.position)


def _location_list(unit: Unit, form: int, value: int) -> Iterator[tuple[int, int, bytes]]:
    section = unit.info.section(".debug_loclists")
    offset = _list_offset(unit, section, form == c.FORM_loclistx, value, c.AT_loclists_base)
    cursor, base = _Cursor(section, offset, unit), unit.low_pc
    for _ in range(_MOST):
        match cursor.byte():
            case c.LLE_end_of_list:
                return
            case c.LLE_base_addressx:
                base = cursor.indexed()
                continue
            case c.LLE_base_address:
                base = cursor.address()
                continue
            case c.LLE_GNU_view_pair:
                cursor.leb()
                cursor.leb()
                continue
            case c.LLE_startx_endx:
                low, high = cursor.indexed(), cursor.indexed()
            case c.LLE_startx_length:
                low = cursor.indexed()
                high = low + cursor.leb()
            case c.LLE_offset_pair:
                low, high = base + cursor.leb(), base + cursor.leb()
            case c.LLE_default_location:
                low, high = 0, 1 << 64
            case c.LLE_start_end:
                low, high = cursor.address(), cursor.address()
            case c.LLE_start_length:
                low = cursor.address()
                high = low + cursor.leb()
            case _:
                raise section.damaged(cursor.position)
        yield low, high, cursor.block()


def _list_offset(unit: Unit, section: Section, indexed: bool, value: int, attribute: int) -> int:
    """Of a list that is named by its number: the table behind the header holds offsets that count from the table."""
    if not indexed:
        return value
    base = unit.root.number(attribute) if unit.kind != "split" else None
    if base is None:
        base = 20 if unit.offset_size == 8 else 12  # behind the header of the only table
    return base + section.number(base + value * unit.offset_size, unit.offset_size)
