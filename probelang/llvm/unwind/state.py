"""Memory of a walk: what its functions share, and what it leaves.

    place + 0     u32 frames, u32 flags, u32 process, u32 zero      as a value of the map `stacks` begins
    place + 16    u64 frames[128]                                   the first 127 are the rest of such a value
    place + 1040  u64 addresses[128]                                the same, as the process sees them

`place` is memory that the caller reserves in its frame. The state lies with the memory of routines: one walk at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from probelang.artifact.stacks import STACK_HEADER
from probelang.llvm.builder import Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.values import Cell

SLOTS = 128
FRAMES = STACK_HEADER.size
ADDRESSES = FRAMES + 8 * SLOTS
WALK_BYTES = ADDRESSES + 8 * SLOTS
CACHED = 4
"""Areas that a walk remembers."""
AREA_BYTES = 64
READ_MASK = 0xF8
"""Bytes that are read of a stack at once, at most."""
SCRATCH_BYTES = READ_MASK + 16
WINDOW_BYTES = 512
"""Of the stack, read ahead: several frames cost one call of the kernel. A power of two."""
NO_WINDOW = 1 << 62
"""Far from all addresses of a process."""


@dataclass(frozen=True, slots=True)
class State:
    """`rip`, `rsp`, `rbp`: of the frame at hand. `back`: 1 where rip is a return address, and the call is one byte before. `unseen`: frames
    to be left out still. `most`: frames wanted. `flags`: of the stack. `nameless`: a frame lies in no file. `trampoline`: where functions return whose
    return is probed, once it is known. `instance`: the kernel's note of the next such call; -1: not looked for yet.
    `areas`: CACHED times AREA_BYTES, `next_area`: which is given up next; `area`: where in it that of the frame is. `words`: WINDOW_BYTES of the stack, from address
    `window` on."""

    place: Cell
    rip: Cell
    rsp: Cell
    rbp: Cell
    back: Cell
    count: Cell
    unseen: Cell
    most: Cell
    flags: Cell
    hash: Cell
    nameless: Cell
    trampoline: Cell
    instance: Cell
    area: Cell
    next_area: Cell
    offset: Cell
    cfa: Cell
    saved: Cell
    areas: Cell
    scratch: Cell
    window: Cell
    words: Cell


def state_of(e: Emitter) -> State:
    """The one of the module, made by the first who asks."""
    module = e.module
    if not module.walk_state:
        sizes = {"areas": CACHED * AREA_BYTES, "scratch": SCRATCH_BYTES, "words": WINDOW_BYTES + 8}
        module.walk_state = tuple(e.reserve_for_routines(sizes.get(f.name, 8)) for f in fields(State))
    return State(*(Cell(offset) for offset in module.walk_state))


def frame_place(e: Emitter, block: Pointer, index: Value) -> Pointer:
    return e.offset(block, e.add(e.shift_left(e.bits_and(index, SLOTS - 1), 3), FRAMES))


def address_place(e: Emitter, block: Pointer, index: Value) -> Pointer:
    return e.offset(block, e.add(e.shift_left(e.bits_and(index, SLOTS - 1), 3), ADDRESSES))
