"""Which units may have an entry of some name, without reading their entries.

    units_naming(info, b"list_insert")  ->  [Unit(...)]      a superset

A name stands in .debug_str, and entries refer to it by its offset there (or by an index into .debug_str_offsets): the units are
those in which that number occurs. Short names stand in the entries themselves.
Source: DWARF 5, section 7.26 and the forms of strings in 7.5.6.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from probelang.dwarf import constants as c

if TYPE_CHECKING:
    from probelang.dwarf.entry import Unit
    from probelang.dwarf.info import DebugInfo
    from probelang.dwarf.section import Section

_MOST_PLACES = 64


def units_naming(info: DebugInfo, name: bytes) -> list[Unit]:
    """Of this file, in order, and type units of .debug_types. Split units are all among them: their strings are elsewhere."""
    places = string_places(name, info.section(".debug_str"))
    if info.alternate is not None and places is not None:
        shared = string_places(name, info.alternate.section(".debug_str"))
        places = None if shared is None else places + shared
    if places is None:
        return list(info.units)
    found: dict[int, Unit] = {}
    _note_direct(info, name, places, found)
    _note_indexed(info, places, found)
    for unit in info.units:
        if unit.kind == "skeleton" or (unit.version < 5 and unit.root.has(c.AT_GNU_dwo_name)):
            found[unit.offset] = unit
    return [found[offset] for offset in sorted(found)] + _of_types(info, name, places)


def string_places(name: bytes, strings: Section) -> list[int] | None:
    """Where the string begins; None where that may be anywhere."""
    if name not in strings.strings:
        strings.strings[name] = _search(name, strings)
    return strings.strings[name]


def _search(name: bytes, strings: Section) -> list[int] | None:
    """Linkers let a string be the tail of a longer one, but only if it does not stand alone."""
    wanted = name + b"\0"
    whole = [0] if strings.size >= len(wanted) and strings.take(0, len(wanted)) == wanted else []
    alone = _occurrences(b"\0" + wanted, strings)
    if alone is None:
        return None
    whole += [position + 1 for position in alone]
    return whole or _occurrences(wanted, strings)


def _occurrences(wanted: bytes, strings: Section) -> list[int] | None:
    """None: too many."""
    found: list[int] = []
    position = strings.find(wanted)
    while position >= 0:
        if len(found) == _MOST_PLACES:
            return None
        found.append(position)
        position = strings.find(wanted, position + 1)
    return found


def _note_direct(info: DebugInfo, name: bytes, places: list[int], found: dict[int, Unit]) -> None:
    section = info.section(".debug_info")
    for needle in _needles(name, places):
        position = section.find(needle)
        while position >= 0:
            unit = info.unit_with(position)
            if unit is None:
                break
            found[unit.offset] = unit
            position = section.find(needle, unit.offset + unit.size_bytes)


def _needles(name: bytes, places: list[int]) -> list[bytes]:
    return [*(place.to_bytes(4, "little") for place in places if place < 1 << 32), name + b"\0"]


def _of_types(info: DebugInfo, name: bytes, places: list[int]) -> list[Unit]:
    """Those of .debug_types (DWARF 4), which have no strings by index."""
    section = info.section(".debug_types")
    needles = _needles(name, places) if section.size else []
    return [
        unit
        for unit in info.type_units
        if unit.section is section
        and any(section.find(n, unit.offset, unit.offset + unit.size_bytes) >= 0 for n in needles)
    ]


def _note_indexed(info: DebugInfo, places: list[int], found: dict[int, Unit]) -> None:
    """Strings by index (DWARF 5): the unit is one whose table the offset stands in."""
    table = info.section(".debug_str_offsets")
    if not table.size:
        return
    bases = _bases(info)
    starts = [base for base, _ in bases]
    for place in places:
        if place >= 1 << 32:
            continue
        needle = place.to_bytes(4, "little")
        position = table.find(needle)
        while position >= 0:
            index = bisect_right(starts, position)
            base = starts[index - 1] if index else -1
            # units that were optimised at link time may share a table
            for row in range(index - 1, -1, -1):
                if starts[row] != base:
                    break
                found[bases[row][1].offset] = bases[row][1]
            position = table.find(needle, position + 1)


def _bases(info: DebugInfo) -> list[tuple[int, Unit]]:
    """Where in .debug_str_offsets the strings of each unit begin."""
    bases = [(unit.root.number(c.AT_str_offsets_base), unit) for unit in info.units]
    return sorted([(base, unit) for base, unit in bases if base is not None], key=lambda row: row[0])
