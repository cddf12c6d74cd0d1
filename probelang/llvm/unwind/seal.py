"""What tells that something found of a process's memory map still holds.

    tag = seal(e, word, out)       a number of the word, the process, the program that it runs and the state of its memory map

`mm->mm_lock_seq` counts what changes a memory map, twice for each change (include/linux/mmap_lock.h, from Linux 6.13 on): what was
found while it was an even number holds as long as it is that number. A memory map is named by its process, by when that has started,
and by how many programs it has begun: addresses of structures and process ids are used again.
"""

from __future__ import annotations

from probelang.llvm.builder import Bit, Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import TASK_BTF
from probelang.llvm.mixing import mix
from probelang.llvm.unwind.typed import follow, member

SEQUENCE = "btf?:mm_struct.mm_lock_seq.sequence"
"""Kernels up to 6.12 have a counter of that name that says less, a plain number; others have none."""


def seal(e: Emitter, word: Value, out: Label) -> Value:
    """Never 0. Goes to `out` where nothing can be told, or the map is just being changed."""
    offset = e.constant(SEQUENCE)
    _only_if(e, e.truth(offset), out)  # the verifier knows the constant, and drops one side
    task = e.helper_pointer(TASK_BTF)
    memory = _there(e, follow(e, task, "task_struct.mm"), out)
    sequence = e.load(e.offset(memory, offset), 32)
    _only_if(e, e.compare("eq", e.bits_and(sequence, 1), 0), out)
    leader = _there(e, follow(e, task, "task_struct.group_leader"), out)
    started = member(e, leader, "task_struct.start_time")
    process = e.shift_left(member(e, task, "task_struct.tgid", 32), 32)
    programs = e.shift_left(member(e, task, "task_struct.self_exec_id", 32), 32)
    return mix(e, (word, e.bits_xor(started, process), e.bits_or(programs, sequence)))


def _there(e: Emitter, pointer: Pointer, out: Label) -> Pointer:
    _only_if(e, e.negate(e.is_null(pointer)), out)
    return pointer


def _only_if(e: Emitter, condition: Bit, out: Label) -> None:
    go_on = e.fresh("go")
    e.branch_if(condition, go_on, out)
    e.start(go_on)
