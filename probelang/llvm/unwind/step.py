"""One step of a walk: the frame at hand is noted, and rip, rsp and rbp become those of its caller.

    unwind_step(frame)  ->  GO_ON, ENDED (there is no caller), CUT (it cannot be told), FULL (as many as are wanted)

Sources as in walk.py; what the kinds of rows mean says `probelang.artifact.stacks`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from probelang.artifact import stacks
from probelang.artifact.stacks import MOST_FRAMES, OFFSET_MASK, RBP_LOST
from probelang.llvm.builder import Bit, Label, Operand, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import PROBE_READ_USER
from probelang.llvm.unwind import cache, replaced, rows
from probelang.llvm.unwind.locate import HAS_ROWS, IS_FRAMED
from probelang.llvm.unwind.state import (
    NO_WINDOW,
    READ_MASK,
    WALK_BYTES,
    WINDOW_BYTES,
    State,
    address_place,
    frame_place,
    state_of,
)
from probelang.llvm.values import Cell

GO_ON, ENDED, CUT, FULL = 0, 1, 2, 3
LOST = -1
"""In rbp: what it was is not known. No program has this in it and calls."""
_PRIME = 0x9E3779B97F4A7C15
_WORD_BITS, _WORDS_AT_ONCE = 3, 16
_PLT_ENTRY, _PLT_PUSHED = 16, 11


@dataclass(frozen=True, slots=True)
class _Exits:
    ended: Label
    cut: Label
    read: Label
    """`cfa` and `saved` are set: what stands there is read."""


def step(e: Emitter) -> Value:
    return e.routine("unwind_step", (), _step)


def _step(r: Emitter, _: list[Value]) -> None:
    state = state_of(r)
    exits = _Exits(r.fresh("ended"), r.fresh("cut"), r.fresh("read"))
    with r.when(r.compare("uge", r.get(state.count), MOST_FRAMES)):
        r.branch(exits.cut)
    cache.find(r, state, exits.cut)
    _note(r, state)
    full = r.compare("uge", r.get(state.count), r.get(state.most))
    with r.when(full), r.when(r.compare("ult", r.get(state.count), MOST_FRAMES)):
        r.ret(FULL)  # with so many as fit, it is cut if it goes on
    _choose(r, state, exits)
    r.start(exits.read)
    _read(r, state, exits)
    r.ret(GO_ON)
    r.start_aside(exits.ended)
    r.ret(ENDED)
    r.start_aside(exits.cut)
    r.ret(CUT)


def _note(r: Emitter, state: State) -> None:
    entry = cache.entry(r, state)
    r.set(state.offset, r.add(r.get(state.rip), r.load(r.offset(entry, cache.TO_FILE))))
    file, frame = r.cell(r.load(r.offset(entry, cache.FILE))), r.cell(r.get(state.rip))

    def nameless() -> None:
        r.set(state.nameless, 1)

    def named() -> None:
        r.set(frame, r.bits_or(r.get(file), r.bits_and(r.get(state.offset), OFFSET_MASK)))

    def keep() -> None:
        r.choose(r.truth(r.get(file)), named, nameless)
        block = r.checked(r.get(state.place), WALK_BYTES)
        count = r.get(state.count)
        r.store(frame_place(r, block, count), r.get(frame))
        r.store(address_place(r, block, count), r.get(state.rip))
        r.set(state.count, r.add(count, 1))
        r.set(state.hash, mix(r, r.get(state.hash), r.get(frame)))

    def pass_over() -> None:
        r.set(state.unseen, r.sub(r.get(state.unseen), 1))

    r.choose(r.truth(r.get(state.unseen)), pass_over, keep)


def mix(r: Emitter, number: Value, word: Value) -> Value:
    """Of the hash."""
    mixed = r.mul(r.bits_xor(number, word), _PRIME)
    return r.bits_xor(mixed, r.shift_right(mixed, 32))


# ----------------------------------------------------------------------------------------------- how to go on


def _choose(r: Emitter, state: State, exits: _Exits) -> None:
    """Sets `cfa` and `saved`, or leaves."""
    entry = cache.entry(r, state)
    flags = r.cell(r.load(r.offset(entry, cache.FLAGS)))
    first, count = r.load(r.offset(entry, cache.FIRST_ROW)), r.load(r.offset(entry, cache.ROW_COUNT))
    kept = r.cell(first), r.cell(count)
    with r.when(_lacks(r, r.get(flags), HAS_ROWS)):
        unread = r.both(r.compare("eq", r.get(flags), 0), r.truth(r.load(r.offset(entry, cache.FILE))))
        _leave_if(r, unread, exits.cut)  # what is in rbp then is anything
        _by_pointer(r, state, exits)
    framed = r.bits_and(r.shift_right(r.get(flags), IS_FRAMED.bit_length() - 1), r.get(state.back))
    with r.when(r.truth(framed)):
        _leave_if(r, r.compare("eq", r.get(state.rbp), 0), exits.ended)
        _by_pointer(r, state, exits)
    code = r.cell(r.sub(r.get(state.offset), r.get(state.back)))
    _leave_if(r, r.truth(r.shift_right(r.get(code), 32)), exits.cut)
    named = r.cell(r.bits_or(r.load(r.offset(cache.entry(r, state), cache.FILE)), r.get(code)))
    unknown, behind, row = r.fresh("unknown"), r.fresh("behind"), r.cell()
    r.set(row, rows.known(r, named, unknown))
    r.branch(behind)
    r.start_aside(unknown)
    r.set(row, rows.search(r, r.get(kept[0]), r.get(kept[1]), r.get(code), exits.cut))
    rows.keep(r, named, r.get(row))
    r.start(behind)
    _by_row(r, state, row_of(r, r.get(row)), exits)


@dataclass(frozen=True, slots=True)
class _Row:
    kind: Value
    offset: Value
    """In bytes."""
    saved: Value


def row_of(r: Emitter, word: Value) -> _Row:
    offset = r.shift_right(r.shift_left(word, 16), 48, signed=True)
    saved = r.shift_right(r.shift_left(word, 8), 56, signed=True)
    return _Row(r.shift_right(word, 56), r.shift_left(offset, _WORD_BITS), saved)


def _by_row(r: Emitter, state: State, row: _Row, exits: _Exits) -> None:
    kind, offset = r.cell(row.kind), r.cell(row.offset)
    r.set(state.saved, row.saved)

    def at(base: Value, *more: Operand) -> None:
        value = r.add(base, r.get(offset))
        for part in more:
            value = r.add(value, part)
        r.set(state.cfa, value)

    with _kind(r, kind, stacks.ROW_RSP, exits):
        at(r.get(state.rsp))
    with _kind(r, kind, stacks.ROW_RBP, exits):
        _need_pointer(r, state, exits)
        at(r.get(state.rbp))
    with _kind(r, kind, stacks.ROW_PLT, exits):
        code = r.bits_and(r.sub(r.get(state.offset), r.get(state.back)), _PLT_ENTRY - 1)
        pushed = r.widen(r.compare("uge", code, _PLT_PUSHED))
        at(r.get(state.rsp), r.shift_left(pushed, _WORD_BITS))
    with _kind(r, kind, stacks.ROW_AT_RBP, exits):
        _need_pointer(r, state, exits)
        r.set(state.cfa, _word(r, state, r.add(r.get(state.rbp), r.get(offset)), exits))
        lost = r.compare("eq", r.get(state.saved), RBP_LOST)
        r.choose(lost, lambda: None, lambda: r.set(state.rbp, _word(r, state, r.get(state.rbp), exits)))
        with r.when(r.compare("ne", r.get(state.saved), RBP_LOST)):
            r.set(state.saved, stacks.RBP_SAME)
    with _kind(r, kind, stacks.ROW_AT_RSP, exits):
        r.set(state.cfa, r.add(_word(r, state, r.add(r.get(state.rsp), r.get(offset)), exits), 8))
    with r.when(r.compare("eq", r.get(kind), stacks.ROW_SIGNAL)):
        _interrupted(r, state, exits)
    _leave_if(r, r.compare("eq", r.get(kind), stacks.ROW_END), exits.ended)
    r.branch(exits.cut)


@contextmanager
def _kind(r: Emitter, kind: Cell, wanted: int, exits: _Exits) -> Generator[None, None, None]:
    """The block is for rows of one kind, and sets `cfa`."""
    with r.when(r.compare("eq", r.get(kind), wanted)):
        yield
        r.branch(exits.read)


def _need_pointer(r: Emitter, state: State, exits: _Exits) -> None:
    _leave_if(r, r.compare("eq", r.get(state.rbp), LOST), exits.cut)


def _by_pointer(r: Emitter, state: State, exits: _Exits) -> None:
    """rbp leads to the caller's rbp and, behind it, to the return address: if it can be that."""
    aligned = r.compare("eq", r.bits_and(r.get(state.rbp), 7), 0)
    above = r.compare("uge", r.get(state.rbp), r.get(state.rsp))
    _leave_if(r, r.negate(r.both(aligned, above)), exits.cut)
    r.set(state.cfa, r.add(r.get(state.rbp), 16))
    r.set(state.saved, -2)
    r.branch(exits.read)


def _lacks(r: Emitter, flags: Value, flag: int) -> Bit:
    return r.compare("eq", r.bits_and(flags, flag), 0)


def _leave_if(r: Emitter, condition: Bit, label: Label) -> None:
    go_on = r.fresh("go")
    r.branch_if(condition, label, go_on)
    r.start(go_on)


# -------------------------------------------------------------------------------------- the process's memory


def _copy(r: Emitter, state: State, size: Operand, address: Value, exits: _Exits) -> None:
    """Into `scratch`."""
    _leave_if(r, r.truth(r.helper(PROBE_READ_USER, r.at(state.scratch.offset), size, address)), exits.cut)


def _word(r: Emitter, state: State, address: Value, exits: _Exits) -> Value:
    _copy(r, state, 8, address, exits)
    return r.load(r.at(state.scratch.offset))


def _read(r: Emitter, state: State, exits: _Exits) -> None:
    """Return address and rbp, in one piece where they are near to each other."""
    _leave_if(r, r.compare("ule", r.get(state.cfa), r.get(state.rsp)), exits.ended)
    words = r.cell(r.sub(0, r.get(state.saved)))
    near = r.both(r.compare("uge", r.get(words), 2), r.compare("ule", r.get(words), _WORDS_AT_ONCE))
    is_near = r.cell(r.widen(near))
    r.choose(near, lambda: None, lambda: r.set(words, 1))
    size = r.cell(r.shift_left(r.get(words), _WORD_BITS))
    low = r.cell(r.sub(r.get(state.cfa), r.get(size)))
    distance = r.cell()
    _bring_in(r, state, r.get(low), size, distance, exits)
    r.set(state.rip, _of_window(r, state, r.sub(r.add(r.get(distance), r.get(size)), 8)))

    def near_pointer() -> None:
        r.set(state.rbp, _of_window(r, state, r.get(distance)))

    r.choose(r.truth(r.get(is_near)), near_pointer, lambda: _far_pointer(r, state, exits))
    r.set(state.rsp, r.get(state.cfa))
    r.set(state.back, 1)
    replaced.restore(r, state, exits.cut)
    _leave_if(r, r.compare("eq", r.get(state.rip), 0), exits.ended)


def _bring_in(r: Emitter, state: State, low: Value, size: Cell, distance: Cell, exits: _Exits) -> None:
    """`size` bytes from `low` on are in the window then, at `distance`. Near the end of the stack's memory only they are read."""
    behind, absent, short = r.fresh("behind"), r.fresh("absent"), r.fresh("short")
    r.set(distance, r.sub(low, r.get(state.window)))
    room = r.sub(WINDOW_BYTES, r.get(size))
    r.branch_if(r.compare("ule", r.get(distance), room), behind, absent)
    r.start(absent)
    r.set(distance, 0)
    r.set(state.window, low)
    words = r.at(state.words.offset)
    r.branch_if(r.truth(r.helper(PROBE_READ_USER, words, WINDOW_BYTES, low)), short, behind)
    r.start(short)
    bound = r.opaque(r.bits_and(r.opaque(r.get(size)), READ_MASK))
    words, start = r.at(state.words.offset), r.get(state.window)
    r.set(state.window, NO_WINDOW)
    _leave_if(r, r.truth(r.helper(PROBE_READ_USER, words, bound, start)), exits.cut)
    r.start(behind)


def _of_window(r: Emitter, state: State, index: Value) -> Value:
    bound = r.opaque(r.bits_and(r.opaque(index), WINDOW_BYTES - 1))
    return r.load(r.offset(r.at(state.words.offset), bound))


def _far_pointer(r: Emitter, state: State, exits: _Exits) -> None:
    same, lost, far, behind = (r.fresh(n) for n in ("same", "lost", "far", "behind"))
    r.branch_if(r.compare("eq", r.get(state.saved), stacks.RBP_SAME), behind, same)
    r.start(same)
    r.branch_if(r.compare("eq", r.get(state.saved), RBP_LOST), lost, far)
    r.start(far)
    place = r.add(r.get(state.cfa), r.shift_left(r.get(state.saved), _WORD_BITS))
    r.set(state.rbp, _word(r, state, place, exits))
    r.branch(behind)
    r.start_aside(lost)
    r.set(state.rbp, LOST)
    r.start(behind)


def _interrupted(r: Emitter, state: State, exits: _Exits) -> None:
    """What a signal has interrupted: all three registers are in the ucontext. It may lie on another stack."""
    first = stacks.UCONTEXT_RBP
    size = stacks.UCONTEXT_RIP + 8 - first
    _copy(r, state, size, r.add(r.get(state.rsp), first), exits)
    for cell, at in (
        (state.rbp, stacks.UCONTEXT_RBP),
        (state.rsp, stacks.UCONTEXT_RSP),
        (state.rip, stacks.UCONTEXT_RIP),
    ):
        r.set(cell, r.load(r.at(state.scratch.offset + at - first)))
    r.set(state.back, 0)
    _leave_if(r, r.compare("eq", r.get(state.rip), 0), exits.ended)
    r.ret(GO_ON)
