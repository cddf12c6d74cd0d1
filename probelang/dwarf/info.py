"""The debug information of one file: its units, found by address and by name, and its sections.

    info = DebugInfo(find_debug_file(binary))
    info.unit_at(0x1139).name           ->  "x.c"
    info.units_naming(b"list_insert")   ->  the units that have an entry of this name, and perhaps others

No look-up walks the whole file: addresses are found in .debug_aranges, names by searching for the number that refers to their
string. Source: DWARF 5, sections 6.1.2 and 7.5.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from probelang.dwarf import constants as c
from probelang.dwarf.abbrev import Abbreviation, read_abbreviations
from probelang.dwarf.aranges import read_aranges
from probelang.dwarf.entry import Entry, Kind, Unit
from probelang.dwarf.image import BinaryError, corrupt
from probelang.dwarf.ranges import entry_ranges

if TYPE_CHECKING:
    import mmap

_KINDS: dict[int, Kind] = {
    c.UT_compile: "compile", c.UT_type: "type", c.UT_partial: "partial", c.UT_skeleton: "skeleton",
    c.UT_split_compile: "split", c.UT_split_type: "type",
}  # fmt: skip
_MOST_NAMES = 4096


class Source(Protocol):
    """Where sections come from: `probelang.dwarf.debugfile.DebugFile`."""

    @property
    def path(self) -> str: ...
    def section(self, name: str) -> bytes: ...
    @property
    def alternate(self) -> Source | None: ...
    def split(self, name: str, folder: str, identity: int) -> Source | None: ...


class Section:
    """`data` holds the section; nothing of it is copied before it is asked for."""

    def __init__(self, path: str, name: str, data: bytes | mmap.mmap) -> None:
        self.path = path
        self.name = name
        self.data = data
        self.size = len(data)

    def take(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise self.damaged(offset)
        return self.data[offset : offset + size]

    def number(self, offset: int, size: int) -> int:
        return int.from_bytes(self.take(offset, size), "little")

    def text(self, offset: int) -> bytes:
        end = self.data.find(b"\0", offset) if offset < self.size else -1
        if end < 0:
            raise self.damaged(offset)
        return self.data[offset:end]

    def damaged(self, offset: int) -> BinaryError:
        return corrupt(
            self.path, f"section `{self.name}`", f"ends before {offset:#x}, to which something refers"
        )


class DebugInfo:
    """`suffix`: of section names, ".dwo" in split files. `main`: what a split file belongs to."""

    def __init__(self, source: Source, suffix: str = "", main: DebugInfo | None = None) -> None:
        self.path = source.path
        self._source = source
        self._suffix = suffix
        self._main = main
        self._sections: dict[str, Section] = {}
        self._abbreviations: dict[tuple[int, int, int], dict[int, Abbreviation]] = {}
        self._split: dict[int, Unit | None] = {}

    def section(self, name: str) -> Section:
        """Empty where there is none. Addresses and line strings are in the main file."""
        found = self._sections.get(name)
        if found is None:
            if self._main is not None and name in (".debug_addr", ".debug_line_str", ".debug_ranges"):
                found = self._main.section(name)
            else:
                full = name + self._suffix
                found = Section(self.path, full, self._source.section(full))
            self._sections[name] = found
        return found

    @cached_property
    def alternate(self) -> DebugInfo | None:
        """What dwz has moved to a file of its own, for several programs."""
        source = self._source.alternate
        return None if source is None else DebugInfo(source)

    def abbreviations(self, offset: int, unit: Unit) -> dict[int, Abbreviation]:
        key = offset, unit.version, unit.offset_size
        table = self._abbreviations.get(key)
        if table is None:
            section = self.section(".debug_abbrev")
            try:
                table = read_abbreviations(section.take(0, section.size), offset, unit)
            except IndexError:
                raise section.damaged(offset) from None
            self._abbreviations[key] = table
        return table

    # ------------------------------------------------------------------------------------------------ units

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Of .debug_info, in order."""
        return tuple(self._headers(self.section(".debug_info"), types=False))

    @cached_property
    def _starts(self) -> list[int]:
        return [u.offset for u in self.units]

    def _headers(self, section: Section, types: bool) -> list[Unit]:
        found: list[Unit] = []
        offset = 0
        while offset < section.size:
            try:
                unit = self._header(section, offset, types)
            except struct.error:
                raise section.damaged(offset) from None
            found.append(unit)
            offset += unit.size_bytes
        return found

    def _header(self, section: Section, offset: int, types: bool) -> Unit:
        head = section.take(offset, min(48, section.size - offset))
        (length,) = struct.unpack_from("<I", head)
        position, width = 4, 4
        if length == 0xFFFFFFFF:
            (length,) = struct.unpack_from("<Q", head, 4)
            position, width = 12, 8
        size = length + position
        (version,) = struct.unpack_from("<H", head, position)
        position += 2
        if not 2 <= version <= 5 or offset + size > section.size:
            reason = f"has a unit of version {version} and {size} bytes at {offset:#x}"
            raise corrupt(self.path, f"section `{section.name}`", reason)
        kind: Kind = "type" if types else "split" if self._suffix else "compile"
        if version == 5:
            kind = _KINDS.get(head[position], "compile")
            address_size = head[position + 1]
            abbreviations = int.from_bytes(head[position + 2 : position + 2 + width], "little")
            position += 2 + width
        else:
            abbreviations = int.from_bytes(head[position : position + width], "little")
            address_size = head[position + width]
            position += width + 1
        signature = type_offset = 0
        if kind in ("skeleton", "split") and version == 5:
            (signature,) = struct.unpack_from("<Q", head, position)
            position += 8
        elif kind == "type":
            (signature,) = struct.unpack_from("<Q", head, position)
            type_offset = int.from_bytes(head[position + 8 : position + 8 + width], "little")
            position += 8 + width
        return Unit(
            self, section, offset, size, position, version, address_size, width, abbreviations, kind,
            signature, type_offset,
        )  # fmt: skip

    def unit_with(self, offset: int) -> Unit | None:
        """The unit that holds this offset of .debug_info."""
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or offset >= self.units[index].offset + self.units[index].size_bytes:
            return None
        return self.units[index]

    def entry(self, offset: int) -> Entry:
        """By its offset in .debug_info."""
        unit = self.unit_with(offset)
        if unit is None:
            raise self.section(".debug_info").damaged(offset)
        return unit.entry(offset - unit.offset)

    @cached_property
    def _type_units(self) -> dict[int, Unit]:
        units = [u for u in self.units if u.kind == "type"]
        units += self._headers(self.section(".debug_types"), types=True)
        return {u.signature: u for u in units}

    def type_entry(self, signature: int) -> Entry | None:
        """The type of a type unit (DW_FORM_ref_sig8)."""
        unit = self._type_units.get(signature)
        return None if unit is None else unit.entry(unit.type_offset)

    def split(self, unit: Unit) -> Unit | None:
        """The unit with the entries that a skeleton stands for; None where it is no skeleton, or the file is missing."""
        if unit.offset not in self._split:
            self._split[unit.offset] = self._find_split(unit)
        return self._split[unit.offset]

    def _find_split(self, unit: Unit) -> Unit | None:
        root = unit.root
        name = root.text(c.AT_dwo_name) or root.text(c.AT_GNU_dwo_name)
        if not name or self._main is not None:
            return None
        identity = unit.signature or root.number(c.AT_GNU_dwo_id) or 0
        source = self._source.split(name, unit.folder, identity)
        if source is None:
            return None
        for found in DebugInfo(source, ".dwo", self).units:
            own = found.signature or found.root.number(c.AT_GNU_dwo_id) or 0
            if found.kind != "type" and own == identity:
                found.base = unit
                return found
        return None

    # --------------------------------------------------------------------------------------------- look-ups

    def unit_at(self, address: int) -> Unit | None:
        """The unit whose code lies at an address of the image; with its entries, also where they are in a split file."""
        table = self._ranges
        index = bisect_right(table, (address, 1 << 70, 0))
        for start, end, offset in reversed(table[max(0, index - 4) : index]):
            if start <= address < end:
                unit = self.unit_with(offset)
                return None if unit is None else unit.full
        return None

    @cached_property
    def _ranges(self) -> list[tuple[int, int, int]]:
        """Start, end and unit of all code, by address. What .debug_aranges does not know stands in the units themselves."""
        found = read_aranges(self.section(".debug_aranges"))
        known = {offset for _, _, offset in found}
        for unit in self.units:
            if unit.offset not in known and unit.kind in ("compile", "skeleton"):
                found += [(low, high, unit.offset) for low, high in entry_ranges(unit.root)]
        found = [row for row in found if row[1] > row[0] > 0]
        found.sort()
        return found

    def units_naming(self, name: bytes) -> tuple[Unit, ...]:
        """Every unit that may hold an entry of this name: a superset. Split units are all among them."""
        found: dict[int, Unit] = {}
        self._note_direct(name, found)
        self._note_indexed(name, found)
        for unit in self.units:
            if unit.kind == "skeleton" or (unit.version < 5 and unit.root.has(c.AT_GNU_dwo_name)):
                found[unit.offset] = unit
        units = [found[offset].full for offset in sorted(found)]
        if self.alternate is not None:
            units += self.alternate.units_naming(name)
        return tuple(units)

    def _string_offsets(self, name: bytes, section: Section) -> list[int]:
        """Where `name` stands in .debug_str, also as the tail of another string."""
        wanted = name + b"\0"
        found: list[int] = []
        position = section.data.find(wanted)
        while position >= 0 and len(found) < _MOST_NAMES:
            found.append(position)
            position = section.data.find(wanted, position + 1)
        return found

    def _note_direct(self, name: bytes, found: dict[int, Unit]) -> None:
        info = self.section(".debug_info")
        offsets = self._string_offsets(name, self.section(".debug_str"))
        if self.alternate is not None:
            offsets += self._string_offsets(name, self.alternate.section(".debug_str"))
        needles = [offset.to_bytes(4, "little") for offset in offsets]
        needles.append(name + b"\0")
        for needle in needles:
            position = info.data.find(needle)
            while position >= 0:
                unit = self.unit_with(position)
                if unit is None:
                    break
                found[unit.offset] = unit
                position = info.data.find(needle, unit.offset + unit.size_bytes)

    def _note_indexed(self, name: bytes, found: dict[int, Unit]) -> None:
        """Strings by index (DWARF 5): the unit is the one whose table the offset stands in."""
        table = self.section(".debug_str_offsets")
        if not table.size:
            return
        bases = self._string_bases
        starts = [base for base, _ in bases]
        for offset in self._string_offsets(name, self.section(".debug_str")):
            needle = offset.to_bytes(4, "little")
            position = table.data.find(needle)
            while position >= 0:
                index = bisect_right(starts, position) - 1
                if index >= 0:
                    unit = bases[index][1]
                    found[unit.offset] = unit
                position = table.data.find(needle, position + 4)

    @cached_property
    def _string_bases(self) -> list[tuple[int, Unit]]:
        """Where in .debug_str_offsets the strings of each unit begin."""
        bases = [(unit.root.number(c.AT_str_offsets_base), unit) for unit in self.units]
        return sorted([(base, unit) for base, unit in bases if base is not None], key=lambda row: row[0])
