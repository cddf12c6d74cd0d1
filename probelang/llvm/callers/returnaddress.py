"""The return address of a call, where it stands on the stack, or where a return probe has put its own in its place.

    read(e, slot, at)  ->  the word at `slot`; where that is the kernel's trampoline, what stood there before

What was replaced is in a list of the task, the latest call first; each entry knows where on the stack it was. Source:
include/linux/uprobes.h, struct return_instance; kernel/events/uprobes.c, prepare_uretprobe.
"""

from __future__ import annotations

from probelang.artifact.code import Binary, Call, Number, Text
from probelang.layout.walk import nodes
from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.calls.identity import field
from probelang.llvm.calls.memory import read_number
from probelang.llvm.emitter import Emitter
from probelang.llvm.globals import bare
from probelang.llvm.helper_ids import TASK, TASK_BTF
from probelang.llvm.unwind import locate
from probelang.llvm.unwind.typed import follow, member

MOST_REPLACED = 64  # calls under way with return probes: MAX_URETPROBE_DEPTH


def read_once(e: Emitter, where: Value, call: Call) -> Value:
    """The same for all of a handler that ask for the word at the same place of the same frame: a read of memory costs more than all else."""
    if not all(
        isinstance(node, Number | Text | Binary) or _is_register(node) for node in nodes(call.arguments)
    ):
        return read(e, where, call.at)
    key = tuple(bare(argument) for argument in call.arguments)
    if key not in e.read_once:
        e.read_once[key] = e.alloca_word(), e.alloca_word()
    value, was_read = e.read_once[key]
    with e.when(e.compare("eq", e.load(was_read, volatile=False), 0)):
        e.store(value, read(e, where, call.at), volatile=False)
        e.store(was_read, 1, volatile=False)
    return e.load(value, volatile=False)


def _is_register(node: object) -> bool:
    return isinstance(node, Call) and node.name in ("register", "u_register")


def read(e: Emitter, where: Value, at: int) -> Value:
    """Fails with the soft error of a read where there is no memory."""
    slot = e.cell(where)
    found = e.cell(read_number(e, e.get(slot), 64, at))
    behind = e.fresh("original")
    only_where_hooked(e, behind)
    locate.define(e, "replaced_return_address", ("slot", "found"), replaced_address)
    true = Value(e.assign(f"call i64 @replaced_return_address(i64 {e.get(slot)}, i64 {e.get(found)})"))
    e.set(found, true)
    e.start(behind)
    return e.get(found)


def only_where_hooked(e: Emitter, otherwise: Label) -> None:
    """Goes on where a call is under way whose return is probed."""
    place: Pointer = e.helper_pointer(TASK_BTF)
    for name in ("task_struct.utask", "uprobe_task.return_instances"):
        place = follow(e, place, name)
        there = e.fresh("there")
        e.branch_if(e.is_null(place), otherwise, there)
        e.start(there)


def replaced_address(r: Emitter, parameters: list[Value]) -> None:
    """A function without frame. Of several calls at one place, each the end of the one before, the first was called from outside."""
    slot, found = parameters
    result, plain, hooked = r.cell(found), r.fresh("plain"), r.fresh("hooked")
    place: Pointer = r.helper_pointer(TASK_BTF)
    for name in ("task_struct.mm", "mm_struct.uprobes_state.xol_area"):
        place = follow(r, place, name)
        there = r.fresh("there")
        r.branch_if(r.is_null(place), plain, there)
        r.start(there)
    r.branch_if(r.compare("eq", found, member(r, place, "xol_area.vaddr")), hooked, plain)
    r.start(plain)
    r.ret(found)
    r.start_aside(hooked)
    task = r.helper(TASK)
    instance = r.cell(field(r, field(r, task, "task_struct.utask"), "uprobe_task.return_instances"))
    turns, head, over = r.alloca_word(), r.fresh("head"), r.fresh("over")
    r.start(head)
    stack = field(r, r.get(instance), "return_instance.stack")
    with r.when(r.compare("eq", stack, slot)):
        r.set(result, field(r, r.get(instance), "return_instance.orig_ret_vaddr"))
    r.set(instance, field(r, r.get(instance), "return_instance.next"))
    after, more = r.add(r.load(turns, volatile=False), 1), r.fresh("more")
    r.store(turns, after, volatile=False)
    # a loop ends in a condition: kernels up to 6.2 want to see a jump where it goes on; what is read of no instance is 0
    r.branch_if(r.compare("ult", after, MOST_REPLACED), more, over)
    r.start(more)
    r.branch_if(r.truth(r.get(instance)), head, over)
    r.start_aside(over)
    r.ret(r.get(result))
