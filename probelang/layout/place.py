"""Typed program to layout: storages, maps, programs, clones.

    global n; probe process("x").function("f") { n++ }
    -> storages (BssStorage(64, 8),), kernel (KernelProbe(0, (Entry("probe_0", "uprobe/probe_0", "uprobe"),)),), maps (events,)

Pure and deterministic. The sizes of frames and the records are known only after lowering.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from probelang import typed
from probelang.artifact.code import Call, Foreach, Format, Order, Print, Type, Variable
from probelang.artifact.manifest import (
    STRING_HEADER,
    BssStorage,
    MapSpec,
    MapStorage,
    MapType,
    Storage,
    UserStorage,
)
from probelang.artifact.points import (
    FunctionPoint,
    Point,
    ProcessPoint,
    ProfilePoint,
    SyscallPoint,
    is_process_point,
)
from probelang.builtins.table import overloads
from probelang.diag import CompileError, Diagnostic
from probelang.diag.deferred import kernel as mistakes
from probelang.layout.clones import levels_of, make_clones
from probelang.layout.keys import TASK_COMM, index_uses, key_fields, key_size
from probelang.layout.needs import BRANCHES_IN_REGISTERS, needs_frame
from probelang.layout.program import Clone, Entry, EntryKind, KernelProbe, Mailbox, Program, SiteText
from probelang.layout.stats import stat_layout
from probelang.layout.tokens import token_lengths
from probelang.layout.usage import Usage, callees, usage
from probelang.layout.walk import Node, nodes, probe_nodes
from probelang.options import Options

if TYPE_CHECKING:
    from probelang.layout.callers import Decision

F_NO_PREALLOC = 1
PREALLOCATED_BYTES = 1 << 20  # larger hash maps get their elements one by one
WORDS = (
    "state", "lost", "skipped", "errors", "cut", "cut_at", "speculations",
    "code_files_next", "cut_stacks", "lost_stacks", "lost_callers", "hooked_since", "unhooked",
)  # fmt: skip
CACHE_LINE = 64
WORDS_END = -(-8 * len(WORDS) // CACHE_LINE) * CACHE_LINE
MAX_LEVELS = 8  # BPF functions in a chain of calls, the handler included


def lay_out(program: typed.Program, options: Options) -> Program:
    """Raises CompileError for what the kernel half cannot have."""
    used = usage(program)
    sites, firsts = number_sites(program)
    storages, maps, size, sequences = place_variables(program, options, used, sites)
    handlers = [list(probe_nodes(p)) for p in program.probes if is_process_point(p.point)]
    clones, called, levels = make_clones(program, storages, options.limits.nesting, handlers)
    check_levels(program, clones, dict(called), levels)
    kernel = tuple(
        kernel_probe(program, i, firsts[i], storages, clones, dict(called), options)
        for i, p in enumerate(program.probes)
        if is_process_point(p.point)
    )
    kernel = unique_sections(kernel)
    written = tuple(sorted((used.user.writes | used.user.deletes) & used.kernel.all))
    words = [(name, 8 * i) for i, name in enumerate(WORDS)]
    mailbox = place_mailbox(storages, written, options)
    if mailbox is not None:
        size = add_mailbox(words, size, mailbox)
    capacity = text_capacity(options.limits.string_size)
    return Program(
        source=program,
        storages=storages,
        maps=maps,
        kernel=kernel,
        clones=clones,
        kernel_functions=called,
        sites=sites,
        words=tuple(words),
        bss_size=size + capacity,  # so that a masked length fits behind every string
        written=written,
        mailbox=mailbox,
        text_capacity=capacity,
        sequences=sequences,
        decisions=decide_callers(program, options),
    )


def decide_callers(program: typed.Program, options: Options) -> tuple[Decision, ...]:
    """How each question about callers is decided, where there are any."""
    if not program.code_sets:
        return ()
    from probelang.layout.callers import decisions

    return decisions(program, options)


def text_capacity(string_size: int) -> int:
    """Bytes that an index into a string is masked to: a power of two, at least `string_size`."""
    capacity = 64
    while capacity < string_size:
        capacity *= 2
    return capacity


# ----------------------------------------------------------------------------------------------------- sites


def number_sites(program: typed.Program) -> tuple[tuple[SiteText, ...], tuple[int, ...]]:
    """All sites of the kernel half, and the number of each probe's first one."""
    texts: list[SiteText] = []
    firsts: list[int] = []
    for probe in program.probes:
        firsts.append(len(texts))
        match probe.point:
            case FunctionPoint():
                texts += [SiteText(s.point, s.function, probe.name) for s in probe.point.sites]
            case ProcessPoint() | SyscallPoint():
                texts.append(SiteText(probe.point.point, "", probe.name))
            case ProfilePoint():
                texts.append(SiteText(probe.name, "", probe.name))
            case _:
                pass
    return tuple(texts), tuple(firsts)


# ------------------------------------------------------------------------------------------------- variables


def place_variables(
    program: typed.Program, options: Options, used: Usage, sites: tuple[SiteText, ...]
) -> tuple[tuple[Storage, ...], tuple[MapSpec, ...], int, tuple[tuple[int, int], ...]]:
    """Storages, maps, end of `.bss`, sequence words."""
    code = all_code(program)
    uses = index_uses(code)
    known = longest_texts(sites) | token_lengths(program)
    orders = sort_operators(code)
    storages: list[Storage] = []
    maps: list[MapSpec] = []
    sequences: list[tuple[int, int]] = []
    end = WORDS_END
    for number, variable in enumerate(program.variables):
        stats = (
            stat_layout(variable, orders.get(number, frozenset())) if variable.value is Type.STATS else None
        )
        size = stats.size if stats else value_size(variable.value, options)
        if number not in used.kernel.all:
            storages.append(UserStorage())
        elif variable.key is None and number not in used.taken:
            if variable.value is Type.STRING:
                size += 8
            storages.append(BssStorage(end, size, stats))
            end += (size + 7) // 8 * 8
        else:
            fields = key_fields(variable.key or (), uses.get(number, []), known, options.limits.string_size)
            name = f"m{number}_" + re.sub(r"\W", "_", variable.name)
            storage = MapStorage(name, fields, key_size(fields), size, stats, number in used.taken)
            storages.append(storage)
            maps.append(map_spec(storage, variable, options))
            if variable.value is Type.STRING:
                sequences.append((number, end))
                end += 8
    maps.append(MapSpec("events", "ringbuf", 0, 0, 0))
    return tuple(storages), tuple(maps), end, tuple(sequences)


def value_size(kind: Type, options: Options) -> int:
    if kind is Type.STRING:
        return (STRING_HEADER + options.limits.string_size + 7) // 8 * 8
    return 8


def all_code(program: typed.Program) -> list[Node]:
    code = [node for probe in program.probes for node in probe_nodes(probe)]
    return code + [node for function in program.functions for node in nodes(function.body)]


def longest_texts(sites: tuple[SiteText, ...]) -> dict[str, int]:
    """The longest value of builtins where it is known."""
    known = {"execname": TASK_COMM, "pexecname": TASK_COMM}
    known["pp"] = max((len(s.point.encode()) for s in sites), default=0)
    known["pn"] = max((len(s.probe.encode()) for s in sites), default=0)
    known["ppfunc"] = known["probefunc"] = max((len(s.function.encode()) for s in sites), default=0)
    return known


def sort_operators(code: list[Node]) -> dict[int, frozenset[str]]:
    """Aggregate operators that sorting needs, by variable."""
    found: dict[int, frozenset[str]] = {}
    for node in code:
        if isinstance(node, Foreach) and isinstance(node.order, Order) and isinstance(node.order.by, str):
            found[node.variable] = found.get(node.variable, frozenset()) | {node.order.by}
    return found


def map_spec(storage: MapStorage, variable: Variable, options: Options) -> MapSpec:
    entries = variable.max_entries or options.limits.map_entries
    if variable.key is None:  # a scalar aggregate that a timer takes: the only element of an array
        spec = MapSpec(storage.map, "array", 4, storage.value_size, 1)
    else:
        large = entries * (storage.key_size + storage.value_size + 64) > PREALLOCATED_BYTES
        kind: MapType = "lru_hash" if variable.wrap else "hash"
        flags = F_NO_PREALLOC if large and not variable.wrap else 0
        spec = MapSpec(storage.map, kind, storage.key_size, storage.value_size, entries, flags)
    if not storage.swap:
        return spec
    inner = replace(spec, name=f"{storage.map}_inner")
    return MapSpec(storage.map, "array_of_maps", 4, 4, 1, template=inner)


# -------------------------------------------------------------------------------------------------- programs


def kernel_probe(
    program: typed.Program,
    index: int,
    first_site: int,
    storages: tuple[Storage, ...],
    clones: tuple[Clone, ...],
    called: dict[int, int],
    options: Options,
) -> KernelProbe:
    probe = program.probes[index]
    code = list(probe_nodes(probe))
    own = callees(code)
    frame = needs_frame(code, storages) or any(f not in called or clones[called[f]].frame for f in own)
    frame = frame or sum(isinstance(n, Call) for n in code) > BRANCHES_IN_REGISTERS
    sleepable = may_be_sleepable(storages, options) and reads_memory(program, code)
    entries = entries_of(probe.point, f"probe_{index}", sleepable, probe.before is not None)
    return KernelProbe(index, entries, frame, first_site)


def unique_sections(kernel: tuple[KernelProbe, ...]) -> tuple[KernelProbe, ...]:
    """A program stands alone in its section; libbpf fixes the names of some kinds, so only the first gets that name."""
    taken: set[str] = set()
    probes: list[KernelProbe] = []
    for probe in kernel:
        entries: list[Entry] = []
        for entry in probe.entries:
            again = entry.section in taken
            entries.append(replace(entry, section=f"{entry.section}.{entry.symbol}") if again else entry)
            taken.add(entry.section)
        probes.append(replace(probe, entries=tuple(entries)))
    return tuple(probes)


def may_be_sleepable(storages: tuple[Storage, ...], options: Options) -> bool:
    """Arrays that a timer takes need an RCU read section, which only a program that does not sleep has by itself."""
    swaps = any(isinstance(s, MapStorage) and s.swap for s in storages)
    return "sleepable" in options.features and (not swaps or "rcu_kfuncs" in options.features)


def reads_memory(program: typed.Program, code: list[Node]) -> bool:
    """Whether a handler may read memory of the process: then it had better be able to fault pages in."""
    seen: set[int] = set()
    pending = [code]
    while pending:
        current = pending.pop()
        if any(b.faults for n in current if isinstance(n, Call) for b in overloads(n.name)):
            return True
        # %m and %M dump memory
        if any(p.kind in ("m", "M") for n in current if isinstance(n, Format | Print) for p in n.pieces):
            return True
        for function in callees(current):
            if function not in seen:
                seen.add(function)
                pending.append(list(nodes(program.functions[function].body)))
    return False


def entries_of(point: Point, symbol: str, sleepable: bool, session: bool) -> tuple[Entry, ...]:
    """The BPF programs of a probe, in sections named as libbpf wants them."""

    def raw(kind: EntryKind, tracepoint: str, leaders: bool | None = None) -> Entry:
        name = f"{symbol}_{kind}"
        return Entry(name, f"raw_tp/{name}", kind, tracepoint=tracepoint, leaders=leaders)

    match point:
        case FunctionPoint():
            section = f"uprobe{'.session' if session else ''}{'.s' if sleepable else ''}/{symbol}"
            return (Entry(symbol, section, "uprobe", sleepable, session=session),)
        case ProfilePoint():
            return (Entry(symbol, "perf_event", "profile"),)
        case SyscallPoint():
            return (raw("syscall", "sys_exit" if point.is_return else "sys_enter"),)
        case ProcessPoint(event="begin"):
            alive = Entry(f"{symbol}_alive", "iter/task", "alive", leaders=True)
            return (raw("exec", "sched_process_exec"), raw("fork", "sched_process_fork", leaders=True), alive)
        case ProcessPoint(event="thread.begin"):
            alive = Entry(f"{symbol}_alive", "iter/task", "alive", leaders=False)
            return (raw("fork", "sched_process_fork", leaders=False), alive)
        case ProcessPoint():
            return (raw("exit", "sched_process_exit", leaders=point.event == "end"),)
        case _:
            return ()


def check_levels(
    program: typed.Program, clones: tuple[Clone, ...], called: dict[int, int], levels: list[int]
) -> None:
    """The kernel's limit on functions in a chain of calls."""
    found: list[Diagnostic] = []
    calls: dict[int, int | None] = dict(called)
    for probe in program.probes:
        if is_process_point(probe.point):
            code = tuple(part for h in probe.handlers for part in (h.armed, h.when, h.body))
            if 1 + levels_of(code, calls, list(clones), levels) > MAX_LEVELS:
                found.append(mistakes.CallsTooDeep(span=program.spans[probe.handler.at]))
    if found:
        raise CompileError(found)


# --------------------------------------------------------------------------------------------------- mailbox


def place_mailbox(
    storages: tuple[Storage, ...], written: tuple[int, ...], options: Options
) -> Mailbox | None:
    if not written:
        return None
    maps = [s for s in storages if isinstance(s, MapStorage)]
    return Mailbox(max((s.key_size for s in maps), default=0) or 8, value_size(Type.STRING, options))


def add_mailbox(words: list[tuple[str, int]], end: int, mailbox: Mailbox) -> int:
    """Adds the words of the mailbox to `.bss`; its new end."""
    sizes = {
        "mailbox_op": 8, "mailbox_variable": 8, "mailbox_key": mailbox.key_size, "mailbox_old": 8, "mailbox_new": 8,
        "mailbox_result": 8, "mailbox_text": mailbox.text_size,
    }  # fmt: skip
    for name, size in sizes.items():
        words.append((name, end))
        end += (size + 7) // 8 * 8
    return end
