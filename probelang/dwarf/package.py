"""Packages of split debug information (.dwp): which part of each section belongs to which unit.

    Package(image).compile_unit(0x5d1e...)  ->  PackageUnit, whose section(".debug_info.dwo") is that unit alone

Sources: DWARF 5, sections 7.3.5.3 to 7.3.5.5 (version 5 of the index); the GNU wiki's "DebugFissionDWP" (version 2).
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

from probelang.dwarf.image import corrupt
from probelang.dwarf.section import Section

_HEADER = struct.Struct("<IIII")
# numbers of section columns; 2, 5, 7 and 8 have changed their meaning
_NAMES = {
    2: {1: ".debug_info", 2: ".debug_types", 3: ".debug_abbrev", 4: ".debug_line", 5: ".debug_loc",
        6: ".debug_str_offsets", 7: ".debug_macinfo", 8: ".debug_macro"},
    5: {1: ".debug_info", 3: ".debug_abbrev", 4: ".debug_line", 5: ".debug_loclists", 6: ".debug_str_offsets",
        7: ".debug_macro", 8: ".debug_rnglists"},
}  # fmt: skip

_MOST_PLACES = 4096

_Parts = dict[str, tuple[int, int]]


def occurrences(needle: bytes, section: Section) -> Iterator[int]:
    """Offsets at which it stands, a limited number of them."""
    position = section.find(needle)
    for _ in range(_MOST_PLACES):
        if position < 0:
            return
        yield position
        position = section.find(needle, position + 1)


class Sections(Protocol):
    """What a package asks of its file."""

    @property
    def path(self) -> str: ...
    def section(self, name: str) -> bytes | Section: ...


class Index:
    """.debug_cu_index or .debug_tu_index: unit -> the parts of sections that are its own."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._units, self._columns, self._slots = 0, 0, 0
        self.version = 0
        if section.size < _HEADER.size:
            return
        version, self._columns, self._units, self._slots = _HEADER.unpack(section.take(0, _HEADER.size))
        self.version = version if version == 2 else version & 0xFFFF
        rows = self._rows + 4 * self._columns * (1 + 2 * self._units)
        if self.version not in _NAMES or rows > section.size:
            raise corrupt(section.path, f"section `{section.name}`", "is not an index of units")

    @property
    def _rows(self) -> int:
        """Where the table of offsets begins, behind the hash table and the row numbers."""
        return _HEADER.size + 12 * self._slots

    @cached_property
    def _numbers(self) -> dict[int, int]:
        """Signature -> row, from 1."""
        if not self._slots:
            return {}
        data = self._section.take(_HEADER.size, 12 * self._slots)
        signatures = struct.unpack_from(f"<{self._slots}Q", data)
        rows = struct.unpack_from(f"<{self._slots}I", data, 8 * self._slots)
        return {signature: row for signature, row in zip(signatures, rows, strict=True) if row}

    def parts(self, signature: int) -> _Parts | None:
        """Section -> offset and size."""
        row = self._numbers.get(signature)
        if row is None or row > self._units:
            return None
        names = _NAMES[self.version]
        found: _Parts = {}
        for column in range(self._columns):
            name = names.get(self._cell(0, column))
            if name is not None:
                found[name] = self._cell(row, column), self._cell(self._units + row, column)
        return found

    def holding(self, name: str, offsets: list[int]) -> list[int]:
        """The units to whose part of a section one of these offsets belongs."""
        found: list[int] = []
        for signature in self._numbers:
            start, size = (self.parts(signature) or {}).get(name, (0, 0))
            index = bisect_left(offsets, start)
            if index < len(offsets) and offsets[index] < start + size:
                found.append(signature)
        return found

    def _cell(self, row: int, column: int) -> int:
        return self._section.number(self._rows + 4 * (row * self._columns + column), 4)


class Package:
    """A .dwp file."""

    def __init__(self, file: Sections) -> None:
        self.path = file.path
        self._file = file
        self._units = Index(self.section(".debug_cu_index"))
        self._types = Index(self.section(".debug_tu_index"))

    def section(self, name: str) -> Section:
        found = self._file.section(name)
        return Section(self.path, name, found) if isinstance(found, bytes) else found

    def compile_unit(self, identity: int) -> PackageUnit | None:
        return self._unit(self._units, identity)

    def type_unit(self, signature: int) -> PackageUnit | None:
        return self._unit(self._types, signature)

    def types_naming(self, name: bytes) -> list[PackageUnit]:
        """The type units that may have an entry of this name: a superset."""
        found: dict[int, None] = {}
        for part in (".debug_info", ".debug_types"):  # short names stand in the entries
            hits = list(occurrences(name + b"\0", self.section(f"{part}.dwo")))
            found |= dict.fromkeys(self._types.holding(part, hits))
        table = self.section(".debug_str_offsets.dwo")
        hits = [
            hit
            for place in occurrences(name + b"\0", self.section(".debug_str.dwo"))
            for hit in occurrences(place.to_bytes(4, "little"), table)
        ]
        found |= dict.fromkeys(self._types.holding(".debug_str_offsets", sorted(hits)))
        return [unit for signature in found if (unit := self.type_unit(signature)) is not None]

    def _unit(self, index: Index, signature: int) -> PackageUnit | None:
        parts = index.parts(signature)
        return None if parts is None else PackageUnit(self, parts)


class PackageUnit:
    """One unit of a package, as if it had a file of its own (`probelang.dwarf.info.Source`)."""

    alternate = None

    def __init__(self, package: Package, parts: _Parts) -> None:
        self.path = package.path
        self._package = package
        self._parts = parts

    def section(self, name: str) -> bytes | Section:
        """Strings are common to all; of the rest there is what the index says."""
        if name == ".debug_str.dwo":
            return self._package.section(name)
        part = self._parts.get(name.removesuffix(".dwo"))
        return b"" if part is None else self._package.section(name).part(*part)

    def split(self, name: str, folder: str, identity: int) -> None:
        """No unit of a package refers to another file."""

    def type_unit(self, signature: int) -> PackageUnit | None:
        return self._package.type_unit(signature)

    @property
    def package(self) -> Package:
        return self._package
