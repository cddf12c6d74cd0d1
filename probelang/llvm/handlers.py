"""Handlers: a probe's code as BPF programs.

    i64 probe_0(ctx): state RUNNING? -> the process wanted? -> claim a frame -> if (...) and when (...) -> body -> release

A simple handler has no frame: `probe process("x").function("f") { n++ }` is a check of the state and one atomic add.
A frame is claimed by compare-and-exchange of its busy word, starting at four times the CPU's number, because a handler
can be preempted by another on the same CPU. When none is free the hit is counted in `skipped`.

A session (a return probe that wants something of the entry, on a kernel that has them) is one program for both:

    i64 probe_0(ctx): RUNNING? -> entry:  wanted? -> frame -> before; 0, the return is hooked, where that came to its end, else 1
                               -> return: frame -> handler
"""

from __future__ import annotations

from collections.abc import Callable

from probelang.artifact.code import Block, Handler
from probelang.artifact.manifest import STATE_RUNNING
from probelang.artifact.points import FunctionPoint, Point, ProcessPoint, SyscallPoint
from probelang.layout.program import Entry, KernelProbe
from probelang.layout.usage import callees
from probelang.layout.walk import probe_nodes
from probelang.llvm import errors, expressions, functions, statements
from probelang.llvm.builder import Bit, Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import REGISTERS
from probelang.llvm.helper_ids import CPU, MAP_LOOKUP, PID_TGID
from probelang.llvm.module import Module
from probelang.llvm.values import Jump, Jumps, NeedsFrame

FRAMES_PER_CPU = 4
MAX_FRAMES = 1 << 16
CONTEXT = Pointer("%ctx")


def compile_probe(module: Module, probe: KernelProbe) -> None:
    """All programs of a probe."""
    for entry in probe.entries:
        write_program(module, probe, entry)


def write_program(module: Module, probe: KernelProbe, entry: Entry) -> None:
    """Simple if it can be; what an attempt has written elsewhere (literals, records) stays, which harms nobody."""
    if not probe.frame:
        try:
            write_handler(module, probe, entry, frame=False)
            return
        except NeedsFrame:
            pass
    write_handler(module, probe, entry, frame=True)


def write_handler(module: Module, probe: KernelProbe, entry: Entry, frame: bool) -> None:
    source = module.program.source.probes[probe.index]
    calls = dict(module.program.kernel_functions)
    own = [calls[f] for f in callees(probe_nodes(source)) if f in calls]
    top = functions.memory_below(module, own)
    e = Emitter(module, "handler", entry.symbol, (("ctx", Pointer),), section=entry.section, top=top)
    e.entry_kind, e.first_site, e.sleepable = entry.kind, probe.first_site, entry.sleepable
    e.has_cookie = isinstance(source.point, FunctionPoint) and len(source.point.sites) > 1
    e.at_return = isinstance(source.point, FunctionPoint) and source.point.is_return
    e.on_return = isinstance(source.point, FunctionPoint) and source.point.at_returns
    e.calls, e.part = calls, ("probe", probe.index)
    module.uses_frames |= frame
    if source.before is not None:
        write_session(e, entry, source.point, source.before, source.handler, frame)
    else:
        out = e.fresh("out")
        check_state(e, out)
        find_subject(e, entry, out)
        filter_process(e, entry, source.point, out)
        if frame:
            claim_frame(e, out)
        write_body(e, source.handler)
        e.start(out)
        e.ret(0)
    module.add(e, "global", (("ctx", "context"),))
    module.frame_end = max(module.frame_end, e.high)


def write_session(
    e: Emitter, entry: Entry, point: Point, before: Handler, handler: Handler, frame: bool
) -> None:
    """The kernel asks whether to hook the return: 0 yes, 1 no (uprobe_multi_link_handler in kernel/trace/bpf_trace.c). What it
    gets at the return does not matter."""
    from probelang.llvm.signalstack import only_if_harmless

    e.unhooked, out = e.alloca_word(), e.fresh("out")
    e.store(e.unhooked, 1, volatile=False)
    check_state(e, out)
    is_return = e.truth(e.bits_and(e.kfunc_value("bpf_session_is_return", CONTEXT), 0xFF))
    entered, wanted, returned = e.fresh("entered"), e.fresh("wanted"), e.fresh("returned")
    e.branch_if(is_return, wanted, entered)
    e.start(entered)
    filter_process(e, entry, point, out)  # who returns was asked at the entry
    e.start(wanted)
    if frame:
        claim_frame(e, out)
    started = e.fresh("started")
    e.branch_if(is_return, returned, started)
    e.start(started)
    e.at_return = False
    only_if_harmless(e, out, counted=handler.body != Block(()))
    with e.temporaries():
        write_body(e, before)
    e.branch(out)
    e.start(returned)
    e.at_return = True
    with e.temporaries():
        write_body(e, handler)
    e.start(out)
    e.ret(e.load(e.unhooked, volatile=False))


def check_state(e: Emitter, out: Label) -> None:
    running = e.fresh("running")
    state = e.load(e.module.word("state"))
    e.branch_if(e.compare("eq", state, STATE_RUNNING), running, out)
    e.start(running)


def only_if(e: Emitter, condition: Bit, out: Label) -> None:
    """Goes on if the condition holds, else out."""
    go_on = e.fresh("go")
    e.branch_if(condition, go_on, out)
    e.start(go_on)


# --------------------------------------------------------------------------------------------- whose hit it is


def find_subject(e: Emitter, entry: Entry, out: Label) -> None:
    """The task that the event is about, where that is not the current one; threads or leaders only, as the entry says."""
    match entry.kind:
        case "fork":
            e.subject = pointer_of(e, e.load(e.offset(CONTEXT, 8)))
        case "alive":
            task = Pointer(e.assign("load volatile ptr, ptr " + e.offset(CONTEXT, 8) + ", align 8"))
            only_if(e, e.negate(e.is_null(task)), out)
            e.subject = task
        case _:
            pass
    if entry.leaders is None:
        return
    if entry.kind == "exit" and entry.leaders:
        only_last_thread(e, out)
        return
    tid, tgid = identity(e)
    only_if(e, e.compare("eq" if entry.leaders else "ne", tid, tgid), out)


def only_last_thread(e: Emitter, out: Label) -> None:
    """Of a process that ends. The kernel says which it is, or else: no thread is alive any more, which may then be so for
    several that end at the same time."""
    told, untold, last = e.fresh("told"), e.fresh("untold"), e.fresh("last")
    e.branch_if(e.truth(e.constant("run:group_dead")), told, untold)
    e.start(told)
    group_dead = e.bits_and(e.load(e.offset(CONTEXT, 8)), 0xFF)
    e.branch_if(e.truth(group_dead), last, out)
    e.start(untold)
    signal = e.kernel_word(e.add(e.task(), e.constant("btf:task_struct.signal")))
    live = e.kernel_word(e.add(signal, e.constant("btf:signal_struct.live")), bits=32)
    e.branch_if(e.compare("eq", live, 0), last, out)
    e.start(last)


def pointer_of(e: Emitter, address: Value) -> Pointer:
    return Pointer(e.assign(f"inttoptr i64 {address} to ptr"))


def identity(e: Emitter) -> tuple[Value, Value]:
    """Thread id and process id of the subject."""
    if e.subject is None:
        both = e.helper(PID_TGID)
        return e.bits_and(both, 0xFFFFFFFF), e.shift_right(both, 32)
    task = e.task()
    tid = e.kernel_word(e.add(task, e.constant("btf:task_struct.pid")), bits=32)
    return tid, e.kernel_word(e.add(task, e.constant("btf:task_struct.tgid")), bits=32)


def pass_over_self(e: Emitter, out: Label) -> None:
    """Not what this session's own process does: to show a hit it would cause the next. The constant is 0, and the verifier
    drops the check, where that process has none of the probed files."""
    there, others = e.fresh("there"), e.fresh("others")
    own = e.constant("run:self")
    e.branch_if(e.truth(own), there, others)
    e.start(there)
    e.branch_if(e.compare("eq", identity(e)[1], own), out, others)
    e.start(others)


def filter_process(e: Emitter, entry: Entry, point: Point, out: Label) -> None:
    """-x and -c (`targets`), the executable and the process of the probe point."""
    if isinstance(point, FunctionPoint | SyscallPoint):
        pass_over_self(e, out)
    restricted = e.fresh("restricted")
    anybody = e.fresh("anybody")
    e.branch_if(e.truth(e.constant("run:target")), restricted, anybody)
    e.start(restricted)
    with e.key_memory(8) as key:
        e.store(key, identity(e)[1])
        e.branch_if(e.is_null(e.helper_pointer(MAP_LOOKUP, e.map("targets"), key)), out, anybody)
    e.start(anybody)
    if isinstance(point, ProcessPoint | SyscallPoint) and point.pid is not None:
        only_if(e, e.compare("eq", identity(e)[1], point.pid), out)
    if isinstance(point, FunctionPoint | ProcessPoint | SyscallPoint) and point.executable is not None:
        filter_executable(e, point.executable, out)


def filter_executable(e: Emitter, path: str, out: Label) -> None:
    """By inode and device, so that every name of the file counts."""

    def follow(address: Value, member: str, bits: int = 64) -> Value:
        return e.kernel_word(e.add(address, e.constant(f"btf:{member}")), bits)

    memory = follow(e.task(), "task_struct.mm")
    inode = follow(follow(memory, "mm_struct.exe_file"), "file.f_inode")
    number = follow(inode, "inode.i_ino")
    only_if(e, e.compare("eq", number, e.constant(f"file:inode:{path}")), out)
    device = follow(follow(inode, "inode.i_sb"), "super_block.s_dev", bits=32)
    only_if(e, e.compare("eq", device, e.constant(f"file:dev:{path}")), out)


# -------------------------------------------------------------------------------------------------- the frame


def claim_frame(e: Emitter, out: Label) -> None:
    """Sets `e.frame`, or leaves: the hit is counted as skipped."""
    with e.key_memory(8) as key:
        slot = e.shift_left(e.helper(CPU), FRAMES_PER_CPU.bit_length() - 1)
        e.store(key, slot)
        frame = e.helper_pointer(MAP_LOOKUP, e.map("frames"), key)
        there, busy, none, claimed = e.fresh("there"), e.fresh("busy"), e.fresh("none"), e.fresh("claimed")
        e.branch_if(e.is_null(frame), busy, there)
        e.start(there)
        taken = e.compare_exchange(frame, 0, 1)
        first = e.current
        e.branch_if(e.compare("eq", taken, 0), claimed, busy)
        e.start(busy)
        define_search(e.module)
        found = Value(e.assign(f"call i64 @find_frame(i64 {slot})"))
        e.store(key, found)
        other = e.helper_pointer(MAP_LOOKUP, e.map("frames"), key)
        second = e.current
        e.branch_if(e.is_null(other), none, claimed)
        e.start_aside(none)
        e.count("skipped")
        e.branch(out)
        e.start_aside(claimed)
        e.frame = e.phi((frame, first), (other, second))


def define_search(module: Module) -> None:
    """A global function that claims any free frame behind the first choice: its number, or one that does not exist."""
    if "find_frame" in module.routines:
        return
    module.routines["find_frame"] = len(module.routines)
    r = Emitter(module, "simple", "find_frame", (("slot", Value),))
    key = r.alloca(8)
    number, wrapped = r.cell(Value("%slot")), r.cell(0)
    with r.loop(MAX_FRAMES, plain_turns=64) as loop:
        r.set(number, r.add(r.get(number), 1))
        r.store(key, r.get(number))
        frame = r.helper_pointer(MAP_LOOKUP, r.map("frames"), key)
        there, end, again = r.fresh("there"), r.fresh("end"), r.fresh("again")
        r.branch_if(r.is_null(frame), end, there)
        r.start(there)
        taken = r.compare_exchange(frame, 0, 1)
        r.stop_if(loop, r.compare("eq", taken, 0))
        r.branch(again)
        r.start(end)  # behind the last: once more from 0
        r.stop_if(loop, r.truth(r.get(wrapped)))
        r.set(wrapped, 1)
        r.set(number, -1)
        r.start(again)
    r.ret(r.get(number))
    module.add(r, "global", (("slot", "long"),))


# --------------------------------------------------------------------------------------------------- the body


def write_body(e: Emitter, handler: Handler) -> None:
    ended, failed = e.fresh("ended"), e.fresh("failed")
    if not e.simple:
        begin_frame(e)
    mark = len(e.lines)
    e.place = handler.at
    e.error_labels.append(failed)
    e.jumps, e.end = Jumps(Jump(ended, 0)), Jump(ended, 0)
    e.locals = functions.make_locals(e, handler.locals)
    if not e.simple:
        for slot in e.locals:
            functions.clear(e, slot)
    for condition in (handler.armed, handler.when):
        if condition is not None:
            go_on = e.fresh("go")
            with e.temporaries():
                expressions.branch_on(e, condition, go_on, ended)
            e.start(go_on)
    if not e.simple:
        statements.spend(e, statements.weight(handler.body), handler.at)
    statements.emit(e, handler.body)
    if failed in e.used:
        if not e.terminated:
            e.branch(ended)
        e.start_aside(failed)
        errors.report(e)
    e.start(ended)
    if not e.simple:
        insert(e, mark, lambda: save_context(e))
        e.store(e.frame_pointer(), 0)


def begin_frame(e: Emitter) -> None:
    """The fixed words."""
    e.store(e.at(e.module.header.actions), e.module.options.limits.actions)
    e.store(e.at(e.module.header.flow), 0)
    e.store(e.at(e.module.header.tokens), 0)


def insert(e: Emitter, mark: int, write: Callable[[], None]) -> None:
    """Writes straight code at an earlier place, when it is known what is needed there."""
    before, behind, terminated = e.lines[:mark], e.lines[mark:], e.terminated
    e.lines, e.terminated = before, False
    write()
    e.lines, e.terminated = e.lines + behind, terminated


def save_context(e: Emitter) -> None:
    """What called code and callbacks want to know of the hit goes into the frame."""
    header = e.module.header
    for name in e.saves:
        if name == "task":
            e.store(e.at(header.task), e.task())
        elif name == "site":
            e.store(e.at(header.site), e.site())
        elif name == "site_address":
            from probelang.llvm.callers.site import site_address

            e.store(e.at(header.context), site_address(e))
        elif name.startswith("context"):
            index = int(name.removeprefix("context"))
            if e.entry_kind in ("syscall", "fork", "exec", "exit"):
                e.store(e.at(header.context + 8 * index), e.context_word(index))
        else:
            e.store(e.at(header.registers + REGISTERS[name]), e.register(name))
