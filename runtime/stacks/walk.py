"""The walk up a stack, one frame after the other, by the rows of the files that its code lies in.

    walk(Start(pc, sp, fp), memory.word, locate)
    ->  Walked(addresses=(0x55d0c1a01149, 0x55d0c1a01187, 0x7f31c2a2724a, ...), frames=(1 << 48 | 0x1149, ...), cut=False)

Where the programs of the kernel backend walk, `probelang/llvm/unwind`, this is what they are measured by: same rules, same result.

- The current instruction is looked up as it is; what calls it by the byte before the return address, since a call may be the last
  instruction of its function; the instruction that a signal has interrupted again as it is.
- Code in no file (of a JIT), and of a file without rows, is believed to keep a frame pointer.
- The outermost frame is one whose row says so, or that would return to 0, whose frame pointer is 0 (x86-64 psABI, 3.4.1), or above
  which the stack does not grow.
- Anything else that ends a walk has cut it: unknown rows, memory that cannot be read, too many frames.

Source: DWARF 5, section 6.4.4.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from probelang.artifact import stacks
from probelang.artifact.stacks import (
    FILE_SHIFT,
    MOST_FRAMES,
    RBP_LOST,
    RBP_SAME,
    ROW_END,
    ROW_PLT,
    ROW_SIGNAL,
    UCONTEXT_RBP,
    UCONTEXT_RIP,
    UCONTEXT_RSP,
    UNWIND_ROW,
)
from probelang.dwarf.unwind import UnwindTable
from probelang.runtime.evaluate.context import MemoryFault

ReadWord: TypeAlias = Callable[[int], int]
"""8 bytes of memory, unsigned. Raises MemoryFault."""
Place: TypeAlias = tuple[int, int, UnwindTable]
"""Number of a file, offset in it, its rows."""
Locate: TypeAlias = "Callable[[int], Place | None]"
"""Where an address lies; None where that is in no file."""

_PLT_ENTRY, _PLT_PUSHED = 16, 11


class Start(NamedTuple):
    """Registers of a frame. `fp`: None where it is lost."""

    pc: int
    sp: int
    fp: int | None


@dataclass(frozen=True, slots=True)
class Trampoline:
    """What the kernel puts in place of return addresses that are probed. `replaced`: those, by where they stood on the stack (struct
    return_instance, include/linux/uprobes.h)."""

    address: int
    replaced: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Walked:
    """Innermost first. `frames`: as artifact/stacks.py has them. `cut`: the stack goes on where it could not be followed."""

    addresses: tuple[int, ...]
    frames: tuple[int, ...]
    cut: bool


class _Outermost(Exception):
    """Nothing called this frame."""


class _Lost(Exception):
    """The way on is not known."""


def walk(
    start: Start,
    read_word: ReadWord,
    locate: Locate,
    most: int = MOST_FRAMES,
    trampoline: Trampoline | None = None,
) -> Walked:
    """`trampoline`: of a process in which returns are probed."""
    addresses: list[int] = []
    frames: list[int] = []
    frame, exact, cut = start, True, False
    try:
        while len(frames) < most:
            place = locate(frame.pc if exact else frame.pc - 1)
            addresses.append(frame.pc)
            frames.append(_named(frame.pc, place, exact))
            frame, exact = _caller(frame, exact, place, read_word)
            if trampoline is not None and frame.pc == trampoline.address and not exact:
                frame = frame._replace(pc=_true_address(trampoline, frame.sp - 8))
        cut = True
    except _Outermost:
        pass
    except (_Lost, MemoryFault):
        cut = True
    return Walked(tuple(addresses), tuple(frames), cut)


def _true_address(trampoline: Trampoline, place: int) -> int:
    if place not in trampoline.replaced:
        raise _Lost
    return trampoline.replaced[place]


def _named(pc: int, place: Place | None, exact: bool) -> int:
    if place is None:
        return pc
    number, offset, _ = place
    return number << FILE_SHIFT | (offset if exact else offset + 1)


def _caller(frame: Start, exact: bool, place: Place | None, read_word: ReadWord) -> tuple[Start, bool]:
    """The caller's frame, and whether its pc is that of an instruction that goes on, not of one behind a call."""
    if place is None or not place[2].rows:
        return _by_frame_pointer(frame, read_word), False
    _, offset, table = place
    if table.framed and not exact:
        return _by_frame_pointer(frame, read_word), False
    units, saved, kind = row_at(table, offset)
    if kind == ROW_END:
        raise _Outermost
    if kind == ROW_SIGNAL:
        return _interrupted(frame.sp, read_word), True
    base = frame.sp if kind != ROW_PLT or offset % _PLT_ENTRY < _PLT_PUSHED else frame.sp + 8
    cfa = _cfa(kind, base, frame.fp, 8 * units, read_word)
    if cfa <= frame.sp:
        raise _Outermost
    return _returned(read_word(cfa - 8), cfa, _saved(kind, saved, cfa, frame.fp, read_word)), False


def row_at(table: UnwindTable, offset: int) -> tuple[int, int, int]:
    """Of a table that has rows: offset of the CFA, where rbp is saved, kind."""
    starts = memoryview(table.rows).cast("I")[::2]
    _, units, saved, kind = UNWIND_ROW.unpack_from(
        table.rows, UNWIND_ROW.size * (bisect_right(starts, offset) - 1)
    )
    return units, saved, kind


def _by_frame_pointer(frame: Start, read_word: ReadWord) -> Start:
    fp = frame.fp
    if fp == 0:
        raise _Outermost
    if fp is None or fp % 8 or fp < frame.sp:
        raise _Lost
    return _returned(read_word(fp + 8), fp + 16, read_word(fp))


def _cfa(kind: int, sp: int, fp: int | None, offset: int, read_word: ReadWord) -> int:
    match kind:
        case stacks.ROW_RSP | stacks.ROW_PLT:
            return sp + offset
        case stacks.ROW_AT_RSP:
            return read_word(sp + offset) + 8
        case stacks.ROW_RBP if fp is not None:
            return fp + offset
        case stacks.ROW_AT_RBP if fp is not None:
            return read_word(fp + offset)
        case _:
            raise _Lost


def _saved(kind: int, saved: int, cfa: int, fp: int | None, read_word: ReadWord) -> int | None:
    if saved == RBP_LOST:
        return None
    if kind == stacks.ROW_AT_RBP and fp is not None:
        return read_word(fp)
    return fp if saved == RBP_SAME else read_word(cfa + 8 * saved)


def _interrupted(sp: int, read_word: ReadWord) -> Start:
    """What a signal handler returns to, on whatever stack."""
    return _returned(*(read_word(sp + at) for at in (UCONTEXT_RIP, UCONTEXT_RSP, UCONTEXT_RBP)))


def _returned(pc: int, sp: int, fp: int | None) -> Start:
    if pc == 0:
        raise _Outermost
    return Start(pc, sp, fp)
