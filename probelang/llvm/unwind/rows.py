"""The unwind row of a file that holds at an offset: a search without branches, whose results are kept.

    row = known(e, code, missing)                      what a search has found for this byte of a file before, else goes to `missing`
    row = search(e, first, count, offset, missing)     the last of `count` rows from number `first` on whose pc is not above `offset`
    keep(e, code, row)

A program returns to the same few places again and again, so most frames cost no search. What is kept is two words: the row, and the
byte with the row mixed in. Threads write without a lock; words of which two threads have written one each do not fit.

A step of the search looks at one row, and moves on to it when that is inside and not above: by a mask made of two signs, because BPF has no
conditional move, and every branch would double what the verifier has to look at. Small tables leave out the large steps.
"""

from __future__ import annotations

from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import MAP_LOOKUP
from probelang.llvm.values import Cell

UNWIND_ROWS = "unwind_rows"
MASK = "run:unwind_mask"
_ROW_SHIFT = 3  # 8 bytes
_GROUPS = ((22, 17), (17, 12), (12, 0))
"""Logarithms of steps; those of a group are made only where a file has more rows than its last one."""


FOUND, SECTION = "unwind_found", ".bss.unwind"
_FOUND_LOG, _PAIR_LOG = 13, 4
_SPREAD = 0x9E3779B97F4A7C15


def known(e: Emitter, code: Cell, missing: Label) -> Value:
    """`code`: `file << 48 | offset`."""
    place = _pair(e, e.get(code))
    row = e.load(e.offset(place, 8))
    found = e.fresh("kept")
    e.branch_if(e.compare("eq", e.bits_xor(e.load(place), row), e.get(code)), found, missing)
    e.start(found)
    return row


def keep(e: Emitter, code: Cell, row: Value) -> None:
    place = _pair(e, e.get(code))
    e.store(place, e.bits_xor(row, e.get(code)))
    e.store(e.offset(place, 8), row)


def _pair(e: Emitter, code: Value) -> Pointer:
    e.module.data(FOUND, SECTION, 1 << _FOUND_LOG + _PAIR_LOG)
    number = e.shift_right(e.mul(code, _SPREAD), 64 - _FOUND_LOG)
    bound = e.bits_and(e.opaque(number), (1 << _FOUND_LOG) - 1)
    return e.offset(Pointer(f"@{FOUND}"), e.shift_left(bound, _PAIR_LOG))


def search(e: Emitter, first: Value, count: Value, offset: Value, missing: Label) -> Value:
    """The row, 8 bytes in one word. `first` and `count` as `code_files` has them, `offset` below 1 << 32; goes to `missing` where there
    is no table. The first row of a file is at 0."""
    e.module.uses_unwind_rows = True
    at, end, wanted, rows = e.cell(first), e.cell(e.add(first, count)), e.cell(offset), e.cell(count)
    table = _table(e, missing)
    for high, low in _GROUPS:
        many, behind = e.fresh("many"), e.fresh("few")
        e.branch_if(e.compare("ugt", e.get(rows), (1 << low) - 1), many, behind)
        e.start(many)
        mask, place, limit, pc = e.constant(MASK), e.get(at), e.get(end), e.get(wanted)
        for step in reversed(range(low, high)):
            place = _move(e, table, mask, place, limit, pc, 1 << step)
        e.set(at, place)
        e.start(behind)
    return e.load(_row(e, table, e.constant(MASK), e.get(at)))


def _table(e: Emitter, missing: Label) -> Pointer:
    with e.stack_word() as key:
        e.store(key, 0)
        table = e.helper_pointer(MAP_LOOKUP, e.map(UNWIND_ROWS), key)
    there = e.fresh("table")
    e.branch_if(e.is_null(table), missing, there)
    e.start(there)
    return table


def _move(
    e: Emitter, table: Pointer, mask: Value, place: Value, limit: Value, wanted: Value, step: int
) -> Value:
    """`place`, or `place + step` if that row is one of the file's and not behind the wanted offset."""
    there = e.add(place, step)
    pc = e.load(_row(e, table, mask, there), bits=32, volatile=False)
    inside, behind = e.sub(there, limit), e.sub(wanted, pc)
    taken = e.shift_right(e.bits_and(inside, e.bits_xor(behind, -1)), 63, signed=True)
    return e.add(place, e.bits_and(taken, step))


def _row(e: Emitter, table: Pointer, mask: Value, number: Value) -> Pointer:
    return e.offset(table, e.shift_left(e.bits_and(number, mask), _ROW_SHIFT))
