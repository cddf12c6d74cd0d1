"""Arguments of marks: operands of the assembler as objects of the program.

    mark_argument("-4@8(%rsp)", binary, base)       ->  Object(int32_t, InMemory(u_register("rsp") + 8))
    mark_argument("1@%ah", binary, base)            ->  Object(uint8_t, Computed(u_register("rax") >>> 8))
    mark_argument("8@table+16(%rip)", binary, base) ->  Object(uint64_t, InMemory(base + 0x4050))

SIZE@OPERAND: the size in bytes, negative where the value is signed, with `f` behind it where it is a floating point number. It
decides; the register's name is only that of the storage, of whatever width.
Sources: sys/sdt.h of SystemTap, "operand note format"; GNU as, "i386-Dependent", AT&T syntax: Memory References; for
thread-local symbols: Drepper, "ELF Handling For Thread-Local Storage", 4.4.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from probelang.artifact.code import Binary as Operation
from probelang.artifact.code import Expr, Number
from probelang.dwarf.binary import Binary
from probelang.dwarf.ctypes import Base
from probelang.target.abi import VECTOR
from probelang.target.build import add, extract, here, number, plus, register
from probelang.target.location import Computed, InMemory, InRegister, Location, Unavailable
from probelang.target.registers import number_of
from probelang.target.symbols import Symbols
from probelang.target.values import Object


@dataclass(frozen=True, slots=True)
class _Register:
    """Bits `first` and following, `bits` of them, of the register `name`."""

    name: str
    bits: int
    first: int = 0


def _registers() -> dict[str, _Register]:
    found: dict[str, _Register] = {"rip": _Register("rip", 64), "eip": _Register("rip", 32)}
    for letter in "abcd":
        full = f"r{letter}x"
        found |= {
            full: _Register(full, 64),
            f"e{letter}x": _Register(full, 32),
            f"{letter}x": _Register(full, 16),
        }
        found |= {f"{letter}l": _Register(full, 8), f"{letter}h": _Register(full, 8, 8)}
    for name in ("si", "di", "bp", "sp"):
        full = f"r{name}"
        found |= {full: _Register(full, 64), f"e{name}": _Register(full, 32), name: _Register(full, 16)}
        found[f"{name}l"] = _Register(full, 8)
    for n in range(8, 16):
        full = f"r{n}"
        found |= {full: _Register(full, 64), f"{full}d": _Register(full, 32), f"{full}w": _Register(full, 16)}
        found |= {f"{full}b": _Register(full, 8), f"{full}l": _Register(full, 8)}
    return found


_REGISTERS = _registers()
_OTHER_REGISTERS = re.compile(r"[xyz]?mm\d+|st(?:\(\d\))?|k\d|[cdt]r\d+")
_SIZE = re.compile(r"(-?)(\d+)(f?)@")
_SEGMENT = re.compile(r"%?([c-g]s|ss):")
_BRACKETS = re.compile(r"(.*?)\(\s*(%\w+)?\s*(?:,\s*(%\w+)?\s*(?:,\s*([0-9a-fA-Fx]+)?\s*)?)?\)")
_TERM = re.compile(
    r"\s*([-+])?\s*(?:(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)|([A-Za-z_.$][\w.$]*)(?:@(\w+))?)\s*(?=[-+]|$)"
)
_FLOATS = {"4": Base("float", 4, "float"), "8": Base("double", 8, "float")}
_MOST_TERMS = 16  # of a sum; no compiler writes so many
_LONGEST = 2048
_RELOCATIONS = ("", "gotpcrel", "tpoff", "dtpoff", "plt")


@dataclass(frozen=True, slots=True)
class _Sum:
    """A displacement: a number, and perhaps a symbol."""

    offset: int
    symbol: str = ""
    relocation: str = ""


def mark_argument(text: str, binary: Binary, base: Expr) -> Object:
    """`base`: the run-time address of image address 0. Raises Unavailable."""
    return _Reader(text, Symbols(binary, base)).read()


class _Reader:
    def __init__(self, text: str, symbols: Symbols) -> None:
        self.text = text
        self.symbols = symbols

    def read(self) -> Object:
        text = self.text.strip()
        if len(text) > _LONGEST:
            raise Unavailable("its operand is too long")
        size = _SIZE.match(text)
        if size is None:
            bits = self._width(text)
            return Object(Base(f"uint{bits}_t", bits // 8, "unsigned"), self._location(text))
        return Object(self._type(*size.groups()), self._location(text[size.end() :].strip()))

    def _type(self, sign: str, digits: str, is_float: str) -> Base:
        if is_float:
            if digits in _FLOATS:
                return _FLOATS[digits]
            raise Unavailable(f"it is a floating point number of {digits} bytes, which cannot be read")
        if digits not in ("1", "2", "4", "8"):
            raise Unavailable(f"it is {digits} bytes long, which is no number that can be read")
        bits = int(digits) * 8
        return (
            Base(f"int{bits}_t", bits // 8, "signed")
            if sign
            else Base(f"uint{bits}_t", bits // 8, "unsigned")
        )

    def _width(self, operand: str) -> int:
        """In bits, where only the operand tells."""
        known = _REGISTERS.get(operand.removeprefix("%"))
        return known.bits if known is not None else 64

    def _wrong(self) -> NoReturn:
        raise Unavailable(f"its operand `{self.text}` is in no form that is known")

    def _location(self, operand: str) -> Location:
        if operand.startswith("$"):
            total = self._sum(operand[1:])
            return Computed(self._absolute(total))
        segment = _SEGMENT.match(operand)
        if segment is not None:
            return InMemory(self._in_segment(segment[1], operand[segment.end() :]))
        if operand.startswith("%"):
            return self._register(operand[1:])
        brackets = _BRACKETS.fullmatch(operand)
        if brackets is not None and brackets[1] and brackets[2] == "%rip":
            total = self._sum(brackets[1])
            if total.relocation == "gotpcrel" and not total.offset:
                return self.symbols.pointer(total.symbol)
        return InMemory(self._address(operand))

    def _in_segment(self, segment: str, operand: str) -> Expr:
        """All but two begin at 0."""
        address = self._address(operand)
        return add(register(f"{segment}_base"), address) if segment in ("fs", "gs") else address

    # ------------------------------------------------------------------------------------------ registers

    def _register(self, name: str) -> Location:
        found = self._known_register(name)
        if found.first:
            return Computed(Operation(">>>", register(found.name), Number(found.first), 0))
        return InRegister(number_of(found.name), register(found.name))

    def _known_register(self, name: str) -> _Register:
        found = _REGISTERS.get(name)
        if found is None:
            if _OTHER_REGISTERS.fullmatch(name):
                raise Unavailable(
                    VECTOR if "mm" in name else f"it is in the register {name}, which probes cannot read"
                )
            self._wrong()
        return found

    def _address_register(self, text: str) -> Expr:
        found = self._known_register(text.removeprefix("%"))
        if found.bits < 32 or found.name == "rip":
            self._wrong()
        return extract(register(found.name), found.bits, False)

    # ------------------------------------------------------------------------------------------ addresses

    def _address(self, operand: str) -> Expr:
        brackets = _BRACKETS.fullmatch(operand)
        if brackets is None:
            return self._absolute(self._sum(operand))
        displacement, base, index, scale = brackets.groups()
        total = self._sum(displacement) if displacement.strip() else _Sum(0)
        address = self._absolute(total)
        if base in ("%rip", "%eip"):
            if index is not None or scale is not None:
                self._wrong()
            # the assembler takes a symbol for where it is, and only a bare number for a distance
            return address if total.symbol else plus(here(), total.offset)
        if base is not None:
            address = add(self._address_register(base), address)
        return address if index is None else add(address, self._scaled(index, scale))

    def _scaled(self, index: str, scale: str | None) -> Expr:
        if scale not in (None, "1", "2", "4", "8"):
            self._wrong()
        value = self._address_register(index)
        return value if scale in (None, "1") else Operation("*", value, Number(int(scale)), 0)

    def _absolute(self, total: _Sum) -> Expr:
        match total.relocation:
            case _ if not total.symbol:
                return number(total.offset)
            case "tpoff":
                return number(self.symbols.thread_offset(total.symbol) + total.offset)
            case "dtpoff":
                return number(self.symbols.block_offset(total.symbol) + total.offset)
            case "gotpcrel":
                self._wrong()
            case _:
                return plus(self.symbols.address(total.symbol), total.offset)

    def _sum(self, text: str) -> _Sum:
        """`8+table-4` -> _Sum(4, "table")"""
        offset, symbol, relocation, position = 0, "", "", 0
        for _ in range(_MOST_TERMS):
            term = _TERM.match(text, position)
            if term is None or (position and term[1] is None):
                self._wrong()
            sign, digits, name, suffix = term.groups()
            if digits is not None:
                offset += (-1 if sign == "-" else 1) * self._number(digits)
            elif symbol or sign == "-" or (suffix or "").lower().removeprefix("n") not in _RELOCATIONS:
                self._wrong()
            else:
                symbol, relocation = name, (suffix or "").lower().removeprefix("n")
            position = term.end()
            if position == len(text):
                return _Sum(offset, symbol, relocation)
        self._wrong()

    def _number(self, digits: str) -> int:
        """As the assembler reads it: 0x and 0b, and octal behind a 0."""
        if len(digits) > 70:
            self._wrong()
        is_octal = digits[0] == "0" and digits.isdigit()
        try:
            return int(digits, 8) if is_octal else int(digits, 0)
        except ValueError:
            self._wrong()
