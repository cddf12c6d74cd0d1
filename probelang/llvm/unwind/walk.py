"""The walk of a stack, in the kernel: from the registers of a hit to the frames of all who called.

    walk = walk_stack(e, most)            frames and addresses in the caller's frame memory (`state.py`)
    walk.count(e); walk.frame(e, i); walk.address(e, i); walk.is_cut(e)

Functions over the frame's memory: `unwind` is a loop around `unwind_step` (step.py), which asks `unwind_area` (cache.py) where it meets
memory that the walk does not remember. A step finds the row that holds at rip (at the byte before, for return addresses), from it
the frame's address (CFA), the return address below it, and what the caller's rbp was. Code without rows, as of a JIT, is taken to
keep frame pointers. A return address that the kernel has replaced, because the return is probed, stands in the task's list.
It ends where a row says so, at a return address of 0, and where the stack does not grow. Anything else that ends it is a cut.
A kernel that cannot be asked for areas has its own walk, by frame pointers; then all frames are plain addresses.
Sources: DWARF 5, section 6.4; System V ABI, AMD64 supplement, 3.2.2; kernel/events/callchain.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.artifact.stacks import MOST_FRAMES, STACK_FLAG_CALLERS, STACK_FLAG_CUT
from probelang.llvm.builder import Bit, Operand, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import PID_TGID, TASK_BTF
from probelang.llvm.unwind import area as areas
from probelang.llvm.unwind import cache, replaced, step
from probelang.llvm.unwind.state import (
    ADDRESSES,
    FRAMES,
    NO_WINDOW,
    WALK_BYTES,
    State,
    address_place,
    frame_place,
    state_of,
)

GET_TASK_STACK = 141
USER_STACK = 1 << 8  # BPF_F_USER_STACK
USER_BITS = 47
SEED = 0x517CC1B727220A95
FLAGS, PROCESS = 4, 8
"""Places in the header of a stack (`artifact.stacks.STACK_HEADER`)."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A stack that was walked, as a block at `place` of the frame. Frame 0 is the current instruction, the others are return addresses."""

    place: int

    def block(self, e: Emitter) -> Pointer:
        return e.at(self.place)

    def count(self, e: Emitter) -> Value:
        return e.load(self.block(e), bits=32)

    def is_cut(self, e: Emitter) -> Bit:
        return e.truth(e.bits_and(e.load(e.at(self.place + FLAGS), bits=32), STACK_FLAG_CUT))

    def frame(self, e: Emitter, index: Value) -> Value:
        """`file << 48 | offset`; `index` is below the count."""
        return e.load(frame_place(e, self.block(e), e.opaque(index)))

    def address(self, e: Emitter, index: Value) -> Value:
        return e.load(address_place(e, self.block(e), e.opaque(index)))

    def number(self, e: Emitter) -> Value:
        """A hash of the frames, and of the process where a frame is of no file; never 0."""
        return e.get(state_of(e).hash)


def walk_stack(e: Emitter, most: Operand = MOST_FRAMES, unseen: Operand = 0, callers: bool = False) -> Walk:
    """At most `most` (0 to MOST_FRAMES) frames, without the first `unseen` (0 or 1) ones. `callers`: the stack is told as one of return
    addresses only. Valid until the memory is free again, and the number until the next walk."""
    walk, state = Walk(e.reserve(WALK_BYTES)), state_of(e)
    e.set(state.most, most)
    e.set(state.unseen, unseen)
    e.set(state.place, walk.place)
    e.set(state.flags, STACK_FLAG_CALLERS if callers else 0)
    if not areas.is_possible(e):
        e.routine("unwind_by_pointers", (), _by_pointers)
        return walk
    for name, cell in (("rip", state.rip), ("rsp", state.rsp), ("rbp", state.rbp)):
        # of a process that begins or lives already: its stack is not that of the current task
        e.set(cell, 0 if e.kind == "handler" and e.subject is not None else e.register(name))
    e.routine("unwind", (), _walk)
    return walk


def _walk(r: Emitter, _: list[Value]) -> None:
    state = state_of(r)
    for cell, start in ((state.count, 0), (state.nameless, 0), (state.back, 0), (state.hash, SEED)):
        r.set(cell, start)
    r.set(state.window, NO_WINDOW)
    cache.forget(r, state)
    replaced.find_trampoline(r, state)
    code, turns = r.cell(step.ENDED), r.alloca_word()
    head, over, ended = r.fresh("head"), r.fresh("over"), r.fresh("ended")
    rip = r.get(state.rip)
    in_user_mode = r.both(r.truth(rip), r.compare("eq", r.shift_right(rip, USER_BITS), 0))
    r.branch_if(r.both(in_user_mode, r.truth(r.get(state.most))), head, ended)
    r.start(head)
    r.count_turn(turns, MOST_FRAMES + 2, over)  # the verifier follows each turn, which is not much
    r.set(code, step.step(r))
    r.branch_if(r.compare("eq", r.get(code), step.GO_ON), head, ended)
    r.start_aside(over)
    r.set(code, step.CUT)
    r.start(ended)
    with r.when(r.compare("eq", r.get(code), step.CUT)):
        r.set(state.flags, r.bits_or(r.get(state.flags), STACK_FLAG_CUT))
    _finish(r, state)


def _finish(r: Emitter, state: State) -> None:
    """The header of the stack, and its number."""
    process = r.cell(0)
    with r.when(r.truth(r.get(state.nameless))):
        r.set(process, r.shift_right(r.helper(PID_TGID), 32))
    flags = r.shift_left(r.get(state.flags), 32)
    block = r.checked(r.get(state.place), WALK_BYTES)
    r.store(block, r.bits_or(r.get(state.count), flags))
    r.store(r.offset(block, PROCESS), r.get(process))
    mixed = step.mix(r, r.get(state.hash), r.bits_or(r.get(process), flags))
    r.set(state.hash, r.bits_or(mixed, r.widen(r.compare("eq", mixed, 0))))
    r.ret(0)


# ------------------------------------------------------------------------------------- the kernel's own walk


def _by_pointers(r: Emitter, _: list[Value]) -> None:
    """bpf_get_stack wants the context, which functions do not have; the current task's stack is the same."""
    state = state_of(r)
    size = 8 * MOST_FRAMES
    block = r.checked(r.get(state.place), WALK_BYTES)
    task = r.helper_pointer(TASK_BTF)
    got = r.cell(r.helper(GET_TASK_STACK, task, r.offset(block, ADDRESSES), size, USER_STACK))
    count = r.cell(r.shift_right(r.select(r.compare("slt", r.get(got), 0), 0, r.get(got)), 3))
    unseen = r.cell(_least(r, r.get(count), r.get(state.unseen)))
    r.set(state.count, _least(r, r.sub(r.get(count), r.get(unseen)), r.get(state.most)))
    block = r.checked(r.get(state.place), WALK_BYTES)
    source = r.offset(block, r.add(ADDRESSES, r.shift_left(r.opaque(r.bits_and(r.get(unseen), 1)), 3)))
    for target in (FRAMES, ADDRESSES):
        r.copy(r.offset(block, target), size, source)
    _mix_all(r, state)
    r.set(state.nameless, 1)
    _finish(r, state)


def _mix_all(r: Emitter, state: State) -> None:
    r.set(state.hash, SEED)
    turns, head, over = r.alloca_word(), r.fresh("head"), r.fresh("over")
    r.start(head)
    turn = r.count_turn(turns, MOST_FRAMES, over)
    more = r.fresh("more")
    r.branch_if(r.compare("ult", turn, r.get(state.count)), more, over)
    r.start(more)
    block = r.checked(r.get(state.place), WALK_BYTES)
    r.set(state.hash, step.mix(r, r.get(state.hash), r.load(frame_place(r, block, turn))))
    r.branch(head)
    r.start_aside(over)


def _least(r: Emitter, a: Value, b: Value) -> Value:
    return r.select(r.compare("ult", a, b), a, b)
