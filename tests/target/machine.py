"""Expressions of DWARF, built in memory, compiled, and run over registers and memory that a test makes up.

    run(reg("rdi") ...)        Machine(code=CODE).value(bytes((op.breg0 + 5, 8, op.stack_value)))  ->  rdi + 8

The frame is that of a function at 0x1000 to 0x1100 in a file without sections but `.debug_info` and `.debug_frame`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from probelang.artifact.code import Expr
from probelang.dwarf import constants as c
from probelang.dwarf.binary import Binary
from probelang.dwarf.files import Debug
from probelang.dwarf.image import ET_DYN, Image
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.scopes import Functions
from probelang.dwarf.types import Types
from probelang.target.build import here, plus
from probelang.target.expression import compile_location, plain_value
from probelang.target.frame import SiteFrame
from probelang.target.location import Location
from tests.target.samples import Hit, evaluate

BASE = 0x7F0000000000
PC = 0x1010
LOW, HIGH = 0x1000, 0x1100


def uleb(value: int) -> bytes:
    data = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        data.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(data)


def sleb(value: int) -> bytes:
    data = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        done = (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40)
        data.append(byte | (0 if done else 0x80))
        if done:
            return bytes(data)


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to the entry with this label, as an attribute's value."""

    label: str


Attribute: TypeAlias = "tuple[int, int, int | bytes | str | Ref]"


@dataclass(slots=True)
class Die:
    tag: int
    attributes: Sequence[Attribute] = ()
    children: Sequence[Die] = ()
    label: str = ""


@dataclass(slots=True)
class Dwarf:
    """One unit, as bytes. `offsets`: of labels, from the start of the unit, which is that of the section."""

    root: Die
    version: int = 5
    abbreviations: bytearray = field(default_factory=bytearray)
    offsets: dict[str, int] = field(default_factory=dict[str, int])
    _count: int = 0

    def build(self) -> tuple[bytes, bytes]:
        """.debug_info and .debug_abbrev"""
        self._write(self.root, 0)  # labels first
        self.abbreviations, self._count = bytearray(), 0
        head = 12 if self.version >= 5 else 11
        body = self._write(self.root, head)
        if self.version >= 5:
            header = struct.pack("<HBBI", self.version, c.UT_compile, 8, 0)
        else:
            header = struct.pack("<HIB", self.version, 0, 8)
        return struct.pack("<I", len(header) + len(body)) + header + body, bytes(self.abbreviations) + b"\0"

    def _write(self, die: Die, at: int) -> bytes:
        self._count += 1
        if die.label:
            self.offsets[die.label] = at
        data = bytearray(uleb(self._count))
        row = uleb(self._count) + uleb(die.tag) + bytes((bool(die.children),))
        for attribute, form, value in die.attributes:
            row += uleb(attribute) + uleb(form)
            data += self._encode(form, value)
        self.abbreviations += row + b"\0\0"
        for child in die.children:
            data += self._write(child, at + len(data))
        return bytes(data) + (b"\0" if die.children else b"")

    def _encode(self, form: int, value: int | bytes | str | Ref) -> bytes:
        if isinstance(value, Ref):
            value = self.offsets.get(value.label, 0)
        if isinstance(value, str):
            return value.encode() + b"\0"
        if isinstance(value, bytes):
            return uleb(len(value)) + value
        sizes = {
            c.FORM_addr: 8,
            c.FORM_data8: 8,
            c.FORM_data4: 4,
            c.FORM_ref4: 4,
            c.FORM_data1: 1,
            c.FORM_sec_offset: 4,
        }
        if form == c.FORM_flag_present:
            return b""
        return uleb(value) if form == c.FORM_udata else value.to_bytes(sizes[form], "little")


def base_type(label: str, size: int, encoding: int) -> Die:
    return Die(
        c.TAG_base_type,
        (
            (c.AT_name, c.FORM_string, label),
            (c.AT_byte_size, c.FORM_data1, size),
            (c.AT_encoding, c.FORM_data1, encoding),
        ),
        label=label,
    )


def variable(label: str, *attributes: Attribute) -> Die:
    return Die(c.TAG_variable, ((c.AT_name, c.FORM_string, label), *attributes), label=label)


TYPES = (
    base_type("int", 4, c.ATE_signed),
    base_type("unsigned", 4, c.ATE_unsigned),
    base_type("char", 1, c.ATE_signed_char),
    base_type("byte", 1, c.ATE_unsigned_char),
    base_type("long", 8, c.ATE_signed),
    base_type("ulong", 8, c.ATE_unsigned),
    base_type("wide", 16, c.ATE_signed),
    base_type("double", 8, c.ATE_float),
)
# cfa = rsp + 16; return address at cfa - 8, rbx at cfa - 16
FRAME_CODE = bytes((0x0C, 7, 16, 0x80 | 16, 1, 0x80 | 3, 2))


@dataclass(slots=True)
class Sections:
    sections: dict[str, bytes]
    path: str = "made-up"
    alternate: None = None

    def section(self, name: str) -> bytes:
        return self.sections.get(name, b"")

    def split(self, name: str, folder: str, identity: int) -> None:
        return None


def debug_frame(code: bytes = FRAME_CODE, low: int = LOW, size: int = HIGH - LOW) -> bytes:
    """One CIE, one FDE, both of version 4."""
    cie = b"\xff\xff\xff\xff\x04\0\x08\0" + uleb(1) + sleb(-8) + uleb(16) + code
    fde = struct.pack("<IQQ", 0, low, size)
    return b"".join(struct.pack("<I", len(record)) + record for record in (cie, fde))


class Machine:
    """`frame_base`: of the function; `dies`: more entries of the unit, with labels."""

    def __init__(
        self,
        registers: dict[str, int] | None = None,
        memory: dict[int, bytes] | None = None,
        *,
        frame_base: bytes = b"\x9c",
        dies: Sequence[Die] = (),
        inside: Sequence[Die] = (),
        sections: dict[str, bytes] | None = None,
        pc: int = PC,
        version: int = 5,
        frame_code: bytes = FRAME_CODE,
        root: Sequence[Attribute] = (),
    ) -> None:
        function = Die(
            c.TAG_subprogram,
            (
                (c.AT_name, c.FORM_string, "f"),
                (c.AT_low_pc, c.FORM_addr, LOW),
                (c.AT_high_pc, c.FORM_data4, HIGH - LOW),
                (c.AT_frame_base, c.FORM_exprloc, frame_base),
            ),
            inside,
            "f",
        )
        unit = Die(
            c.TAG_compile_unit,
            ((c.AT_low_pc, c.FORM_addr, LOW), (c.AT_high_pc, c.FORM_data4, HIGH - LOW), *root),
            (*TYPES, *dies, function),
        )
        dwarf = Dwarf(unit, version)
        info, abbreviations = dwarf.build()
        self.offsets = dwarf.offsets
        named = {".debug_info": info, ".debug_abbrev": abbreviations, ".debug_frame": debug_frame(frame_code)}
        source = Sections({**named, **(sections or {})})
        image = Image("made-up", bytes(64), ET_DYN, 0, (), (), None, False, ())
        binary = Binary(image, "", "pie", (), False, False, False)
        read = DebugInfo(source)
        debug = Debug(binary, read, Types(read), Functions(read))
        scope = debug.scope(pc)
        assert scope is not None
        self.hit = _Hit(memory, registers, address=BASE + pc)
        self.frame = SiteFrame(binary, debug, scope, pc, plus(here(), -pc))

    def location(self, *parts: int | bytes) -> Location:
        return compile_location(expression(*parts), self.frame)

    def value(self, *parts: int | bytes) -> int | str:
        """What is on top of the stack in the end; a location is its address, register or number."""
        return self.run(plain_value(self.location(*parts)))

    def run(self, expr: Expr) -> int | str:
        return evaluate(expr, self.hit)


class _Hit(Hit):
    def __init__(
        self, memory: dict[int, bytes] | None, registers: dict[str, int] | None, address: int
    ) -> None:
        super().__init__(memory, registers)
        self.address = address

    def instruction(self) -> int:
        return self.address


def expression(*parts: int | bytes) -> bytes:
    """Operations as numbers, operands as bytes."""
    return b"".join(part if isinstance(part, bytes) else bytes((part,)) for part in parts)
