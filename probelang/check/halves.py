"""What only one half can do: refused in the other, also when a called function does it.

probe process("P").function("f") { foreach (k in a-) println(k) }   ->  SortedForeachInProbe
function top() { foreach (k in a-) println(k) }  probe process(..)... { top() }   ->  the same, at the call
probe begin { println(syscall_number()) }                           ->  OutsideProcessProbe

With the ptrace backend process probes run in user space too, and only the last of these is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from probelang import typed
from probelang.artifact import code
from probelang.artifact.formats import FLOATS
from probelang.artifact.points import is_process_point
from probelang.builtins import Builtin
from probelang.builtins.tokens import LOOK_INSIDE, TOKENS
from probelang.check import mistakes
from probelang.check.code_walk import Node, inside, roots
from probelang.diag import Diagnostic
from probelang.options import Backend
from probelang.source import Span


@dataclass(frozen=True, slots=True)
class _Find:
    """A node that only one half can run. `at`: of the node itself, or of the call that leads to it."""

    node: code.Foreach | code.ForeachBucket | code.Call | code.Format | code.Compare | code.Matches
    at: int
    origin: int


@dataclass(frozen=True, slots=True)
class _Half:
    """Where a handler runs, and whether a process is there that has hit the probe."""

    in_kernel: bool
    is_process: bool


@dataclass(frozen=True, slots=True)
class _Summary:
    """Of a piece of code: what stands in it itself, and its calls."""

    finds: tuple[_Find, ...]
    calls: tuple[code.Invoke, ...]


def check_halves(
    program: typed.Program, builtins: Mapping[tuple[str, int], Builtin], backend: Backend
) -> list[Diagnostic]:
    functions = [_summarise((function.body,), builtins) for function in program.functions]
    found: list[Diagnostic] = []
    for probe in program.probes:
        half = _half(probe, backend)
        for find in _finds(_summarise(_roots(probe), builtins), functions):
            mistake = _judge(program, probe, find, half, builtins)
            if mistake is not None:
                found.append(mistake)
    return found


def _roots(probe: typed.Probe) -> tuple[Node, ...]:
    return tuple(node for handler in probe.handlers for node in roots(handler))


def _summarise(nodes: tuple[Node, ...], builtins: Mapping[tuple[str, int], Builtin]) -> _Summary:
    finds: list[_Find] = []
    calls: list[code.Invoke] = []
    for node in (inner for root in nodes for inner in inside(root)):
        match node:
            case code.Invoke():
                calls.append(node)
            case code.Format() if _prints_only(node):
                finds.append(_Find(node, node.at, node.at))
            case code.Compare() | code.Matches() if _looked_into(node) is not None:
                finds.append(_Find(node, _place(node), _place(node)))
            case code.Call():
                if _looked_into(node) is not None:
                    finds.append(_Find(node, node.at, node.at))
                row = builtins.get((node.name, len(node.arguments)))
                if row is not None and (row.process_only or not row.kernel):
                    finds.append(_Find(node, node.at, node.at))
            case code.Foreach() if node.order is not None or node.limit is not None:
                finds.append(_Find(node, node.at, node.at))
            case code.ForeachBucket() if node.descending or node.limit is not None:
                finds.append(_Find(node, node.at, node.at))
            case _:
                pass
    return _Summary(tuple(finds), tuple(calls))


def _looked_into(node: code.Call | code.Compare | code.Matches) -> code.Call | None:
    """The call whose value, a stack or a name, this looks into; what strings hold at run time is seen there."""
    match node:
        case code.Compare():
            operands: tuple[code.Expr, ...] = (node.left, node.right)
        case code.Matches():
            operands = (node.subject,)
        case code.Call():
            operands = node.arguments if node.name in LOOK_INSIDE else ()
    return next((o for o in operands if isinstance(o, code.Call) and o.name in TOKENS), None)


def _place(node: code.Compare | code.Matches) -> int:
    if isinstance(node, code.Matches):
        return node.at
    looked_into = _looked_into(node)
    return -1 if looked_into is None else looked_into.at


def _prints_only(node: code.Format) -> bool:
    """Histograms and floating point numbers are formatted by the runtime, from what a process probe prints."""
    return any(isinstance(a, code.Histogram) for a in node.arguments) or any(
        piece.kind in FLOATS for piece in node.pieces
    )


def _finds(handler: _Summary, functions: list[_Summary]) -> Iterator[_Find]:
    """Those of the handler itself, and at each of its calls those of all that the call reaches."""
    yield from handler.finds
    for call in handler.calls:
        for called in _closure(call.chain, functions):
            yield from (_Find(find.node, call.at, find.at) for find in functions[called].finds)


def _closure(chain: tuple[int, ...], functions: list[_Summary]) -> list[int]:
    seen = list(dict.fromkeys(chain))
    for number in seen:
        for call in functions[number].calls:
            seen += [called for called in dict.fromkeys(call.chain) if called not in seen]
    return seen


def _operator(node: code.Call | code.Compare | code.Matches) -> str:
    match node:
        case code.Call():
            return node.name
        case code.Compare():
            return node.op
        case code.Matches():
            return "!~" if node.negated else "=~"


def _half(probe: typed.Probe, backend: Backend) -> _Half:
    is_process = is_process_point(probe.point)
    return _Half(is_process and backend == "kernel", is_process)


def _judge(
    program: typed.Program,
    probe: typed.Probe,
    find: _Find,
    half: _Half,
    builtins: Mapping[tuple[str, int], Builtin],
) -> Diagnostic | None:
    in_kernel = half.in_kernel
    span: Span = program.spans[find.at]
    inner = None if find.origin == find.at else program.spans[find.origin]
    match find.node:
        case code.Call() | code.Compare() | code.Matches() if in_kernel and (call := _looked_into(find.node)):
            return mistakes.NameLookedInto(span=span, name=call.name, by=_operator(find.node))
        case code.Format() if in_kernel:
            floats = [piece.kind for piece in find.node.pieces if piece.kind in FLOATS]
            if floats:
                return mistakes.FloatAsText(span=span, conversion=floats[0])
            return mistakes.HistogramAsText(span=span)
        case code.Call(name=name):
            row = builtins[name, len(find.node.arguments)]
            if in_kernel and not row.kernel:
                return mistakes.BuiltinNotInKernel(span=span, name=name, advice=row.advice, inner=inner)
            if not half.is_process and row.process_only:
                return mistakes.OutsideProcessProbe(span=span, what=name, probe=probe.name, inner=inner)
        case code.Foreach() if in_kernel:
            array = program.variables[find.node.variable].name
            limited = find.node.order is None
            return mistakes.SortedForeachInProbe(span=span, array=array, limited=limited, inner=inner)
        case code.ForeachBucket() if in_kernel:
            array = program.variables[find.node.histogram.variable].name
            limited = not find.node.descending
            return mistakes.SortedForeachInProbe(span=span, array=array, limited=limited, inner=inner)
        case _:
            pass
    return None
