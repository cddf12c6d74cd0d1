"""What only one half can do: refused in the other, also when a called function does it.

probe process("P").function("f") { foreach (k in a-) println(k) }   ->  SortedForeachInProbe
function top() { foreach (k in a-) println(k) }  probe process(..)... { top() }   ->  the same, at the call
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from probelang import typed
from probelang.artifact import code
from probelang.artifact.points import runs_in_kernel
from probelang.builtins import Builtin
from probelang.check.code_walk import Node, inside, roots
from probelang.diag import Diagnostic
from probelang.diag.types import BuiltinNotInKernel, OutsideProcessProbe, SortedForeachInProbe
from probelang.source import Span


@dataclass(frozen=True, slots=True)
class _Find:
    """A node that only one half can run. `at`: of the node itself, or of the call that leads to it."""

    node: code.Foreach | code.ForeachBucket | code.Call
    at: int
    origin: int


def check_halves(program: typed.Program, builtins: Mapping[tuple[str, int], Builtin]) -> list[Diagnostic]:
    known = [tuple(_direct(function.body, builtins)) for function in program.functions]
    found: list[Diagnostic] = []
    for probe in program.probes:
        in_kernel = runs_in_kernel(probe.point)
        for find in _finds(program, probe.handler, builtins, known):
            mistake = _judge(program, probe, find, in_kernel, builtins)
            if mistake is not None:
                found.append(mistake)
    return found


def _direct(root: Node, builtins: Mapping[tuple[str, int], Builtin]) -> Iterator[_Find]:
    """What stands in this code itself."""
    for node in inside(root):
        match node:
            case code.Foreach() if node.order is not None or node.limit is not None:
                yield _Find(node, node.at, node.at)
            case code.ForeachBucket() if node.descending or node.limit is not None:
                yield _Find(node, node.at, node.at)
            case code.Call():
                row = builtins.get((node.name, len(node.arguments)))
                if row is not None and (row.process_only or not row.kernel):
                    yield _Find(node, node.at, node.at)
            case _:
                pass


def _finds(
    program: typed.Program,
    handler: code.Handler,
    builtins: Mapping[tuple[str, int], Builtin],
    known: list[tuple[_Find, ...]],
) -> Iterator[_Find]:
    for root in roots(handler):
        yield from _direct(root, builtins)
        for node in inside(root):
            if isinstance(node, code.Invoke):
                for called in _closure(program, node.chain):
                    yield from (_Find(find.node, node.at, find.at) for find in known[called])


def _closure(program: typed.Program, chain: tuple[int, ...]) -> list[int]:
    """The functions that these call, and they."""
    seen = list(dict.fromkeys(chain))
    for number in seen:
        for node in inside(program.functions[number].body):
            if isinstance(node, code.Invoke):
                seen += [called for called in dict.fromkeys(node.chain) if called not in seen]
    return seen


def _judge(
    program: typed.Program,
    probe: typed.Probe,
    find: _Find,
    in_kernel: bool,
    builtins: Mapping[tuple[str, int], Builtin],
) -> Diagnostic | None:
    span: Span = program.spans[find.at]
    inner = None if find.origin == find.at else program.spans[find.origin]
    match find.node:
        case code.Call(name=name):
            row = builtins[name, len(find.node.arguments)]
            if in_kernel and not row.kernel:
                return BuiltinNotInKernel(span=span, name=name, advice=row.advice, inner=inner)
            if not in_kernel and row.process_only:
                return OutsideProcessProbe(span=span, what=name, probe=probe.name, inner=inner)
        case code.Foreach() if in_kernel:
            array = program.variables[find.node.variable].name
            limited = find.node.order is None
            return SortedForeachInProbe(span=span, array=array, limited=limited, inner=inner)
        case code.ForeachBucket() if in_kernel:
            array = program.variables[find.node.histogram.variable].name
            limited = not find.node.descending
            return SortedForeachInProbe(span=span, array=array, limited=limited, inner=inner)
        case _:
            pass
    return None
