"""What a program of call frame instructions says at one address: where the caller's frame and registers are.

    DW_CFA_def_cfa: rsp + 8; DW_CFA_offset: rip at cfa - 8; DW_CFA_advance_loc: 1; DW_CFA_def_cfa_offset: 16
    ->  at the first byte     Row(cfa=CfaRegister(7, 8), registers={16: AtOffset(-8)})
        behind it             Row(cfa=CfaRegister(7, 16), ...)

Knows no sections. Source: DWARF 5, sections 6.4.2 and 6.4.3; LSB Core 10.5 for the GNU instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from probelang.dwarf.leb import signed, unsigned

MOST_REGISTERS = 1024
MOST_REMEMBERED = 64


class BadInstruction(Exception):
    """`reason`: what the table "has"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CfaRegister:
    """The canonical frame address is `register` + `offset`."""

    register: int
    offset: int


@dataclass(frozen=True, slots=True)
class CfaExpression:
    """A DWARF expression computes it, from an empty stack."""

    expression: bytes


@dataclass(frozen=True, slots=True)
class Undefined:
    """The caller's value is lost."""


@dataclass(frozen=True, slots=True)
class SameValue:
    """The register still holds it."""


@dataclass(frozen=True, slots=True)
class AtOffset:
    """In memory, at CFA + `offset`."""

    offset: int


@dataclass(frozen=True, slots=True)
class ValueOffset:
    """It is CFA + `offset`."""

    offset: int


@dataclass(frozen=True, slots=True)
class InRegister:
    register: int


@dataclass(frozen=True, slots=True)
class AtExpression:
    """In memory, at the address that an expression computes; the CFA is pushed first."""

    expression: bytes


@dataclass(frozen=True, slots=True)
class ValueExpression:
    """An expression computes it; the CFA is pushed first."""

    expression: bytes


Cfa: TypeAlias = CfaRegister | CfaExpression
Rule: TypeAlias = Undefined | SameValue | AtOffset | ValueOffset | InRegister | AtExpression | ValueExpression


@dataclass(frozen=True, slots=True)
class Factors:
    """Of a CIE. `pointer` reads an address at a position of the instructions (DW_CFA_set_loc)."""

    code: int
    data: int
    pointer: Callable[[bytes, int], tuple[int, int]]


class Machine:
    """Runs instructions until the row that holds at `target` is complete: then `location` <= target < `end`."""

    def __init__(self, factors: Factors, location: int, target: int) -> None:
        self.factors = factors
        self.location = location
        self.end: int | None = None
        self.target = target
        self.cfa: Cfa | None = None
        self.registers: dict[int, Rule] = {}
        self._initial: dict[int, Rule] = {}
        self._remembered: list[tuple[Cfa | None, dict[int, Rule]]] = []

    def run_initial(self, code: bytes) -> None:
        """The instructions of the CIE."""
        self.run(code)
        self._initial = dict(self.registers)

    def run(self, code: bytes) -> None:
        """Raises BadInstruction; IndexError at the end of the data."""
        position = 0
        while position < len(code) and self.end is None:
            opcode = code[position]
            position = self._step(opcode, code, position + 1)

    def _step(self, opcode: int, code: bytes, position: int) -> int:
        low = opcode & 0x3F
        match opcode & 0xC0:
            case 0x40:  # advance_loc
                self._advance(self.location + low * self.factors.code)
                return position
            case 0x80:  # offset
                offset, position = unsigned(code, position)
                self._set(low, AtOffset(offset * self.factors.data))
                return position
            case 0xC0:  # restore
                self._restore(low)
                return position
            case _:
                pass
        match opcode:
            case 0x00:  # nop
                return position
            case 0x01:  # set_loc
                location, position = self.factors.pointer(code, position)
                self._advance(location)
                return position
            case 0x02 | 0x03 | 0x04 | 0x1D:  # advance_loc1, 2, 4; MIPS_advance_loc8
                size = {2: 1, 3: 2, 4: 4, 0x1D: 8}[opcode]
                delta = int.from_bytes(_take(code, position, size), "little")
                self._advance(self.location + delta * self.factors.code)
                return position + size
            case 0x0A:  # remember_state
                if len(self._remembered) >= MOST_REMEMBERED:
                    raise BadInstruction("remembers too many states")
                self._remembered.append((self.cfa, dict(self.registers)))
                return position
            case 0x0B:  # restore_state
                if not self._remembered:
                    raise BadInstruction("restores a state that was not remembered")
                self.cfa, self.registers = self._remembered.pop()
                return position
            case 0x2E:  # GNU_args_size
                return unsigned(code, position)[1]
            case 0x0C | 0x0D | 0x0E | 0x0F | 0x12 | 0x13:
                return self._define_cfa(opcode, code, position)
            case _:
                return self._rule(opcode, code, position)

    def _define_cfa(self, opcode: int, code: bytes, position: int) -> int:
        if opcode == 0x0F:  # def_cfa_expression
            block, position = _block(code, position)
            self.cfa = CfaExpression(block)
            return position
        if opcode in (0x0C, 0x12):  # def_cfa, def_cfa_sf
            register, position = unsigned(code, position)
            offset, position = self._cfa_offset(opcode == 0x12, code, position)
            self.cfa = CfaRegister(register, offset)
            return position
        if not isinstance(self.cfa, CfaRegister):
            raise BadInstruction("changes a frame address that is not a register and an offset")
        if opcode == 0x0D:  # def_cfa_register
            register, position = unsigned(code, position)
            self.cfa = CfaRegister(register, self.cfa.offset)
        else:  # def_cfa_offset, def_cfa_offset_sf
            offset, position = self._cfa_offset(opcode == 0x13, code, position)
            self.cfa = CfaRegister(self.cfa.register, offset)
        return position

    def _cfa_offset(self, factored: bool, code: bytes, position: int) -> tuple[int, int]:
        if not factored:
            return unsigned(code, position)
        offset, position = signed(code, position)
        return offset * self.factors.data, position

    def _rule(self, opcode: int, code: bytes, position: int) -> int:
        register, position = unsigned(code, position)
        factor = self.factors.data
        match opcode:
            case 0x05 | 0x14 | 0x2F:  # offset_extended, val_offset, GNU_negative_offset_extended
                offset, position = unsigned(code, position)
                offset *= -factor if opcode == 0x2F else factor
                self._set(register, ValueOffset(offset) if opcode == 0x14 else AtOffset(offset))
            case 0x11 | 0x15:  # offset_extended_sf, val_offset_sf
                offset, position = signed(code, position)
                self._set(
                    register, ValueOffset(offset * factor) if opcode == 0x15 else AtOffset(offset * factor)
                )
            case 0x06:  # restore_extended
                self._restore(register)
            case 0x07:
                self._set(register, Undefined())
            case 0x08:
                self._set(register, SameValue())
            case 0x09:
                other, position = unsigned(code, position)
                self._set(register, InRegister(other))
            case 0x10 | 0x16:  # expression, val_expression
                block, position = _block(code, position)
                self._set(register, ValueExpression(block) if opcode == 0x16 else AtExpression(block))
            case _:
                raise BadInstruction(f"has the unknown call frame instruction {opcode:#x}")
        return position

    def _advance(self, location: int) -> None:
        if location > self.target:
            self.end = location
        else:
            self.location = location

    def _set(self, register: int, rule: Rule) -> None:
        if register >= MOST_REGISTERS:
            raise BadInstruction(f"has a rule for register {register}")
        self.registers[register] = rule

    def _restore(self, register: int) -> None:
        if register in self._initial:
            self.registers[register] = self._initial[register]
        else:
            self.registers.pop(register, None)


def _take(code: bytes, position: int, size: int) -> bytes:
    if position + size > len(code):
        raise IndexError
    return code[position : position + size]


def _block(code: bytes, position: int) -> tuple[bytes, int]:
    size, position = unsigned(code, position)
    return _take(code, position, size), position + size
