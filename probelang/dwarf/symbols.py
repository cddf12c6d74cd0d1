"""Symbol tables, read at once instead of symbol by symbol.

    table = read_table(image, section)
    table.find("malloc")  ->  [Symbol("malloc", 0x9a3c0, 0x1f2, binding=GLOBAL, indirect=False)]

A whole-table walk with a parser object per symbol costs 100 ms and more in libc. Here a name is looked up with two
searches over raw bytes (its place in the string table, then that place among the symbols), and a walk over all
symbols is one `struct.iter_unpack`.

Sources: System V ABI chapter 4 "Symbol Table", "String Table"; GNU IFUNC extension (STT_GNU_IFUNC).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from probelang.dwarf.image import SHT_NOBITS, Image, Section, corrupt

ENTRY = struct.Struct("<IBBHQQ")
STT_FUNC, STT_GNU_IFUNC = 2, 10
FUNCTIONS = (STT_FUNC, STT_GNU_IFUNC)
STB_LOCAL = 0
SHN_UNDEF, SHN_ABS = 0, 0xFFF1
# above this many places a name occurs at (short names are tails of many others), one walk is cheaper
FEW = 16
# names may be tails of one another; in a damaged table all are of nearly all its strings
_MOST_NAMES = 16
_LONGEST_NAME = 1 << 16


class Symbol(NamedTuple):
    """A defined function symbol. `name` has no version; `indirect`: STT_GNU_IFUNC, its code is a resolver. A tuple,
    because tables have hundreds of thousands."""

    name: bytes
    address: int
    size: int
    exported: bool
    indirect: bool


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """The raw bytes of a symbol table and of its strings."""

    entries: bytes
    strings: bytes

    def functions(self) -> Iterator[Symbol]:
        """All defined functions, in table order."""
        strings = self.strings
        find = strings.find
        left = _MOST_NAMES * len(strings) + _LONGEST_NAME
        for name, info, _, shndx, value, size in ENTRY.iter_unpack(self.entries):
            kind = info & 15
            if kind in FUNCTIONS and shndx != SHN_UNDEF and value:
                text = strings[name : find(b"\0", name)]
                left -= len(text)
                if left < 0:
                    return
                if b"@" in text:  # `memcpy@@GLIBC_2.14` in .symtab
                    text = text[: text.index(b"@")]
                yield Symbol(text, value, size, info >> 4 != STB_LOCAL, kind == STT_GNU_IFUNC)

    def find(self, name: bytes) -> list[Symbol]:
        """The defined functions of exactly this name (in any version)."""
        places = self._places(name)
        if len(places) <= FEW:
            rows = (row for place in places for row in self._rows_named(place))
        else:
            wanted = frozenset(places)
            rows = (row for row in ENTRY.iter_unpack(self.entries) if row[0] in wanted)
        return [
            Symbol(name, value, size, info >> 4 != STB_LOCAL, info & 15 == STT_GNU_IFUNC)
            for _, info, _, shndx, value, size in rows
            if info & 15 in FUNCTIONS and shndx != SHN_UNDEF and value
        ]

    def _places(self, name: bytes) -> list[int]:
        """Offsets in the string table at which `name` stands, alone, with a version, or as the tail of another."""
        found: list[int] = []
        for end in (b"\0", b"@"):
            position = self.strings.find(name + end)
            while position >= 0:
                found.append(position)
                position = self.strings.find(name + end, position + 1)
        return found

    def _rows_named(self, place: int) -> Iterator[tuple[int, int, int, int, int, int]]:
        wanted = place.to_bytes(4, "little")
        position = self.entries.find(wanted)
        while position >= 0:
            if position % ENTRY.size == 0:
                yield ENTRY.unpack_from(self.entries, position)
            position = self.entries.find(wanted, position + 1)

    def name_at(self, index: int) -> bytes:
        """The name of symbol number `index`; empty when there is none."""
        if (index + 1) * ENTRY.size > len(self.entries):
            return b""
        name = ENTRY.unpack_from(self.entries, index * ENTRY.size)[0]
        text = self.strings[name : self.strings.find(b"\0", name)]
        return text.split(b"@")[0]


def read_table(image: Image, section: Section) -> SymbolTable:
    """The symbol table in `section` and the strings that it links to. Raises BinaryError."""
    if section.type == SHT_NOBITS:
        return SymbolTable(b"", b"")
    part = f"section `{section.name}`"
    if section.entry_size != ENTRY.size or section.size % ENTRY.size:
        raise corrupt(image.path, part, f"has entries of {section.entry_size} bytes")
    if not 0 < section.link < len(image.sections):
        raise corrupt(image.path, part, f"refers to section {section.link}, which does not exist")
    strings = image.contents(image.sections[section.link])
    if strings and strings[-1]:
        raise corrupt(
            image.path, f"section `{image.sections[section.link].name}`", "does not end in a zero byte"
        )
    return SymbolTable(image.contents(section), strings)
