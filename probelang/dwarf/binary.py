"""One program or library: what it is called, where its code lies, which functions it has.

    binary = open_binary("/usr/bin/python3.11")
    find_functions(binary, "PyObject_Mall*")  ->  (Function("PyObject_Malloc", address=0x..., offset=0x..., ...),)

Names come from `.symtab`; where it is stripped, from a separate debug file, from `.gnu_debugdata`, and from `.dynsym`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from probelang.diag.deferred import target
from probelang.dwarf.image import (
    ET_EXEC,
    SHT_DYNSYM,
    SHT_NOBITS,
    SHT_SYMTAB,
    BinaryError,
    Image,
    build_id,
    parse_image,
    read_image,
)
from probelang.dwarf.separate import DEBUG_FOLDER, separate_files
from probelang.dwarf.symbols import ENTRY, Symbol, SymbolTable, read_table

# more than this after decompression is no symbol table
MAXIMUM_DEBUGDATA_BYTES = 256 << 20
MAXIMUM_DYNAMIC_ENTRIES, MAXIMUM_STRING_BYTES = 4096, 1 << 16
DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_FLAGS_1 = 5, 6, 10, 1, 15, 29, 0x6FFFFFFB
DF_1_PIE = 0x08000000
# what the unwinder asks in each frame that has something to clean up or catch (Itanium C++ ABI: Exception Handling)
PERSONALITIES = (b"__gxx_personality_v0\0", b"__gxx_personality_v0@", b"rust_eh_personality\0")
CPP_LIBRARIES = ("libstdc++.", "libc++.")
GO_SECTIONS = (".gopclntab", ".go.buildinfo", ".note.go.buildid")

Kind = Literal["exec", "pie", "library"]


@dataclass(frozen=True, slots=True)
class Binary:
    """`kind`: "exec" is loaded at its own addresses, "pie" and "library" anywhere. `stripped`: only `.dynsym` names its
    functions. `go`: made by the Go compiler, whose stacks move. `throws`: has C++ or Rust functions, which exceptions
    may leave."""

    image: Image
    build_id: str
    kind: Kind
    tables: tuple[SymbolTable, ...]
    stripped: bool
    go: bool
    throws: bool

    @property
    def path(self) -> str:
        return self.image.path

    def symbols(self) -> Iterator[Symbol]:
        """Every function symbol that lies in code, aliases and duplicates included."""
        for table in self.tables:
            yield from self._in_code(table.functions())

    def symbols_named(self, name: bytes) -> list[Symbol]:
        return [s for table in self.tables for s in self._in_code(table.find(name))]

    def _in_code(self, symbols: Iterator[Symbol] | list[Symbol]) -> Iterator[Symbol]:
        ranges = code_ranges(self.image)
        for symbol in symbols:
            for start, end in ranges:
                if start <= symbol.address < end:
                    yield symbol
                    break


def open_binary(path: str, debug_folder: str = DEBUG_FOLDER) -> Binary:
    """Raises BinaryError when the file is missing, no ELF file, damaged, or not for this machine."""
    image = read_image(path)
    text = image.section(".text")
    if text is not None and text.type == SHT_NOBITS:
        raise BinaryError(target.NotProbeable(path=path, kind="a file of debug information"))
    identity = build_id(image)
    tables, stripped = _tables(image, identity, debug_folder)
    go = any(s.name in GO_SECTIONS for s in image.sections)
    return Binary(image, identity, _kind(image), tables, stripped, go, _throws(image, tables))


def code_ranges(image: Image) -> tuple[tuple[int, int], ...]:
    """Address ranges of executable sections; of executable segments, where there are no section headers."""
    if image.sections:
        return tuple((s.address, s.end) for s in image.sections if s.executable and s.size)
    return tuple((s.address, s.address + s.file_size) for s in image.segments if s.executable)


def _kind(image: Image) -> Kind:
    if image.type == ET_EXEC:
        return "exec"
    # a PIE is an ET_DYN like a library; static ones have no interpreter but the flag (glibc elf.h, DF_1_PIE)
    flags = next((value for tag, value in dynamic_entries(image) if tag == DT_FLAGS_1), 0)
    return "pie" if flags & DF_1_PIE or (image.interpreted and not _has_soname(image)) else "library"


def _throws(image: Image, tables: tuple[SymbolTable, ...]) -> bool:
    if any(name in table.strings for table in tables for name in PERSONALITIES):
        return True
    return any(name.startswith(CPP_LIBRARIES) for name in dynamic_strings(image, DT_NEEDED))


def _has_soname(image: Image) -> bool:
    return any(tag == 14 for tag, _ in dynamic_entries(image))  # DT_SONAME: libc.so.6 has an interpreter too


def dynamic_entries(image: Image) -> list[tuple[int, int]]:
    """Tags and values of the dynamic section, up to DT_NULL."""
    if image.dynamic is None:
        return []
    offset, size = image.dynamic
    data = image.bytes_at(offset, size & ~15, "the dynamic segment")
    entries: list[tuple[int, int]] = []
    for tag, value in struct.iter_unpack("<qQ", data):
        if tag == 0 or len(entries) == MAXIMUM_DYNAMIC_ENTRIES:
            break
        entries.append((tag, value))
    return entries


def dynamic_strings(image: Image, *tags: int) -> list[str]:
    """The strings of these dynamic tags, in order: DT_NEEDED, DT_RUNPATH, ..."""
    entries = dynamic_entries(image)
    table = dict(entries)
    start = image.offset_of(table.get(DT_STRTAB, 0))
    if start is None:
        return []
    strings = image.bytes_at(start, table.get(DT_STRSZ, 0), "the dynamic string table")
    found = (_string(strings, v) for tag, v in entries if tag in tags and v < len(strings))
    return [os.fsdecode(text) for text in found]


def _string(strings: bytes, start: int) -> bytes:
    end = strings.find(b"\0", start, start + MAXIMUM_STRING_BYTES)
    return b"" if end < 0 else strings[start:end]


def _tables(image: Image, identity: str, debug_folder: str) -> tuple[tuple[SymbolTable, ...], bool]:
    section = image.section_of_type(SHT_SYMTAB)
    if section is not None:
        return (read_table(image, section),), False
    dynamic = image.section_of_type(SHT_DYNSYM)
    if dynamic is not None:
        tables: tuple[SymbolTable, ...] = (read_table(image, dynamic),)
    else:
        tables = _dynamic_table(image)
    separate = _separate_table(image, identity, debug_folder) or _embedded_table(image)
    return (*tables, *separate), not separate


def _dynamic_table(image: Image) -> tuple[SymbolTable, ...]:
    """`.dynsym` without section headers. Its length stands nowhere, but linkers put the strings right behind it."""
    entries = dict(dynamic_entries(image))
    symbols, strings = entries.get(DT_SYMTAB, 0), entries.get(DT_STRTAB, 0)
    start, text = image.offset_of(symbols), image.offset_of(strings)
    if start is None or text is None or text <= start:
        return ()
    size = (text - start) // ENTRY.size * ENTRY.size
    return (
        SymbolTable(image.data[start : start + size], image.data[text : text + entries.get(DT_STRSZ, 0)]),
    )


def _separate_table(image: Image, identity: str, folder: str) -> tuple[SymbolTable, ...]:
    """The symbol table of the binary's debug file; a damaged one is as good as none."""
    for separate in separate_files(image, identity, folder):
        section = separate.section_of_type(SHT_SYMTAB)
        if section is not None:
            try:
                return (read_table(separate, section),)
            except BinaryError:
                continue
    return ()


def _embedded_table(image: Image) -> tuple[SymbolTable, ...]:
    """`.gnu_debugdata`: an xz-compressed ELF file with the function symbols that `.dynsym` lacks (Fedora's way)."""
    section = image.section(".gnu_debugdata")
    if section is None:
        return ()
    import lzma  # only for the few files that need it

    try:
        data = lzma.LZMADecompressor().decompress(image.contents(section), MAXIMUM_DEBUGDATA_BYTES)
        inner = parse_image(image.path, data)
        table = inner.section_of_type(SHT_SYMTAB)
        return () if table is None else (read_table(inner, table),)
    except (lzma.LZMAError, BinaryError):
        return ()
