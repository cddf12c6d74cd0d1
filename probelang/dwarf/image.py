"""The bones of an ELF file: header, sections, segments, build-id. Every offset is checked before it is used.

    read_image("/bin/true")  ->  Image(sections=(Section(".interp", ...), ...), segments=(Segment(...), ...))

Sources: System V ABI chapter 4 (header, sections) and 5 (program header); x86-64 psABI.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from typing import TypeAlias

from probelang.diag import Diagnostic
from probelang.diag.deferred import target

Bytes: TypeAlias = "mmap.mmap | bytes"

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SEGMENT = struct.Struct("<IIQQQQQQ")

EM_X86_64 = 62
ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PF_X = 1
SHT_SYMTAB, SHT_RELA, SHT_DYNAMIC, SHT_NOTE, SHT_NOBITS, SHT_DYNSYM = 2, 4, 6, 7, 8, 11
SHF_EXECINSTR = 4
SHN_XINDEX = 0xFFFF
NT_GNU_BUILD_ID = 3

_MOST_SECTIONS = 1 << 18
_LONGEST_NAME = 4096
MACHINES = {3: "x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC 64", 22: "S/390", 40: "ARM", 62: "x86-64",
            183: "AArch64", 243: "RISC-V", 247: "eBPF", 258: "LoongArch"}  # fmt: skip


class BinaryError(Exception):
    """A file that cannot be used, and why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.title())
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True)
class Section:
    """`link` and `info` are section numbers (or what the type says); sizes in bytes."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int

    @property
    def executable(self) -> bool:
        return bool(self.flags & SHF_EXECINSTR)

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(frozen=True, slots=True)
class Segment:
    """A PT_LOAD: `file_size` bytes at `offset` of the file are mapped at `address` of the image."""

    address: int
    offset: int
    file_size: int
    memory_size: int
    executable: bool


@dataclass(frozen=True, slots=True)
class Image:
    """`data` is the file mapped read-only; it stays open as long as the image lives."""

    path: str
    data: Bytes
    type: int
    entry: int
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    dynamic: tuple[int, int] | None  # offset and size of PT_DYNAMIC in the file
    interpreted: bool  # has PT_INTERP: started by the loader
    notes: tuple[tuple[int, int], ...]

    def section(self, name: str) -> Section | None:
        return next((s for s in self.sections if s.name == name), None)

    def section_of_type(self, kind: int) -> Section | None:
        return next((s for s in self.sections if s.type == kind), None)

    def sections_named(self, name: str) -> list[Section]:
        return [s for s in self.sections if s.name == name]

    def contents(self, section: Section) -> bytes:
        """A section's bytes; raises BinaryError when they lie outside the file."""
        if section.type == SHT_NOBITS:
            return b""
        return self.bytes_at(section.offset, section.size, f"section `{section.name}`")

    def bytes_at(self, offset: int, size: int, part: str) -> bytes:
        if offset + size > len(self.data):
            raise corrupt(self.path, part, "lies beyond the end of the file")
        return self.data[offset : offset + size]

    def offset_of(self, address: int) -> int | None:
        """Where in the file the byte at `address` of the image lies; None when it is in no file-backed segment."""
        for segment in self.segments:
            if segment.address <= address < segment.address + segment.file_size:
                return address - segment.address + segment.offset
        return None

    def address_of(self, offset: int) -> int | None:
        """The inverse of `offset_of`, among executable segments first."""
        for segment in sorted(self.segments, key=lambda s: not s.executable):
            if segment.offset <= offset < segment.offset + segment.file_size:
                return offset - segment.offset + segment.address
        return None


def corrupt(path: str, part: str, reason: str) -> BinaryError:
    return BinaryError(target.CorruptFile(path=path, part=part, reason=reason))


def map_file(path: str) -> mmap.mmap:
    """The file's bytes; raises BinaryError when it cannot be read or is empty."""
    try:
        # O_NONBLOCK: opening a FIFO must not hang
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise BinaryError(target.FileUnreadable(path=path, reason=str(error.strerror).lower())) from None
    except ValueError:  # a NUL in the name
        raise BinaryError(target.FileUnreadable(path=path, reason="not a file name")) from None
    try:
        # shared: into a private mapping the kernel would put the breakpoints of every session that probes this file
        # (kernel/events/uprobes.c, valid_vma), and we would decode those instead of the file's instructions
        return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
    except (OSError, ValueError) as error:  # a folder or device; an empty file
        if os.path.isdir(path):
            raise BinaryError(target.FileUnreadable(path=path, reason="is a folder")) from error
        raise BinaryError(target.NotElf(path=path)) from error
    finally:
        os.close(descriptor)


def read_image(path: str, objects: bool = False) -> Image:
    """Header, sections and segments of a 64-bit x86-64 program or library; with `objects`, also of an object file, as files of
    debug information may be. Raises BinaryError."""
    return parse_image(path, map_file(path), objects)


def parse_image(path: str, data: Bytes, objects: bool = False) -> Image:
    if data[:4] != b"\x7fELF":
        raise BinaryError(target.NotElf(path=path))
    if len(data) < HEADER.size:
        raise corrupt(path, "the ELF header", "is cut short")
    ident, kind, machine, _, entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, shstrndx = (
        HEADER.unpack_from(data)
    )
    _check_machine(path, ident, machine)
    if kind not in (ET_EXEC, ET_DYN) and not (objects and kind == ET_REL):
        names = {ET_REL: "an object file", ET_CORE: "a core dump"}
        raise BinaryError(target.NotProbeable(path=path, kind=names.get(kind, f"an ELF file of type {kind}")))
    if phnum and phentsize != SEGMENT.size:
        raise corrupt(path, "the program header", f"has entries of {phentsize} bytes")
    headers = list(_table(path, data, phoff, phnum, SEGMENT, "the program header"))
    segments = tuple(
        Segment(vaddr, offset, filesz, memsz, bool(flags & PF_X))
        for type_, flags, offset, vaddr, _, filesz, memsz, _ in headers
        if type_ == PT_LOAD
    )
    dynamic = next(((h[2], h[5]) for h in headers if h[0] == PT_DYNAMIC), None)
    notes = tuple((h[2], h[5]) for h in headers if h[0] == PT_NOTE)
    sections = _sections(path, data, shoff, shnum, shentsize, shstrndx)
    interpreted = any(h[0] == PT_INTERP for h in headers)
    return Image(path, data, kind, entry, sections, segments, dynamic, interpreted, notes)


def _check_machine(path: str, ident: bytes, machine: int) -> None:
    bits = {1: "32-bit", 2: "64-bit"}.get(ident[4])
    if bits is None:
        raise corrupt(path, "the ELF header", f"has class {ident[4]}")
    if bits != "64-bit" or machine != EM_X86_64 or ident[5] != 1:
        order = "" if ident[5] == 1 else "big-endian "
        # in a big-endian file the number was read the wrong way round
        machine = machine if ident[5] == 1 else (machine >> 8 | (machine & 0xFF) << 8)
        found = f"{bits} {order}{MACHINES.get(machine, f'machine {machine}')}"
        raise BinaryError(target.WrongArchitecture(path=path, found=found))


def _table(
    path: str, data: Bytes, offset: int, count: int, layout: struct.Struct, part: str
) -> list[tuple[int, ...]]:
    if offset + count * layout.size > len(data):
        raise corrupt(path, part, "lies beyond the end of the file")
    return list(layout.iter_unpack(data[offset : offset + count * layout.size]))


def _sections(
    path: str, data: Bytes, offset: int, count: int, entry_size: int, names_index: int
) -> tuple[Section, ...]:
    if offset == 0:
        return ()
    part = "the section header table"
    if entry_size != SECTION.size:
        raise corrupt(path, part, f"has entries of {entry_size} bytes")
    first = _table(path, data, offset, 1, SECTION, part)[0]
    count = count or first[5]  # too many for the header: they stand in section 0 (ABI, e_shnum)
    if count > _MOST_SECTIONS:
        raise corrupt(path, part, f"has {count} entries")
    names_index = first[6] if names_index == SHN_XINDEX else names_index
    rows = _table(path, data, offset, count, SECTION, part)
    names = b""
    if 0 < names_index < len(rows):
        start, size = rows[names_index][4], rows[names_index][5]
        if start + size > len(data):
            raise corrupt(path, "section `.shstrtab`", "lies beyond the end of the file")
        names = data[start : start + size]
    return tuple(
        Section(_name(names, name), kind, flags, address, start, size, link, info, entsize)
        for name, kind, flags, address, start, size, link, info, _, entsize in rows
    )


def _name(table: bytes, offset: int) -> str:
    end = table.find(b"\0", offset, offset + _LONGEST_NAME)
    return table[offset : end if end >= 0 else offset + _LONGEST_NAME].decode("utf-8", "surrogateescape")


def _align4(value: int) -> int:
    return (value + 3) & ~3


def build_id(image: Image) -> str:
    """The GNU build-id in hexadecimal, or an empty string."""
    places = [(s.offset, s.size) for s in image.sections if s.type == SHT_NOTE] or list(image.notes)
    for offset, size in places:
        found = _find_note(image.data[offset : offset + size])
        if found:
            return found
    return ""


def _find_note(data: bytes) -> str:
    position = 0
    while position + 12 <= len(data):
        name_size, desc_size, kind = struct.unpack_from("<III", data, position)
        name_start = position + 12
        desc_start = name_start + _align4(name_size)
        if kind == NT_GNU_BUILD_ID and data[name_start : name_start + 4] == b"GNU\0":
            return data[desc_start : desc_start + desc_size].hex()
        position = desc_start + _align4(desc_size)
    return ""
