"""Returns that must not be hooked: of what signal handlers call on a stack of their own.

    interrupted function, hooked, sp 0x7ffc0000  <-  handler on an alternate stack at 0x7fff8000 calls f: its return is left alone

The kernel takes hooked calls whose place on the stack lies below the stack pointer for left by longjmp and forgets them
(kernel/events/uprobes.c, cleanup_return_instances, which knows nothing of sigaltstack(2)). On an alternate stack above the
interrupted one it forgets calls that still return, to its trampoline then, and the process dies. It does so when it hooks a return; so a
program that says no at the entry prevents it.
"""

from __future__ import annotations

from probelang.llvm.builder import Bit, Label, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import TASK_BTF
from probelang.llvm.unwind.typed import follow, member


def is_on_signal_stack(e: Emitter, address: Value) -> Bit:
    """Whether an address is of the current thread's alternate stack."""
    task = e.helper_pointer(TASK_BTF)
    first, size = member(e, task, "task_struct.sas_ss_sp"), member(e, task, "task_struct.sas_ss_size")
    return e.compare("ult", e.sub(address, first), size)


def only_if_harmless(e: Emitter, out: Label, counted: bool) -> None:
    """At a function's entry: goes on where its return may be hooked. `counted`: as a return that is not seen."""
    harmless, apart, some, first, below, lost = (
        e.fresh(name) for name in ("harmless", "apart", "utask", "hooked", "below", "unhooked")
    )
    sp = e.register("rsp")
    e.branch_if(is_on_signal_stack(e, sp), apart, harmless)
    e.start(apart)
    utask = follow(e, e.helper_pointer(TASK_BTF), "task_struct.utask")
    e.branch_if(e.is_null(utask), harmless, some)
    e.start(some)
    latest = follow(e, utask, "uprobe_task.return_instances")
    e.branch_if(e.is_null(latest), harmless, first)
    e.start(first)
    slot = member(e, latest, "return_instance.stack")
    e.branch_if(e.compare("ule", slot, sp), below, harmless)
    e.start(below)
    e.branch_if(is_on_signal_stack(e, slot), harmless, lost)
    e.start_aside(lost)
    if counted:
        e.count("unhooked")
    e.branch(out)
    e.start(harmless)
