"""Relocatable ELF files as LLVM's BPF target writes them: reading, and adding sections.

    read_elf(data).section("uprobe/probe_0").data        the program's instructions
    add_sections(data, {".BTF": btf})                    the same file with one more section

Only little-endian ELF64, all that BPF objects are. Source: System V ABI, chapters 4 (object files); relocation numbers from
Linux Documentation/bpf/llvm_reloc.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

R_BPF_64_64 = 1  # a 64-bit immediate load
R_BPF_64_32 = 10  # a call
STT_FUNC, STT_SECTION = 2, 3
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS, SHT_REL = 1, 2, 3, 8, 9
EM_BPF = 247

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQ")


class NotAnObject(ValueError):
    """The bytes are no BPF object; the text says why."""


@dataclass(frozen=True, slots=True)
class Section:
    """`data` is empty for sections without contents in the file (`.bss`), whose `size` counts all the same."""

    index: int
    name: str
    type: int
    data: bytes
    size: int
    info: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """`section` is 0 for an undefined symbol."""

    name: str
    type: int
    binding: int
    section: int
    value: int
    size: int


@dataclass(frozen=True, slots=True)
class Relocation:
    """At byte `offset` of the section it belongs to."""

    offset: int
    type: int
    symbol: Symbol


@dataclass(frozen=True, slots=True)
class ElfObject:
    """`relocations` by the index of the section they patch, ascending by offset."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: Mapping[int, tuple[Relocation, ...]]

    def section(self, name: str) -> Section | None:
        return next((s for s in self.sections if s.name == name), None)

    def symbol(self, name: str) -> Symbol | None:
        return next((s for s in self.symbols if s.name == name), None)


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode("utf-8", "surrogateescape")


def read_elf(data: bytes) -> ElfObject:
    """Raises NotAnObject."""
    if data[:4] != b"\x7fELF":
        raise NotAnObject("it is not an ELF file")
    try:
        return _read(data)
    except NotAnObject:
        raise
    except (struct.error, IndexError, ValueError) as error:
        raise NotAnObject("it is a damaged ELF file") from error


def _read(data: bytes) -> ElfObject:
    header = _HEADER.unpack_from(data)
    if header[2] != EM_BPF:
        raise NotAnObject("it is not a BPF object")
    table, count, names_index = header[6], header[12], header[13]
    rows = [_SECTION.unpack_from(data, table + 64 * i) for i in range(count)]
    contents: list[bytes] = [b"" if r[1] == SHT_NOBITS else data[r[4] : r[4] + r[5]] for r in rows]
    names = contents[int(names_index)]
    sections = tuple(
        Section(i, _string(names, r[0]), r[1], contents[i], r[5], r[7]) for i, r in enumerate(rows)
    )
    symbols: tuple[Symbol, ...] = ()
    for row, content in zip(rows, contents, strict=True):
        if row[1] == SHT_SYMTAB:
            strings = contents[int(row[6])]
            symbols = tuple(
                Symbol(_string(strings, name), info & 15, info >> 4, section, value, size)
                for name, info, _, section, value, size in _SYMBOL.iter_unpack(content)
            )
    relocations = {
        s.info: tuple(
            sorted(
                (Relocation(at, kind & 0xFFFFFFFF, symbols[kind >> 32]) for at, kind in _rows(s.data)),
                key=lambda r: r.offset,
            )
        )
        for s in sections
        if s.type == SHT_REL
    }
    return ElfObject(sections, symbols, relocations)


def _rows(data: bytes) -> list[tuple[int, int]]:
    return [(at, kind) for at, kind in _RELOCATION.iter_unpack(data)]


def _aligned(data: bytearray, alignment: int) -> int:
    data += bytes(-len(data) % alignment)
    return len(data)


def add_sections(data: bytes, extra: Mapping[str, bytes]) -> bytes:
    """`data` with PROGBITS sections behind the others. Everything that was there keeps its place, except for the
    table of section names (which may be the symbols' string table too): it is rewritten behind, longer."""
    header = list(_HEADER.unpack_from(data))
    table, count, names_index = header[6], header[12], header[13]
    rows = [list(_SECTION.unpack_from(data, table + 64 * i)) for i in range(count)]
    names = bytearray(data[rows[names_index][4] : rows[names_index][4] + rows[names_index][5]])
    out = bytearray(data)
    for name, content in extra.items():
        offset = _aligned(out, 8)
        out += content
        rows.append([len(names), SHT_PROGBITS, 0, 0, offset, len(content), 0, 0, 8, 0])
        names += name.encode() + b"\0"
    rows[names_index][4] = len(out)
    rows[names_index][5] = len(names)
    out += names
    header[6] = _aligned(out, 8)
    header[12] = len(rows)
    for row in rows:
        out += _SECTION.pack(*row)
    out[: _HEADER.size] = _HEADER.pack(*header)
    return bytes(out)
