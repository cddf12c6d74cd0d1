"""Entries of `.eh_frame` and `.debug_frame`: where they begin, which code they are about, how their instructions count.

    table = eh_frame(image);    record, end = record_at(table, table.start)
    record.cie is None      ->  a CIE: read_cie(table, position) has its factors, return register and instructions
    else                    ->  an FDE: code_range(table, record, cies)  ->  (0x1139, 0x1156, 8), start, end, where the rest begins

Sources: DWARF 5, section 6.4.1; LSB Core 10.6 (.eh_frame), whose pointers count from where they stand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NoReturn

from probelang.dwarf.cfi import BadInstruction
from probelang.dwarf.image import SHT_NOBITS, Bytes, Image, corrupt
from probelang.dwarf.leb import signed, unsigned

HEADER = bytes((1, 0x1B, 0x03, 0x3B))
"""Of `.eh_frame_hdr`: version, then encodings: pc-relative sdata4, udata4, data-relative sdata4; every linker writes these."""
ROW = struct.Struct("<ii")
"""Of its table: where code begins, and its entry, both counted from the section."""
# how pointers are encoded (LSB Core 10.5.1)
PE_OMIT, PE_INDIRECT = 0xFF, 0x80
PE_ULEB, PE_SLEB = 0x01, 0x09
_SIZES = {0x00: 8, 0x02: 2, 0x03: 4, 0x04: 8, 0x08: 8, 0x0A: 2, 0x0B: 4, 0x0C: 8}
_SIGNED = 0x08
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Table:
    """A section of frame entries: bytes `start` to `end` of `data`. `address`: of its first byte in the image."""

    path: str
    name: str
    data: Bytes
    start: int
    end: int
    address: int
    is_eh: bool

    def fail(self, reason: str) -> NoReturn:
        raise corrupt(self.path, f"section `{self.name}`", reason)


@dataclass(frozen=True, slots=True)
class Record:
    """A CIE or FDE: `body` follows its second field; `at`: where that begins in `data`. `cie`: of an FDE, where its CIE is."""

    at: int
    body: bytes
    cie: int | None


@dataclass(frozen=True, slots=True)
class Cie:
    factors: tuple[int, int]
    return_register: int
    pointers: int
    augmented: bool
    signal: bool
    code: bytes
    code_at: int


def eh_frame(image: Image) -> Table | None:
    """Raises BinaryError."""
    section = image.section(".eh_frame")
    if section is None or section.type == SHT_NOBITS or not section.size:
        return None
    end = section.offset + section.size
    if end > len(image.data):
        raise corrupt(image.path, "section `.eh_frame`", "lies beyond the end of the file")
    return Table(image.path, ".eh_frame", image.data, section.offset, end, section.address, True)


def sorted_entries(image: Image) -> tuple[int, int, int] | None:
    """Of `.eh_frame_hdr`: its address, where its rows begin in the file, how many there are. None where it has no such table. Raises
    BinaryError."""
    section = image.section(".eh_frame_hdr")
    if section is None or section.type == SHT_NOBITS or section.size < 12:
        return None
    if section.offset + section.size > len(image.data):
        raise corrupt(image.path, "section `.eh_frame_hdr`", "lies beyond the end of the file")
    head = image.data[section.offset : section.offset + 12]
    if head[:4] != HEADER:
        return None
    (count,) = struct.unpack_from("<I", head, 8)
    if 12 + count * ROW.size > section.size:
        raise corrupt(image.path, "section `.eh_frame_hdr`", f"has no room for its {count} rows")
    return section.address, section.offset + 12, count


def record_at(table: Table, position: int) -> tuple[Record | None, int]:
    """The entry at a position, and where the next one begins. None for the terminator and for padding. Raises BinaryError."""
    data = table.data
    try:
        (length,) = struct.unpack_from("<I", data, position)
        start, width = position + 4, 4
        if length == 0xFFFFFFFF:
            (length,) = struct.unpack_from("<Q", data, start)
            start, width = (
                position + 12,
                4 if table.is_eh else 8,
            )  # LSB Core 10.6.1: always 4 bytes in .eh_frame
    except struct.error:
        table.fail("is cut short")
    if length == 0:
        return None, start
    end = start + length
    if end > table.end or length < width:
        table.fail(f"has an entry of {length} bytes at {position - table.start:#x}")
    identity = int.from_bytes(data[start : start + width], "little")
    cie: int | None
    if table.is_eh:
        cie = start - identity if identity else None
    else:
        cie = None if identity == (1 << 8 * width) - 1 else table.start + identity
    return Record(start + width, data[start + width : end], cie), end


def code_range(table: Table, record: Record, cies: dict[int, Cie]) -> tuple[int, int, int]:
    """Start and end of an FDE's code, and where in its body that ends. Raises BinaryError."""
    try:
        if record.cie is None:
            raise BadInstruction("has a CIE where an FDE should be")
        if record.cie not in cies:
            cies[record.cie] = read_cie(table, record.cie)
        pointers = cies[record.cie].pointers
        low, position = pointer_at(table, pointers, record.body, 0, record.at)
        size, position = pointer_at(table, pointers & 0x0F, record.body, position, record.at)
        return low, low + size, position
    except BadInstruction as error:
        table.fail(error.reason)
    except IndexError:
        table.fail("has an entry that is cut short")


def read_cie(table: Table, position: int) -> Cie:
    """Raises BadInstruction; IndexError where it is cut short."""
    if not table.start <= position < table.end:
        raise BadInstruction("has an entry that refers to no CIE")
    record = record_at(table, position)[0]
    if record is None or record.cie is not None:
        raise BadInstruction("has an entry that refers to no CIE")
    body = record.body
    version = body[0]
    if version not in (1, 3, 4):
        raise BadInstruction(f"has an entry of version {version}")
    end = body.find(b"\0", 1)
    if end < 0:
        raise IndexError
    augmentation, position = body[1:end], end + 1
    if augmentation.startswith(b"eh"):  # gcc 2: a pointer
        augmentation, position = augmentation[2:], position + 8
    if version == 4:
        if body[position] != 8 or body[position + 1] != 0:
            raise BadInstruction("has an entry for addresses that are not of 64 bits")
        position += 2
    code, position = unsigned(body, position)
    data, position = signed(body, position)
    if version == 1:
        return_register, position = body[position], position + 1
    else:
        return_register, position = unsigned(body, position)
    pointers, position = _read_augmentation(table, augmentation, body, position, record.at)
    return Cie(
        (code, data), return_register, pointers, augmentation.startswith(b"z"), b"S" in augmentation,
        body[position:], record.at + position,
    )  # fmt: skip


def _read_augmentation(table: Table, letters: bytes, body: bytes, position: int, at: int) -> tuple[int, int]:
    """How the FDEs encode pointers, and where the instructions begin."""
    pointers = 0
    if not letters.startswith(b"z"):
        if letters:
            raise BadInstruction(f"has an entry of the unknown augmentation `{letters.decode('latin-1')}`")
        return pointers, position
    length, position = unsigned(body, position)
    end = position + length
    if end > len(body):
        raise IndexError
    for letter in letters[1:]:
        match chr(letter):
            case "R":
                pointers, position = body[position], position + 1
            case "L":
                position += 1
            case "P":
                encoding = body[position]
                if encoding == PE_OMIT:
                    position += 1
                else:
                    position = pointer_at(table, encoding & 0x0F, body, position + 1, at)[1]
            case "S" | "B" | "G":
                pass
            case _:
                break  # its length says where the instructions begin all the same
    return pointers, end


def pointer_at(table: Table, encoding: int, body: bytes, position: int, at: int) -> tuple[int, int]:
    """The address, and where the next thing begins. `at`: where `body` begins in the table's data. Raises BadInstruction, IndexError."""
    form = encoding & 0x0F
    if form in (PE_ULEB, PE_SLEB):
        value, end = (unsigned if form == PE_ULEB else signed)(body, position)
    elif form in _SIZES:
        end = position + _SIZES[form]
        if end > len(body):
            raise IndexError
        value = int.from_bytes(body[position:end], "little", signed=bool(form & _SIGNED))
    else:
        raise BadInstruction(f"has a pointer of the unknown encoding {encoding:#x}")
    match encoding & 0xF0:
        case 0 | 0x20:  # relative to the text: of the image, as unwinders on x86-64 have it
            pass
        case 0x10:
            value += table.address + at + position - table.start
        case _:
            raise BadInstruction(f"has a pointer of the unknown encoding {encoding:#x}")
    return value & _MASK, end
