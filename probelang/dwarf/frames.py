"""Unwind rows: where a frame's canonical address and the caller's registers are at an address.

    frame_at(open_binary("/usr/bin/x"), None, 0x113a)
    ->  Frame(low=0x113a, high=0x113d, cfa=CfaRegister(7, 16), registers={6: AtOffset(-16), 16: AtOffset(-8)}, return_register=16)

Registers that have no rule: rsp is the CFA, those that the callee saves are unchanged, the others are lost.
One function's entry is read, found through the table in `.eh_frame_hdr`. `.eh_frame` without that table is searched, `.debug_frame` is
sorted once. Sources: DWARF 5, section 6.4; LSB Core 10.6 (.eh_frame, .eh_frame_hdr), whose pointers count from where they stand.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from probelang.dwarf.binary import Binary
from probelang.dwarf.cfi import (
    AtExpression,
    AtOffset,
    BadInstruction,
    Cfa,
    CfaExpression,
    CfaRegister,
    Factors,
    InRegister,
    Machine,
    Rule,
    SameValue,
    Undefined,
    ValueExpression,
    ValueOffset,
)
from probelang.dwarf.image import SHT_NOBITS, Bytes, Image, corrupt
from probelang.dwarf.leb import signed, unsigned

if TYPE_CHECKING:
    from probelang.dwarf.files import Debug

__all__ = [
    "AtExpression", "AtOffset", "Cfa", "CfaExpression", "CfaRegister", "Frame", "InRegister", "Rule", "SameValue",
    "Undefined", "ValueExpression", "ValueOffset", "frame_at",
]  # fmt: skip

# how pointers are encoded (LSB Core 10.5.1)
PE_OMIT, PE_INDIRECT = 0xFF, 0x80
PE_ULEB, PE_SLEB = 0x01, 0x09
_SIZES = {0x00: 8, 0x02: 2, 0x03: 4, 0x04: 8, 0x08: 8, 0x0A: 2, 0x0B: 4, 0x0C: 8}
_SIGNED = 0x08
HEADER = bytes((1, 0x1B, 0x03, 0x3B))
"""Version, then encodings: pc-relative sdata4, udata4, data-relative sdata4; every linker writes these."""
_ROW = struct.Struct("<ii")
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """Holds for addresses `low` <= pc < `high` of the image. Registers by their numbers of DWARF. `return_register`: whose rule gives
    the return address. `signal`: a signal handler's return, whose caller was interrupted and called nothing."""

    low: int
    high: int
    cfa: Cfa
    registers: Mapping[int, Rule]
    return_register: int
    signal: bool


@dataclass(frozen=True, slots=True)
class _Table:
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
class _Record:
    """A CIE or FDE: `body` follows its second field; `at`: where that begins in `data`. `cie`: of an FDE, where its CIE is."""

    at: int
    body: bytes
    cie: int | None


@dataclass(frozen=True, slots=True)
class _Cie:
    factors: tuple[int, int]
    return_register: int
    pointers: int
    augmented: bool
    signal: bool
    code: bytes
    code_at: int


def frame_at(binary: Binary, debug: Debug | None, address: int) -> Frame | None:
    """None where nothing says how to unwind from there. Raises BinaryError."""
    eh_frame = _eh_frame(binary.image)
    found = None
    if eh_frame is not None:
        header = _sorted_entries(binary.image)
        if header is not None:
            found = _look_up(eh_frame, header, address)
        else:
            found = _index(debug, eh_frame).at(address)
    if found is None and debug is not None:
        debug_frame = _debug_frame(debug)
        found = None if debug_frame is None else _index(debug, debug_frame).at(address)
    return found


def _index(debug: Debug | None, table: _Table) -> FrameIndex:
    if debug is None:
        return FrameIndex(table)
    known = debug.info.frame_indexes
    if table.name not in known:
        known[table.name] = FrameIndex(table)
    return known[table.name]


class FrameIndex:
    """The entries of a section, by address."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._cies: dict[int, _Cie] = {}
        self._rows = sorted(self._ranges())

    def _ranges(self) -> Iterator[tuple[int, int, int]]:
        position = self._table.start
        while position < self._table.end:
            record, end = _record(self._table, position)
            if record is not None and record.cie is not None:
                low, high, _ = _range(self._table, record, self._cies)
                if low:  # else of a function that the linker threw away
                    yield low, high, position
            position = end

    def at(self, address: int) -> Frame | None:
        """Raises BinaryError."""
        index = bisect_right(self._rows, (address, 1 << 64, 0))
        for low, high, position in reversed(self._rows[max(0, index - 4) : index]):
            if low <= address < high:
                record = _record(self._table, position)[0]
                return None if record is None else _frame(self._table, record, address, self._cies)
        return None


# ------------------------------------------------------------------------------------------------- finding the entry


def _debug_frame(debug: Debug) -> _Table | None:
    section = debug.info.section(".debug_frame")
    return (
        _Table(section.path, section.name, section.data, 0, section.size, 0, False) if section.size else None
    )


def _eh_frame(image: Image) -> _Table | None:
    section = image.section(".eh_frame")
    if section is None or section.type == SHT_NOBITS or not section.size:
        return None
    end = section.offset + section.size
    if end > len(image.data):
        raise corrupt(image.path, "section `.eh_frame`", "lies beyond the end of the file")
    return _Table(image.path, ".eh_frame", image.data, section.offset, end, section.address, True)


def _sorted_entries(image: Image) -> tuple[int, int, int] | None:
    """Of `.eh_frame_hdr`: its address, where its rows begin in the file, how many there are. None where it has no such table."""
    section = image.section(".eh_frame_hdr")
    if section is None or section.type == SHT_NOBITS or section.size < 12:
        return None
    if section.offset + section.size > len(image.data):
        raise corrupt(image.path, "section `.eh_frame_hdr`", "lies beyond the end of the file")
    head = image.data[section.offset : section.offset + 12]
    if head[:4] != HEADER:
        return None
    (count,) = struct.unpack_from("<I", head, 8)
    if 12 + count * _ROW.size > section.size:
        raise corrupt(image.path, "section `.eh_frame_hdr`", f"has no room for its {count} rows")
    return section.address, section.offset + 12, count


def _look_up(table: _Table, header: tuple[int, int, int], address: int) -> Frame | None:
    base, rows, count = header
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if base + _ROW.unpack_from(table.data, rows + middle * _ROW.size)[0] <= address:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return None
    entry = base + _ROW.unpack_from(table.data, rows + (low - 1) * _ROW.size)[1]
    position = entry - table.address + table.start
    if not table.start <= position < table.end:
        raise corrupt(
            table.path, "section `.eh_frame_hdr`", f"points to {entry:#x}, which is not in `.eh_frame`"
        )
    record = _record(table, position)[0]
    return None if record is None else _frame(table, record, address, {})


def _record(table: _Table, position: int) -> tuple[_Record | None, int]:
    """The entry at a position, and where the next one begins. None for the terminator and for padding."""
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
    return _Record(start + width, data[start + width : end], cie), end


# ------------------------------------------------------------------------------------------------ reading the entry


def _frame(table: _Table, record: _Record, address: int, cies: dict[int, _Cie]) -> Frame | None:
    """The row of an FDE that holds at `address`; None where it describes other code."""
    low, high, position = _range(table, record, cies)
    if not low <= address < high or record.cie is None:
        return None
    cie = cies[record.cie]
    try:
        if cie.augmented:
            length, position = unsigned(record.body, position)
            position += length
        return _run(table, cie, record, position, low, high, address)
    except BadInstruction as error:
        table.fail(error.reason)
    except IndexError:
        table.fail("has an entry that is cut short")


def _range(table: _Table, record: _Record, cies: dict[int, _Cie]) -> tuple[int, int, int]:
    """Start and end of an FDE's code, and where in its body that ends."""
    try:
        if record.cie is None:
            raise BadInstruction("has a CIE where an FDE should be")
        if record.cie not in cies:
            cies[record.cie] = _read_cie(table, record.cie)
        pointers = cies[record.cie].pointers
        low, position = _pointer(table, pointers, record.body, 0, record.at)
        size, position = _pointer(table, pointers & 0x0F, record.body, position, record.at)
        return low, low + size, position
    except BadInstruction as error:
        table.fail(error.reason)
    except IndexError:
        table.fail("has an entry that is cut short")


def _run(table: _Table, cie: _Cie, record: _Record, start: int, low: int, high: int, address: int) -> Frame:
    def pointer_at(at: int) -> Factors:
        return Factors(*cie.factors, lambda code, position: _pointer(table, cie.pointers, code, position, at))

    machine = Machine(pointer_at(cie.code_at), low, address)
    machine.run_initial(cie.code)
    machine.factors = pointer_at(record.at + start)
    machine.run(record.body[start:])
    if machine.cfa is None:
        raise BadInstruction(f"defines no frame address at {address:#x}")
    end = high if machine.end is None else min(high, machine.end)
    return Frame(machine.location, end, machine.cfa, machine.registers, cie.return_register, cie.signal)


def _read_cie(table: _Table, position: int) -> _Cie:
    if not table.start <= position < table.end:
        raise BadInstruction("has an entry that refers to no CIE")
    record = _record(table, position)[0]
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
    return _Cie(
        (code, data), return_register, pointers, augmentation.startswith(b"z"), b"S" in augmentation,
        body[position:], record.at + position,
    )  # fmt: skip


def _read_augmentation(table: _Table, letters: bytes, body: bytes, position: int, at: int) -> tuple[int, int]:
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
                    position = _pointer(table, encoding & 0x0F, body, position + 1, at)[1]
            case "S" | "B" | "G":
                pass
            case _:
                break  # its length says where the instructions begin all the same
    return pointers, end


def _pointer(table: _Table, encoding: int, body: bytes, position: int, at: int) -> tuple[int, int]:
    """`at`: where `body` begins in the table's data."""
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
