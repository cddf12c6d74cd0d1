"""From a probe point of a family to concrete points: sites in files, events of processes, timers.

    build(Match("process(s).function(s).return", ...), env)
    ->  Built((FunctionPoint(binary=..., sites=(...), is_return=True),))

One point per file; what is wrong is raised as CompileError with the component's span.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from probelang import syntax
from probelang.artifact.points import (
    BinaryFile,
    FunctionPoint,
    LifecyclePoint,
    Point,
    ProcessPoint,
    ProfilePoint,
    Site,
    SyscallPoint,
    TimerPoint,
)
from probelang.diag import CompileError, CompileWarning, Diagnostic, respan
from probelang.diag.deferred import marks, names, places, target
from probelang.dwarf.image import BinaryError
from probelang.options import Options
from probelang.resolve.families import TIMER_UNITS_NS, Match, component_text, kind_of, point_text
from probelang.resolve.functions import FileTarget, Sites, function_sites, slot_sites
from probelang.resolve.paths import Host, executable_of, libraries_of, mapped_at, programs
from probelang.resolved import SiteDetail
from probelang.source import Span

SECOND_NS = 1_000_000_000
NEEDS = {
    "perf": "hardware counters", "insn": "single-stepping", "data": "hardware watchpoints",
    "absolute": "a process, `process(PID)`, whose memory the address lies in; addresses of a file are probed with `statement(N)`",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Env:
    options: Options
    host: Host


@dataclass(frozen=True, slots=True)
class Built:
    """`details`: for each point those of its sites; shorter where the points have none."""

    points: tuple[Point, ...]
    warnings: tuple[CompileWarning, ...] = ()
    details: tuple[tuple[SiteDetail, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """What `process...` at the head of a point stands for. All None: every process. `text` as pp() shows it."""

    executable: str | None
    pid: int | None
    text: str
    span: Span


def build(match: Match, env: Env) -> Built:
    """Raises CompileError when the point does not exist."""
    if not match.supported:
        raise CompileError([_unsupported(match)])
    components = match.components
    names_ = tuple(c.name for c in components)
    match names_[0]:
        case "timer":
            return Built((_timer(components),))
        case "begin" | "end" | "error" | "never" | "oneshot":
            return Built((_lifecycle(components[0]),))
        case _:
            return _process(components, env)


def _unsupported(match: Match) -> Diagnostic:
    span = match.components[0].span.to(match.components[-1].span)
    names_ = {c.name for c in match.components}
    needs = next(need for part, need in NEEDS.items() if part in names_)
    return names.UnsupportedPoint(span=span, point=point_text(match.components), needs=f"it needs {needs}")


# ------------------------------------------------------------------------------------------ begin, end, timers


def _lifecycle(component: syntax.Component) -> Point:
    priority = component.argument if isinstance(component.argument, int) else 0
    match component.name:
        case "end" | "error" | "never" as kind:
            return LifecyclePoint(kind, priority)
        case _:
            return LifecyclePoint("begin", priority)


def _timer(components: tuple[syntax.Component, ...]) -> Point:
    unit = components[1]
    if unit.name == "profile":
        if len(components) < 4:
            return ProfilePoint()
        return ProfilePoint(_positive(components[3]))
    value = _positive(unit)
    period_ns = SECOND_NS // value if unit.name == "hz" else value * TIMER_UNITS_NS[unit.name]
    if period_ns < 1 or period_ns >= 1 << 63:
        raise _interval(unit, value, "the interval must lie between 1 nanosecond and 292 years")
    if len(components) == 2:
        return TimerPoint(period_ns)
    spread = components[2]
    amount = spread.argument if isinstance(spread.argument, int) else 0
    if not 0 <= amount <= value:
        raise _interval(spread, amount, f"it must lie between 0 and {value}")
    # for hz the spread is a share of the frequency, hence the same share of the period
    return TimerPoint(period_ns, period_ns * amount // value)


def _positive(component: syntax.Component) -> int:
    value = component.argument if isinstance(component.argument, int) else 0
    if value < 1:
        raise _interval(component, value, "it must be at least 1")
    return value


def _interval(component: syntax.Component, value: int, interval: str) -> CompileError:
    return CompileError(
        [names.OutOfInterval(span=component.span, component=component.name, value=value, interval=interval)]
    )


# ------------------------------------------------------------------------------------------------- processes


def _process(components: tuple[syntax.Component, ...], env: Env) -> Built:
    head, rest = components[0], components[1:]
    suffix = ".".join(c.name for c in rest)
    match suffix:
        case "begin" | "end" | "thread.begin" | "thread.end":
            return Built(
                tuple(
                    ProcessPoint(suffix, p.executable, p.pid, f"{p.text}.{suffix}")
                    for p in processes_of(head, env, needs_file=False)
                )
            )
        case "syscall" | "syscall.return":
            return Built(
                tuple(
                    SyscallPoint(suffix == "syscall.return", p.executable, p.pid, f"{p.text}.{suffix}")
                    for p in processes_of(head, env, needs_file=False)
                )
            )
        case "statement.absolute":
            return _absolute(head, rest[0], env)
        case _:
            return _code(head, rest, env)


def _absolute(head: syntax.Component, statement: syntax.Component, env: Env) -> Built:
    """An address in the memory of a process: the place in the file that is mapped there."""
    from probelang.resolve.statements import statement_sites

    assert isinstance(head.argument, int) and isinstance(statement.argument, int)
    pid, address = head.argument, statement.argument
    try:
        path, offset = mapped_at(pid, address)
        file = FileTarget(env.host.open(path), f"process({pid})", env.host.files, env.options.backend)
        place = file.binary.image.address_of(offset)
        if place is None:
            raise BinaryError(target.NotMapped(address=address, pid=pid))
        found = statement_sites(file, place, False, statement.span)
    except BinaryError as error:
        raise CompileError([respan(error.diagnostic, statement.span)]) from None
    text = f"process({pid}).statement({address:#x}).absolute"
    sites = tuple(replace(site, point=text) for site in found.sites)
    point = FunctionPoint(BinaryFile(path, file.binary.build_id), sites, False, pid)
    return Built((point,), found.warnings, (found.details,))


def processes_of(head: syntax.Component, env: Env, needs_file: bool) -> tuple[Process, ...]:
    """The programs (or the process) that a point begins with. `needs_file`: a point about code cannot mean every
    program."""
    try:
        match head.argument:
            case None:
                return _target_processes(head, env, needs_file)
            case int() as pid:
                return (Process(executable_of(pid), pid, f"process({pid})", head.span),)
            case name:
                files = programs(name.decode("utf-8", "surrogateescape"), env.host)
                return tuple(Process(f, None, component_text("process", f), head.span) for f in files)
    except BinaryError as error:
        raise CompileError([respan(error.diagnostic, head.span)]) from None


def _target_processes(head: syntax.Component, env: Env, needs_file: bool) -> tuple[Process, ...]:
    """`process` alone: the command of -c or the process of -x; the run is restricted to it and its children anyway."""
    if not needs_file:
        return (Process(None, None, "process", head.span),)
    if env.options.command is not None:
        files = programs(env.options.command, env.host)
        return tuple(Process(f, None, component_text("process", f), head.span) for f in files)
    if env.options.pid is not None:
        path = executable_of(env.options.pid)
        return (Process(path, None, component_text("process", path), head.span),)
    raise BinaryError(target.NoCommand())


def _code(head: syntax.Component, rest: tuple[syntax.Component, ...], env: Env) -> Built:
    """Functions, PLT slots, statements and marks: one point per file that has any. A file without is a mistake only when none has."""
    points: list[Point] = []
    details: list[tuple[SiteDetail, ...]] = []
    warnings: list[CompileWarning] = []
    failures: list[Diagnostic] = []
    library = rest[0] if rest[0].name == "library" else None
    code = rest[1:] if library is not None else rest
    processes = processes_of(head, env, needs_file=True)
    for process in processes:
        for path, text in files_of(process, library, env):
            try:
                program = None
                if library is not None and process.executable is not None:
                    program = env.host.open(process.executable)
                file = FileTarget(env.host.open(path), text, env.host.files, env.options.backend, program)
                sites = _sites(file, code)
            except BinaryError as error:
                failures.append(respan(error.diagnostic, _blamed(error.diagnostic, head, library, code)))
                continue
            warnings += sites.warnings
            executable = process.executable if library is not None and process.pid is None else None
            binary = BinaryFile(path, file.binary.build_id)
            is_return = any(c.name == "return" for c in code)
            for own, described, at_returns in _by_kind(sites):
                points.append(FunctionPoint(binary, own, is_return, process.pid, executable, at_returns))
                details.append(described)
    if not points and failures:
        raise CompileError(failures[:1])
    return Built(tuple(points), tuple(warnings), tuple(details))


def _by_kind(sites: Sites) -> Iterator[tuple[tuple[Site, ...], tuple[SiteDetail, ...], bool]]:
    """Returns that may be hooked, and those that are seen at the instructions."""
    pairs = list(zip(sites.sites, sites.details, strict=True))
    for at_returns in (False, True):
        own = [(site, detail) for site, detail in pairs if bool(site.returns) is at_returns]
        if own:
            yield tuple(site for site, _ in own), tuple(detail for _, detail in own), at_returns


def _blamed(
    problem: Diagnostic,
    head: syntax.Component,
    library: syntax.Component | None,
    code: tuple[syntax.Component, ...],
) -> Span:
    """The part of the point that a mistake is about: its file, or what is looked for in it."""
    match problem:
        case target.NoSuchFunction() | target.UnsafeSite() | target.NoFunctionAtAddress():
            return code[0].span
        case names.UnsupportedPoint() | places.UnknownSource() | places.UnknownLine() | places.BadPlace():
            return code[0].span
        case places.NoSuchLabel() | places.NoSuchCallee():
            return code[1].span
        case marks.NoSuchMark() | marks.UnsafeMark():
            return code[-1].span
        case _:
            return (library or head).span


def files_of(process: Process, library: syntax.Component | None, env: Env) -> list[tuple[str, str]]:
    """The files that the code lies in, each with the text of the point so far."""
    assert process.executable is not None
    if library is None:
        return [(process.executable, process.text)]
    assert isinstance(library.argument, bytes)
    name = library.argument.decode("utf-8", "surrogateescape")
    try:
        found = libraries_of(process.executable, name, env.host, process.pid)
    except BinaryError as error:
        raise CompileError([respan(error.diagnostic, library.span)]) from None
    return [(path, f"{process.text}.{component_text('library', path)}") for path in found]


def _sites(file: FileTarget, code: tuple[syntax.Component, ...]) -> Sites:
    """What reads debug information or notes is imported when a point asks for it."""
    first = code[0]
    tail = [c for c in code[1:] if c.name != "maxactive"]
    pattern = _argument(first)
    match first.name, tail[0].name if tail else "":
        case "plt", suffix:
            assert not isinstance(pattern, int), kind_of(first)
            return slot_sites(file, pattern, suffix == "return", first.span)
        case ("mark", _) | ("provider", _):
            from probelang.resolve.marks import mark_sites

            mark = _argument(code[-1])
            provider = pattern if first.name == "provider" else None
            assert isinstance(mark, str), kind_of(code[-1])
            assert not isinstance(provider, int), kind_of(first)
            return mark_sites(file, provider, mark, code[-1].span)
        case "statement", suffix:
            from probelang.resolve.statements import statement_sites

            assert pattern is not None, kind_of(first)
            return statement_sites(file, pattern, suffix == "nearest", first.span)
        case _, "label":
            from probelang.resolve.labels import label_sites

            label = _argument(tail[0])
            assert isinstance(label, str), kind_of(tail[0])
            assert pattern is not None, kind_of(first)
            return label_sites(file, pattern, label, tail[0].span)
        case _, "callee" | "callees":
            from probelang.resolve.callees import callee_sites

            what = _argument(tail[0])
            assert pattern is not None, kind_of(first)
            callee, depth = (what, 1) if isinstance(what, str) else ("*", 1 if what is None else what)
            if depth < 1:
                raise _interval(tail[0], depth, "it must be at least 1")
            return callee_sites(file, pattern, callee, depth, _suffix(tail[1:]), tail[0].span)
        case _:
            assert pattern is not None, kind_of(first)
            return function_sites(file, pattern, _suffix(tail), first.span)


def _suffix(components: list[syntax.Component]) -> str:
    return "".join(f".{c.name}" for c in components)


def _argument(component: syntax.Component) -> str | int | None:
    argument = component.argument
    return argument.decode("utf-8", "surrogateescape") if isinstance(argument, bytes) else argument
