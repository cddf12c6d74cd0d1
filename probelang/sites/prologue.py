"""What code does between a function's entry and a later address: which arguments it stores where, and who else comes there.

    push %rbp; mov %rsp,%rbp; mov %edi,-20(%rbp); movl $0,-4(%rbp)
    read_start(binary, 0x1139, 0x1140, False)   ->  Start((Store(at=0x113d, register=6, offset=-20, size_bytes=4),), {7, 6})

Only values that were in argument registers at the entry count, whichever registers they went through; the `$0` above is none.
Sources: System V ABI, AMD64 supplement, 3.2.3 (argument registers), figure 3.36 (numbers of registers).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probelang.dwarf.binary import Binary
from probelang.sites.judge import ENDBR64

if TYPE_CHECKING:
    from iced_x86 import Instruction

LONGEST = 4096
"""Bytes of a prologue."""
RBP, ABOVE_FRAME = 6, 16
"""From where on the caller's part of the stack is, counted from the frame pointer: behind its old value and the return address."""


@dataclass(frozen=True, slots=True)
class Store:
    """By the instruction at `at`, to `register` (its number of DWARF) + `offset`. `stale`: that register has changed since."""

    at: int
    register: int
    offset: int
    size_bytes: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What the first instructions did: arguments they stored, general registers (numbers of DWARF) that they changed."""

    stores: tuple[Store, ...]
    changed: frozenset[int]


@dataclass(frozen=True, slots=True)
class Branches:
    """`direct`: from, to. `indirect`: some jump's target is computed."""

    direct: tuple[tuple[int, int], ...]
    indirect: bool

    def enter(self, low: int, high: int) -> bool:
        """Whether one from elsewhere leads behind `low`, up to `high`."""
        return any(low < to <= high and not low <= start < high for start, to in self.direct)


def branches(binary: Binary, ranges: Iterable[tuple[int, int]]) -> Branches:
    """Of a function's code."""
    from iced_x86 import Decoder, FlowControl

    both = (FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH)
    direct: list[tuple[int, int]] = []
    indirect = False
    for low, high in ranges:
        for instruction in Decoder(64, _code(binary, low, high), ip=low):
            flow = instruction.flow_control
            if flow == FlowControl.NEXT:
                continue
            if flow in both:
                direct.append((instruction.ip, instruction.near_branch_target))
            elif flow == FlowControl.INDIRECT_BRANCH:
                indirect = True
    return Branches(tuple(direct), indirect)


def is_landing(binary: Binary, address: int) -> bool:
    """Whether computed branches may lead here, where the processor enforces that (`endbr64`: Intel CET)."""
    return _code(binary, address, address + len(ENDBR64)) == ENDBR64


def _code(binary: Binary, low: int, high: int) -> bytes:
    offset = binary.image.offset_of(low)
    return b"" if offset is None else binary.image.data[offset : offset + high - low]


def read_start(binary: Binary, low: int, high: int, profiled: bool) -> Start | None:
    """Of the instructions in [low, high). None unless whatever enters at `low` comes to `high`: there are calls, or branches that lead away.
    `profiled`: a call before the first store is the profiler's (-pg), which leaves all registers alone."""
    from iced_x86 import Decoder, FlowControl

    if high - low > LONGEST:
        return None
    walk = _Walk()
    decoder = Decoder(64, _code(binary, low, high), ip=low)
    for instruction in decoder:
        match instruction.flow_control:
            case FlowControl.NEXT:
                walk.step(instruction)
            case FlowControl.CONDITIONAL_BRANCH | FlowControl.UNCONDITIONAL_BRANCH:
                if not low <= instruction.near_branch_target <= high:
                    return None
            case FlowControl.CALL | FlowControl.INDIRECT_CALL if profiled and not walk.stores:
                pass
            case _:
                return None
    return Start(tuple(walk.stores), frozenset(walk.changed)) if decoder.ip == high else None


class _Walk:
    """Follows the arguments through registers and stack slots."""

    def __init__(self) -> None:
        from iced_x86 import InstructionInfoFactory, Register

        r = Register
        self.stores: list[Store] = []
        self.changed: set[int] = set()
        self._information = InstructionInfoFactory()
        self._arguments: set[int] = {r.RDI, r.RSI, r.RDX, r.RCX, r.R8, r.R9, *range(r.ZMM0, r.ZMM8)}
        self._pointers: set[int] = set()  # registers with the address of arguments on the stack
        self._numbers: dict[int, int] = {
            r.RAX: 0, r.RDX: 1, r.RCX: 2, r.RBX: 3, r.RSI: 4, r.RDI: 5, r.RBP: 6, r.RSP: 7, r.R8: 8, r.R9: 9,
            r.R10: 10, r.R11: 11, r.R12: 12, r.R13: 13, r.R14: 14, r.R15: 15,
        }  # fmt: skip

    def step(self, instruction: Instruction) -> None:
        from iced_x86 import Mnemonic, OpAccess, Register

        reads = (OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE)
        writes = (OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE)
        registers, slots = self._uses(instruction)
        bases = {instruction.memory_base, instruction.memory_index}
        has_argument = any(
            access in reads and register in self._arguments and register not in bases
            for register, access in registers
        ) or any(access in reads and self._holds(slot, base) for slot, base, access in slots)
        for slot, _, access in slots:
            if access in (OpAccess.WRITE, OpAccess.READ_WRITE):
                self.stores = [s for s in self.stores if s.stale or not _overlap(s, slot)]
                if has_argument:
                    self.stores.append(slot)
        for register, access in registers:
            if access in writes:
                self._write(register, has_argument)
        if instruction.mnemonic == Mnemonic.LEA and instruction.memory_base == Register.RBP:
            if ABOVE_FRAME <= instruction.memory_displacement < 1 << 31:
                self._pointers.add(instruction.op0_register)
        elif instruction.mnemonic == Mnemonic.FLD and has_argument:
            self._arguments.add(Register.ST0)
        elif instruction.mnemonic == Mnemonic.FSTP:
            self._arguments.discard(Register.ST0)

    def _uses(self, instruction: Instruction) -> tuple[list[tuple[int, int]], list[tuple[Store, int, int]]]:
        """Whole registers, each with its access; places in memory, each with its base register and access."""
        from iced_x86 import MemorySizeExt, Register, RegisterExt

        used = self._information.info(instruction)
        registers: list[tuple[int, int]] = [
            (RegisterExt.full_register(u.register), u.access) for u in used.used_registers()
        ]
        slots: list[tuple[Store, int, int]] = []
        for memory in used.used_memory():
            if memory.index == Register.NONE and memory.base in self._numbers:
                offset = memory.displacement
                offset -= (offset >> 63) << 64
                size = MemorySizeExt.size(memory.memory_size)
                store = Store(instruction.ip, self._numbers[memory.base], offset, size)
                slots.append((store, memory.base, memory.access))
        return registers, slots

    def _write(self, register: int, has_argument: bool) -> None:
        self._pointers.discard(register)
        if has_argument:
            self._arguments.add(register)
        else:
            self._arguments.discard(register)
        number = self._numbers.get(register)
        if number is None:
            return
        self.changed.add(number)
        if any(s.register == number for s in self.stores):
            self.stores = [replace(s, stale=True) if s.register == number else s for s in self.stores]

    def _holds(self, slot: Store, base: int) -> bool:
        """Whether an argument lies there, stored or from the caller."""
        if base in self._pointers or (slot.register == RBP and slot.offset >= ABOVE_FRAME):
            return True
        return any(_overlap(known, slot) and not known.stale for known in self.stores)


def _overlap(one: Store, other: Store) -> bool:
    return (
        one.register == other.register
        and one.offset < other.offset + other.size_bytes
        and other.offset < one.offset + one.size_bytes
    )
