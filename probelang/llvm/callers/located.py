"""An address of the process -> file and offset, kept as long as the process has not changed its memory map.

    emit(e, address)  ->  as `llvm.unwind.locate`: file << 48 | offset, 0, or UNDECIDED; 20 ns where it is known already

`mm->mm_lock_seq` counts what changes a memory map, twice for each change: while the same even number is there, what was found
after it was read still holds (include/linux/mmap_lock.h). A memory map is named by its process, by when that has started, and how
many programs it has begun: addresses and process ids are used again.

The cache is an array of two words a row: a hash of all that with what was found mixed in, and what was found. Threads write rows
without a lock: of a row that two have written the words do not fit each other, and it is not taken.
"""

from __future__ import annotations

from probelang.llvm.builder import Pointer, Value
from probelang.llvm.callers.mixing import mix
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import TASK_BTF
from probelang.llvm.unwind import locate
from probelang.llvm.unwind.typed import follow, member

ROWS_LOG = 13
ROW_LOG = 4
SECTION = ".bss.located"
SEQUENCE = "btf?:mm_struct.mm_lock_seq.sequence"
"""Kernels up to 6.12 have a counter of that name that says less, a plain number; others have none."""


def emit(e: Emitter, address: Value) -> Value:
    """Calls a function without frame, so simple handlers may use it."""
    locate.define(e, "located", ("address",), _located)
    return Value(e.assign(f"call i64 @located(i64 {address})"))


def _located(r: Emitter, parameters: list[Value]) -> None:
    (address,) = parameters
    r.module.data("located_rows", SECTION, 1 << ROWS_LOG + ROW_LOG)
    task = r.helper_pointer(TASK_BTF)
    memory, there = follow(r, task, "task_struct.mm"), r.fresh("memory")
    plain = r.fresh("plain")
    offset = r.constant(SEQUENCE)
    counted = r.fresh("counted")
    r.branch_if(r.truth(offset), counted, plain)  # the verifier knows the constant, and drops one side
    r.start(counted)
    r.branch_if(r.is_null(memory), plain, there)
    r.start(there)
    sequence = r.load(r.offset(memory, offset), 32)
    steady = r.fresh("steady")
    r.branch_if(r.truth(r.bits_and(sequence, 1)), plain, steady)
    r.start(steady)
    tag = _tag(r, address, task, sequence)
    row = r.offset(Pointer("@located_rows"), _place(r, tag))
    found = r.load(r.offset(row, 8))
    with r.when(r.compare("eq", r.bits_xor(r.load(row), found), tag)):
        r.ret(found)
    answer = locate.emit(r, address)
    with r.when(r.compare("ne", answer, locate.UNDECIDED)):
        r.store(row, r.bits_xor(answer, tag))
        r.store(r.offset(row, 8), answer)
    r.ret(answer)
    r.start_aside(plain)
    r.ret(locate.emit(r, address))


def _tag(r: Emitter, address: Value, task: Pointer, sequence: Value) -> Value:
    """Never 0, which an empty row has."""
    leader, none, some = follow(r, task, "task_struct.group_leader"), r.fresh("none"), r.fresh("some")
    r.branch_if(r.is_null(leader), none, some)
    r.start(none)
    r.ret(locate.UNDECIDED)
    r.start(some)
    started = member(r, leader, "task_struct.start_time")
    programs = member(r, task, "task_struct.self_exec_id", 32)
    words = (
        address,
        r.bits_xor(started, r.shift_left(member(r, task, "task_struct.tgid", 32), 32)),
        r.bits_or(r.shift_left(programs, 32), sequence),
    )
    return mix(r, words)


def _place(r: Emitter, tag: Value) -> Value:
    """A row, in bytes, in a form whose bounds the verifier sees."""
    return r.shift_left(r.bits_and(r.opaque(r.shift_right(tag, 40)), (1 << ROWS_LOG) - 1), ROW_LOG)
