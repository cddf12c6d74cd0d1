"""Following processes: the programs that keep the map `targets` right while -x or -c is on.

    sched_process_fork   parent in targets?          -> the child's process id goes in
    sched_process_free   thread that its process is called after?   -> the id goes out, for ids are used again

That is later than the ends of all of the process's threads, which come in any order.

The runtime loads them only when it needs them, and attaches the first before all probes.
"""

from __future__ import annotations

from probelang.artifact.manifest import ProgramSpec
from probelang.llvm.builder import Pointer
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import MAP_DELETE, MAP_LOOKUP, MAP_UPDATE, PID_TGID
from probelang.llvm.module import Module

FORK, EXIT = "sched_process_fork", "sched_process_free"
PROGRAMS = (
    ProgramSpec("targets_fork", f"raw_tp/{FORK}", "raw_tracepoint", tracepoint=FORK),
    ProgramSpec("targets_exit", f"raw_tp/{EXIT}", "raw_tracepoint", tracepoint=EXIT),
)


def compile_follow(module: Module) -> None:
    follow_fork(module, PROGRAMS[0])
    follow_exit(module, PROGRAMS[1])


def follow_fork(module: Module, program: ProgramSpec) -> None:
    e = Emitter(module, "handler", program.symbol, (("ctx", Pointer),), section=program.section)
    with e.key_memory(8) as key:
        e.store(key, e.shift_right(e.helper(PID_TGID), 32))
        parent = e.helper_pointer(MAP_LOOKUP, e.map("targets"), key)
        with e.when(e.negate(e.is_null(parent))):
            child = e.load(e.offset(Pointer("%ctx"), 8))
            e.store(key, e.kernel_word(e.add(child, e.constant("btf:task_struct.tgid")), bits=32))
            e.helper(MAP_UPDATE, e.map("targets"), key, parent, 0)
    e.ret(0)
    module.add(e, "global", (("ctx", "context"),))


def follow_exit(module: Module, program: ProgramSpec) -> None:
    e = Emitter(module, "handler", program.symbol, (("ctx", Pointer),), section=program.section)
    task = e.load(Pointer("%ctx"))
    tid = e.kernel_word(e.add(task, e.constant("btf:task_struct.pid")), bits=32)
    tgid = e.kernel_word(e.add(task, e.constant("btf:task_struct.tgid")), bits=32)
    with e.when(e.compare("eq", tid, tgid)), e.key_memory(8) as key:
        e.store(key, tgid)
        e.helper(MAP_DELETE, e.map("targets"), key)
    e.ret(0)
    module.add(e, "global", (("ctx", "context"),))
