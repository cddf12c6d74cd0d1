"""What an emitter hands around: strings, cells, buffers, and where control can go.

e.cell(0) -> Cell(offset=416);  e.text_of(e.buffer()) -> StrVal(data, length, offset=424)
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.llvm.builder import Label, Pointer, Value


class NeedsFrame(Exception):
    """A handler thought to be simple asks for scratch memory: it is written again, with a frame."""


@dataclass(frozen=True, slots=True)
class StrVal:
    """A string: where its bytes are (no NUL behind them), and how many; `length` is below the capacity in every case that
    the verifier can think of. `literal`: known at compile time. The memory may be a variable's own: copy before
    anything can change it. `offset`: of the frame buffer whose string this is, for routines. `padded`: so many
    bytes (a multiple of 8) may be read from `data`, and behind the string they are zero: compare or copy them whole.
    `remote`: the verifier does not know that the memory is ours: only helpers that copy kernel memory may read it."""

    data: Pointer
    length: Value
    literal: bytes | None = None
    offset: int | None = None
    padded: int = 0
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A u64 in memory: in the frame (`offset`), or on the stack (`pointer`) of a simple handler."""

    offset: int
    pointer: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Buffer:
    """A string buffer in the frame: `u32 length, u32 zero, char data[2 * capacity]`."""

    offset: int


@dataclass(frozen=True, slots=True)
class Jump:
    """Where `return`, `next`, `break` or `continue` leads: a label, and how many loops are open there."""

    label: Label
    iterators: int


@dataclass(frozen=True, slots=True)
class Jumps:
    """None where the statement cannot stand."""

    leave: Jump  # return in a function, next in a handler
    next: Jump | None = None  # next in a function
    break_: Jump | None = None
    continue_: Jump | None = None


@dataclass(slots=True)
class LoopState:
    """An open loop; `index` counts its turns from 0."""

    index: Value
    head: Label
    done: Label
