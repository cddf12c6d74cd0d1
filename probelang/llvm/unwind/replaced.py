"""Return addresses that the kernel has replaced, because a return is probed.

On the stack stands the address of a trampoline; what stood there is in a list of the task, the latest call first, each with the
place on the stack. Source: include/linux/uprobes.h, struct return_instance; kernel/events/uprobes.c, prepare_uretprobe.
"""

from __future__ import annotations

from probelang.llvm.builder import Label, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import TASK, TASK_BTF
from probelang.llvm.unwind.state import State, state_of
from probelang.llvm.unwind.typed import follow, member

MOST = 64
"""Notes of calls that ended in a way the kernel has not seen yet (longjmp), at most, before the one that is looked for."""
UNREAD = -1


def find_trampoline(e: Emitter, state: State) -> None:
    """0 where this process has none."""
    e.set(state.trampoline, 0)
    e.set(state.instance, UNREAD)
    out = e.fresh("none")
    place = e.helper_pointer(TASK_BTF)
    for name in ("task_struct.mm", "mm_struct.uprobes_state.xol_area"):
        some = e.fresh("some")
        place = follow(e, place, name)
        e.branch_if(e.is_null(place), out, some)
        e.start(some)
    e.set(state.trampoline, member(e, place, "xol_area.vaddr"))
    e.start(out)


def restore(e: Emitter, state: State, unknown: Label) -> None:
    """Puts the true return address into `state.rip` where it is the trampoline; `state.cfa` is right behind its place."""
    replaced, found, behind = e.fresh("replaced"), e.fresh("true"), e.fresh("behind")
    same = e.compare("eq", e.get(state.rip), e.get(state.trampoline))
    e.branch_if(same, replaced, behind)
    e.start(replaced)
    e.set(state.rip, e.routine("unwind_replaced", ("slot",), _search, e.sub(e.get(state.cfa), 8)))
    e.branch_if(e.truth(e.get(state.rip)), found, unknown)
    e.start(found)
    e.start(behind)


def _search(r: Emitter, parameters: list[Value]) -> None:
    """The address, 0 where the list has none for this place. The next search goes on behind it."""
    state, slot = state_of(r), r.cell(parameters[0])

    def word(structure: Value, name: str) -> Value:
        return r.kernel_word(r.add(structure, r.constant(f"btf:{name}")))

    with r.when(r.compare("eq", r.get(state.instance), UNREAD)):
        utask = word(r.helper(TASK), "task_struct.utask")
        r.set(state.instance, word(utask, "uprobe_task.return_instances"))
    turns, over, head = r.alloca_word(), r.fresh("over"), r.fresh("head")
    r.store(turns, 0, volatile=False)
    r.start(head)
    r.count_turn(turns, MOST, over)
    with r.when(r.compare("eq", r.get(state.instance), 0)):
        r.ret(0)
    place = r.cell(word(r.get(state.instance), "return_instance.stack"))
    address = r.cell(word(r.get(state.instance), "return_instance.orig_ret_vaddr"))
    r.set(state.instance, word(r.get(state.instance), "return_instance.next"))
    with r.when(r.compare("eq", r.get(place), r.get(slot))):
        r.ret(r.get(address))
    r.branch(head)
    r.start_aside(over)
    r.ret(0)
