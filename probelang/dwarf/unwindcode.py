"""Call frame instructions of one function as unwind rows: how each byte of it finds its caller.

    def_cfa rsp+8; rip at cfa-8 | advance_loc 1; def_cfa_offset 16; rbp at cfa-16; advance_loc 3; def_cfa_register rbp
    ->  [0 | word(ROW_RSP, 1), 1 | word(ROW_RSP, 2, -2), 4 | word(ROW_RBP, 2, -2)]

A row is that of artifact/stacks.py as one number; instead of a pc it has the distance from the function's start. Only rsp, rbp and the return address matter, and they are
carried as plain numbers: `probelang.dwarf.cfi.Machine`, which knows all registers and rules, takes ten times as long.
Sources: DWARF 5, section 6.4.2; LSB Core 10.5; for the expressions glibc (x86-64 libc_sigaction.c), binutils (elfxx-x86.c), and what gcc
and OpenSSL write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from probelang.artifact.stacks import (
    RBP_LOST,
    RBP_SAME,
    ROW_AT_RBP,
    ROW_AT_RSP,
    ROW_END,
    ROW_PLT,
    ROW_RBP,
    ROW_RSP,
    ROW_SIGNAL,
    ROW_UNKNOWN,
)
from probelang.dwarf.cfi import MOST_REGISTERS, MOST_REMEMBERED, BadInstruction
from probelang.dwarf.leb import signed, unsigned

RBP, RSP, RIP = 6, 7, 16
_SLOTS = {RBP: 0, RSP: 1, RIP: 2}

# cells: where a register of the caller is; other values are distances from the CFA in units of 8 bytes, as in rows
_NO_RULE, _LOST, _UNDEFINED, _AT_RBP = RBP_SAME, RBP_LOST, 256, 257
_RETURN_ADDRESS = -1

_RBP_AT_RBP = b"\x76\x00"
_SIGNAL_CFA = b"\x77\xa0\x01\x06"  # the word at rsp + 160: uc_mcontext.gregs[REG_RSP]
_PLT_CFA = b"\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"  # rsp + 8 + ((rip & 15) >= 11) * 8
_DEREFERENCED = {
    0x76: (ROW_AT_RBP, b"\x06"),
    0x77: (ROW_AT_RSP, b"\x06\x23\x08"),
}  # breg; deref; deref, plus_uconst 8
_SET_LOC = 0x01
_STEPS = {_SET_LOC: 0, 0x02: 1, 0x03: 2, 0x04: 4, 0x1D: 8}
_DEFINITIONS = frozenset((0x0C, 0x0D, 0x0E, 0x0F, 0x12, 0x13))

Cfa: TypeAlias = tuple[int, int] | bytes | None
"""Register and offset, or an expression."""
State: TypeAlias = tuple[Cfa, int, int, int]
"""With cells of rbp, rsp and the return address."""
Pointer: TypeAlias = Callable[[int], tuple[int, int]]
"""Reads an address at a position of the instructions: how far it lies behind the function's start, and where the next thing begins."""
Rows: TypeAlias = list[int]
PC_BITS = 32
FARTHEST = (1 << PC_BITS) - 1


class NeedsPointer(Exception):
    """DW_CFA_set_loc: what the instructions say depends on where they are."""


def word(kind: int, offset: int = 0, rbp: int = RBP_SAME) -> int:
    """A row at 0."""
    return (offset & 0xFFFF) << 32 | (rbp & 0xFF) << 48 | kind << 56


UNKNOWN = word(ROW_UNKNOWN)


class Flattener:
    """For the functions of one CIE, whose own instructions are `initial`. Raises BadInstruction and IndexError."""

    def __init__(self, factors: tuple[int, int], return_register: int, signal: bool, initial: bytes) -> None:
        self._code_factor, self._data_factor = factors
        self._signal = signal
        self._words: dict[State, int] = {}
        self._initial: State = (None, _NO_RULE, _NO_RULE, _LOST)
        rows: Rows = []
        self._initial = self._run(initial, rows, None)
        if len(rows) > 1 or return_register != RIP:
            raise BadInstruction("has an entry that is not of this machine")

    def rows(self, code: bytes, pointer: Pointer | None = None) -> Rows:
        """Ascending, the first at 0, neighbours not equal. Of damaged instructions all is unknown. Raises NeedsPointer, without one."""
        rows: Rows = []
        try:
            self._run(code, rows, pointer)
        except (BadInstruction, IndexError):
            return [UNKNOWN]
        return rows

    def _run(self, code: bytes, rows: Rows, pointer: Pointer | None) -> State:
        """Adds to `rows`; gives what holds behind the last instruction."""
        cfa, *cells = self._initial
        remembered: list[State] = []
        distance = position = 0
        while position < len(code):
            opcode = code[position]
            position += 1
            high = opcode & 0xC0
            if high == 0x40 or opcode in _STEPS:
                step, position = self._step(opcode, code, position, distance, pointer)
                if step > 0:
                    self._add(rows, distance, (cfa, cells[0], cells[1], cells[2]))
                    distance += step
            elif high == 0x80:  # offset
                number, position = _unsigned(code, position)
                self._set(cells, opcode & 0x3F, _at_offset(number * self._data_factor))
            elif high == 0xC0:  # restore
                self._set(cells, opcode & 0x3F, None)
            elif opcode in _DEFINITIONS:
                cfa, position = self._define(opcode, code, position, cfa)
            elif opcode == 0x0A:  # remember_state
                if len(remembered) >= MOST_REMEMBERED:
                    raise BadInstruction("remembers too many states")
                remembered.append((cfa, cells[0], cells[1], cells[2]))
            elif opcode == 0x0B:  # restore_state
                if not remembered:
                    raise BadInstruction("restores a state that was not remembered")
                cfa, *cells = remembered.pop()
            elif opcode == 0x2E:  # GNU_args_size
                position = _unsigned(code, position)[1]
            elif opcode:
                register, cell, position = self._rule(opcode, code, position)
                self._set(cells, register, cell)
        state = (cfa, cells[0], cells[1], cells[2])
        self._add(rows, distance, state)
        return state

    def _step(
        self, opcode: int, code: bytes, position: int, distance: int, pointer: Pointer | None
    ) -> tuple[int, int]:
        """How far an instruction advances."""
        if opcode & 0x40:
            return (opcode & 0x3F) * self._code_factor, position
        if opcode == _SET_LOC:
            if pointer is None:
                raise NeedsPointer
            there, position = pointer(position)
            return there - distance, position
        size = _STEPS[opcode]
        return int.from_bytes(_take(code, position, size), "little") * self._code_factor, position + size

    def _set(self, cells: list[int], register: int, cell: int | None) -> None:
        """None: as the CIE has it."""
        if register in _SLOTS:
            slot = _SLOTS[register]
            cells[slot] = self._initial[1:][slot] if cell is None else cell

    def _define(self, opcode: int, code: bytes, position: int, cfa: Cfa) -> tuple[Cfa, int]:
        if opcode == 0x0F:  # def_cfa_expression
            return _block(code, position)
        if opcode in (0x0C, 0x12):  # def_cfa, def_cfa_sf
            register, position = _unsigned(code, position)
            offset = 0
        elif isinstance(cfa, tuple):
            register, offset = cfa
        else:
            raise BadInstruction("changes a frame address that is not a register and an offset")
        if opcode == 0x0D:  # def_cfa_register
            register, position = _unsigned(code, position)
        elif opcode in (0x12, 0x13):
            offset, position = signed(code, position)
            offset *= self._data_factor
        else:
            offset, position = _unsigned(code, position)
        return (register, offset), position

    def _rule(self, opcode: int, code: bytes, position: int) -> tuple[int, int | None, int]:
        """A register, its cell, and where the next instruction begins."""
        register, position = _unsigned(code, position)
        if register >= MOST_REGISTERS:
            raise BadInstruction(f"has a rule for register {register}")
        cell: int | None = _LOST
        match opcode:
            case 0x05 | 0x2F:  # offset_extended, GNU_negative_offset_extended
                offset, position = _unsigned(code, position)
                cell = _at_offset(offset * (self._data_factor if opcode == 0x05 else -self._data_factor))
            case 0x11:  # offset_extended_sf
                offset, position = signed(code, position)
                cell = _at_offset(offset * self._data_factor)
            case 0x06:  # restore_extended
                cell = None
            case 0x07:
                cell = _UNDEFINED
            case 0x08:  # same_value
                cell = _LOST if register == RSP else _NO_RULE
            case 0x09 | 0x14:  # register, val_offset
                position = _unsigned(code, position)[1]
            case 0x15:  # val_offset_sf
                position = signed(code, position)[1]
            case 0x10 | 0x16:  # expression, val_expression
                block, position = _block(code, position)
                cell = _AT_RBP if opcode == 0x10 and block == _RBP_AT_RBP else _LOST
            case _:
                raise BadInstruction(f"has the unknown call frame instruction {opcode:#x}")
        return register, cell, position

    def _add(self, rows: Rows, distance: int, state: State) -> None:
        row = self._words.get(state)
        if row is None:
            row = self._words[state] = _word(state, self._signal)
        if distance <= FARTHEST and (not rows or rows[-1] >> PC_BITS != row >> PC_BITS):
            rows.append(distance | row)


def _word(state: State, signal: bool) -> int:
    cfa, rbp, rsp, return_address = state
    if signal and cfa == _SIGNAL_CFA:
        return word(ROW_SIGNAL)
    if return_address == _UNDEFINED:
        return word(ROW_END)
    if return_address != _RETURN_ADDRESS or rsp != _NO_RULE or cfa is None:
        return UNKNOWN
    if isinstance(cfa, bytes):
        return _computed(cfa, rbp)
    register, offset = cfa
    if register not in (RBP, RSP):
        return UNKNOWN
    if rbp == _AT_RBP and register == RBP:  # a distance again
        rbp = _at_offset(-offset)
    elif rbp == _AT_RBP and offset == 8:
        rbp = _NO_RULE  # behind `leave` and `lea -8(%r10), %rsp` gcc forgets to say that it is restored
    return _row(ROW_RBP if register == RBP else ROW_RSP, offset, rbp)


def _computed(expression: bytes, rbp: int) -> int:
    """CFAs that an expression computes."""
    if expression == _PLT_CFA:
        return _row(ROW_PLT, 8, rbp)
    if len(expression) < 2 or expression[0] not in _DEREFERENCED:
        return UNKNOWN
    kind, rest = _DEREFERENCED[expression[0]]
    try:
        offset, position = signed(expression, 1)
    except IndexError:
        return UNKNOWN
    if expression[position:] != rest:
        return UNKNOWN
    if kind == ROW_AT_RBP:
        return _row(kind, offset, RBP_SAME if rbp == _AT_RBP else _LOST)
    return _row(kind, offset, rbp)


def _row(kind: int, offset: int, rbp: int) -> int:
    if offset % 8 or not -0x8000 <= offset // 8 < 0x8000:
        return UNKNOWN
    return word(kind, offset // 8, rbp if -128 <= rbp <= RBP_LOST else RBP_LOST)


def _at_offset(offset: int) -> int:
    """A cell; what does not fit a row is lost, and so is what lies at the CFA, which would read as no rule."""
    return offset // 8 if offset and not offset % 8 and -128 <= offset // 8 < RBP_LOST else _LOST


def _unsigned(code: bytes, position: int) -> tuple[int, int]:
    byte = code[position]
    return (byte, position + 1) if byte < 0x80 else unsigned(code, position)


def _take(code: bytes, position: int, size: int) -> bytes:
    if position + size > len(code):
        raise IndexError
    return code[position : position + size]


def _block(code: bytes, position: int) -> tuple[bytes, int]:
    size, position = _unsigned(code, position)
    return _take(code, position, size), position + size
