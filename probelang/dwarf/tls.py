"""Where a file keeps its thread-local variables: the segment, and what its loader writes about it.

    tls_segment(image)      ->  TlsSegment(address=0x3db8, size_bytes=24, alignment=8)
    tls_relocations(image)  ->  (TlsRelocation("module", place=0x3fd0, offset=0), ...)

Sources: Drepper, "ELF Handling For Thread-Local Storage", chapters 2 and 3; x86-64 psABI, "Relocation Types".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from probelang.dwarf.binary import DT_NEEDED, DT_SYMTAB, Binary, dynamic_entries, dynamic_strings
from probelang.dwarf.image import HEADER, SEGMENT, Image
from probelang.dwarf.plt import RELOCATION
from probelang.dwarf.symbols import ENTRY, SHN_UNDEF

PT_TLS = 7
DT_RELA, DT_RELASZ, DT_JMPREL, DT_PLTRELSZ = 7, 8, 23, 2
Kind = Literal["module", "offset", "descriptor"]
_KINDS: dict[int, Kind] = {
    16: "module",
    18: "offset",
    36: "descriptor",
}  # R_X86_64_DTPMOD64, TPOFF64, TLSDESC


@dataclass(frozen=True, slots=True)
class TlsSegment:
    """`address`: of the initial values in the image. `alignment`: a power of two."""

    address: int
    size_bytes: int
    alignment: int


@dataclass(frozen=True, slots=True)
class TlsRelocation:
    """What the loader writes at `place` of the image. "module": the number of this file's module; "offset": from the thread pointer
    to `offset` of this file's block; "descriptor": a function, and the argument from which it computes the same. `exported`: of a symbol
    that another file might define in the place of this one."""

    kind: Kind
    place: int
    offset: int
    exported: bool


def tls_segment(image: Image) -> TlsSegment | None:
    header = HEADER.unpack_from(image.data)
    start, count = header[5], header[10]
    data = image.bytes_at(start, count * SEGMENT.size, "the program header")
    for kind, _, _, address, _, _, size, alignment in SEGMENT.iter_unpack(data):
        if kind == PT_TLS:
            return TlsSegment(
                address, size, alignment if alignment & (alignment - 1) == 0 and alignment else 1
            )
    return None


def tls_relocations(image: Image) -> Iterator[TlsRelocation]:
    """Those that lead to the thread-local storage of this file."""
    table = dict(dynamic_entries(image))
    for start, size in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
        offset = image.offset_of(table.get(start, 0))
        if offset is None or not table.get(size, 0):
            continue
        data = image.bytes_at(
            offset, table[size] // RELOCATION.size * RELOCATION.size, "a table of relocations"
        )
        for place, info, addend in RELOCATION.iter_unpack(data):
            kind = _KINDS.get(info & 0xFFFFFFFF)
            if kind is not None and (value := _own_symbol(image, table, info >> 32)) is not None:
                offset = value + (0 if kind == "module" else addend)
                yield TlsRelocation(kind, place, offset, info >> 32 != 0)


def _own_symbol(image: Image, table: dict[int, int], index: int) -> int | None:
    """The value of a symbol of the dynamic table that this file defines. Number 0 means the file itself."""
    if index == 0:
        return 0
    start = image.offset_of(table.get(DT_SYMTAB, 0))
    if start is None:
        return None
    try:
        _, _, _, section, value, _ = ENTRY.unpack_from(image.data, start + index * ENTRY.size)
    except struct.error:
        return None
    return None if section == SHN_UNDEF else value


def uses_musl(binary: Binary) -> bool:
    """Whose vector of blocks has one word for each module, where glibc's has two."""
    return any("musl" in name for name in dynamic_strings(binary.image, DT_NEEDED))
