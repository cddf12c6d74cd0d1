"""Scripts as text through parser and checker, with probe points that need no binary.

    check_text("probe begin { println(1) }").program.probes[0].name  ->  "begin"

`process("P").function("f")` and its variants get made-up sites; aliases of the same script are unfolded one level. What real
resolving does is tested with `probelang.resolve`.
"""

from __future__ import annotations

from collections.abc import Iterator

from probelang import resolved, syntax
from probelang.artifact.points import (
    BinaryFile,
    FunctionPoint,
    LifecyclePoint,
    Point,
    ProfilePoint,
    Site,
    SyscallPoint,
    TimerPoint,
)
from probelang.check import CheckResult, check
from probelang.diag import CompileError, Diagnostic
from probelang.options import Backend, Options
from probelang.parse import parse
from probelang.source import SourceFile

NAME = "test.probe"
LIBRARY = "library.probe"


def check_text(
    text: str,
    library: str = "",
    elide: bool = True,
    overrides: tuple[tuple[str, str], ...] = (),
    backend: Backend = "kernel",
) -> CheckResult:
    """Raises CompileError."""
    options = Options(elide=elide, overrides=overrides, backend=backend)
    files = [(NAME, parse(SourceFile(NAME, text), options).program)]
    if library:
        files.append((LIBRARY, parse(SourceFile(LIBRARY, library), options).program))
    return check(resolve_simply(files), options)


def mistakes_of(text: str, library: str = "", elide: bool = True) -> list[Diagnostic]:
    try:
        check_text(text, library, elide)
    except CompileError as error:
        return list(error.diagnostics)
    return []


def places_of(text: str, library: str = "", elide: bool = True) -> list[str]:
    """Code and place of each mistake: `E0301 1:20`."""
    return [_place(d) for d in mistakes_of(text, library, elide)]


def warnings_of(text: str, library: str = "") -> list[str]:
    return [_place(d) for d in check_text(text, library).warnings]


def _place(mistake: Diagnostic) -> str:
    if mistake.span is None:
        return f"{mistake.code} -"
    line, column = mistake.span.line_column
    return f"{mistake.code} {line}:{column}"


def resolve_simply(files: list[tuple[str, syntax.Program]]) -> resolved.Program:
    globals_: list[resolved.Global] = []
    functions: list[resolved.Function] = []
    aliases: dict[str, tuple[str, syntax.Alias]] = {}
    for file, program in files:
        for declaration in program.declarations:
            match declaration:
                case syntax.GlobalVariable():
                    globals_.append(resolved.Global(declaration, file, file == LIBRARY))
                case syntax.Function():
                    functions.append(resolved.Function(declaration, file, file == LIBRARY))
                case syntax.Alias():
                    for names in declaration.names:
                        aliases[_dotted(names)] = (file, declaration)
                case syntax.Probe():
                    pass
    probes = tuple(
        probe
        for file, program in files
        for declaration in program.declarations
        if isinstance(declaration, syntax.Probe)
        for point in declaration.points
        for probe in _probes(declaration, point, file, aliases)
    )
    return resolved.Program(tuple(globals_), tuple(functions), probes)


def _dotted(components: tuple[syntax.Component, ...]) -> str:
    return ".".join(c.name for c in components)


def _probes(
    probe: syntax.Probe,
    point: syntax.ProbePoint,
    file: str,
    aliases: dict[str, tuple[str, syntax.Alias]],
) -> Iterator[resolved.Probe]:
    name = _dotted(point.components)
    parts = [resolved.Part(file, probe.body)]
    origin = point
    if name in aliases:
        alias_file, alias = aliases[name]
        origin = alias.points[0]
        own = resolved.Part(alias_file, alias.body)
        parts = [own, *parts] if alias.op == "=" else [*parts, own]
        if alias.epilogue is not None:
            parts.append(resolved.Part(alias_file, alias.epilogue))
    conditions = [
        resolved.Condition(file, p.armed) for p in {id(p): p for p in (origin, point)}.values() if p.armed
    ]
    when = [resolved.Condition(file, p.when) for p in {id(p): p for p in (origin, point)}.values() if p.when]
    where = _point(origin)
    yield resolved.Probe(name, where, tuple(parts), tuple(conditions), tuple(when), point.span)


def _point(point: syntax.ProbePoint) -> Point:
    name = _dotted(point.components)
    match name.split("."):
        case ["begin" | "end" | "error" | "never" as kind]:
            return LifecyclePoint(kind)
        case ["timer", "profile"]:
            return ProfilePoint()
        case ["timer", *_]:
            return TimerPoint(1_000_000_000)
        case ["process", "syscall", *rest]:
            return SyscallPoint(rest == ["return"], None, None, name)
        case _:
            site = Site(0, 0, "f", f'process("/bin/p").{name.removeprefix("process.")}')
            return FunctionPoint(BinaryFile("/bin/p"), (site,), name.endswith(".return"))
