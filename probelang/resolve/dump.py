"""A resolved program as text, for `--emit resolved`.

probe al.return
    process("/bin/x").function("f").return  f  0x1136
    code of user.probe:3
"""

from __future__ import annotations

from collections.abc import Iterator

from probelang import resolved
from probelang.artifact.points import (
    FunctionPoint,
    LifecyclePoint,
    Point,
    ProcessPoint,
    ProfilePoint,
    SyscallPoint,
    TimerPoint,
)
from probelang.source import Span


def dump(program: resolved.Program) -> str:
    return "\n".join(_lines(program)) + "\n"


def _lines(program: resolved.Program) -> Iterator[str]:
    for variable in program.globals:
        private = "private " if variable.declaration.private else ""
        yield f"{private}global {variable.declaration.name}  # {_place(variable.declaration.span)}"
    for function in program.functions:
        declaration = function.declaration
        private = "private " if declaration.private else ""
        parameters = ", ".join(p.name for p in declaration.parameters)
        yield f"{private}function {declaration.name}({parameters})  # {_place(declaration.span)}"
    for probe in program.probes:
        yield f"probe {probe.name}  # {_place(probe.span)}"
        yield from (f"    {line}" for line in _point(probe.point))
        yield from (f"    if  # {_place(c.expression.span)}" for c in probe.armed)
        yield from (f"    when  # {_place(c.expression.span)}" for c in probe.when)
        yield from (f"    code  # {_place(part.code.span)}" for part in probe.parts)


def _place(span: Span) -> str:
    line, column = span.line_column
    return f"{span.source.name}:{line}:{column}"


def _point(point: Point) -> Iterator[str]:
    match point:
        case LifecyclePoint():
            yield f"{point.kind}({point.priority})"
        case TimerPoint():
            yield f"every {point.period_ns} ns, plus or minus {point.randomize_ns} ns"
        case ProfilePoint():
            yield f"every CPU, {point.frequency_hz or 'tick'} Hz"
        case FunctionPoint():
            pid = f" of process {point.pid}" if point.pid is not None else ""
            within = f" in {point.executable}" if point.executable is not None else ""
            yield f"{point.binary.path}{pid}{within} build-id {point.binary.build_id or 'none'}"
            yield from (
                f"    {s.point}  {s.function}  {s.address:#x}  offset {s.offset:#x}" for s in point.sites
            )
        case ProcessPoint() | SyscallPoint():
            yield point.point
