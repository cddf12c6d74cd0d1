"""No `foreach` over an array whose body changes that array, not even through a called function.

foreach (k in a) { delete a[k] }                             ->  ModifiedDuringIteration
function f() { a[1] = 2 }  foreach (k in a) { f() }          ->  the same, at the call
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from probelang import typed
from probelang.artifact import code
from probelang.check import mistakes
from probelang.check.code_walk import Node, inside, roots
from probelang.diag import Diagnostic


def check_iteration(program: typed.Program) -> list[Diagnostic]:
    changes = _changes_of_functions(program.functions)
    found: list[Diagnostic] = []
    for node in _all_code(program):
        match node:
            case code.Foreach():
                found += _check_loop(program, node.variable, node.body, changes)
            case code.ForeachBucket():
                found += _check_loop(program, node.histogram.variable, node.body, changes)
            case _:
                pass
    return found


def _all_code(program: typed.Program) -> Iterator[Node]:
    for function in program.functions:
        yield from inside(function.body)
    for probe in program.probes:
        for node in (n for handler in probe.handlers for n in roots(handler)):
            yield from inside(node)


def _changed(node: Node) -> tuple[int, int] | None:
    """The variable that this node changes, and the place."""
    match node:
        case code.Assign() | code.Step() | code.Accumulate():
            if isinstance(node.target, code.Scalar | code.Element):
                return node.target.variable, node.at
        case code.Delete():
            return node.variable, node.at
        case _:
            pass
    return None


def _changes_of_functions(functions: Sequence[code.Function]) -> list[dict[int, int]]:
    """For each function: what it changes, itself or through calls, with a place where it does."""
    changes: list[dict[int, int]] = []
    calls: list[set[int]] = []
    for function in functions:
        nodes = list(inside(function.body))
        changes.append({c[0]: c[1] for n in reversed(nodes) if (c := _changed(n)) is not None})
        calls.append({called for n in nodes if isinstance(n, code.Invoke) for called in n.chain})
    settled = False
    while not settled:
        settled = True
        for number, called in enumerate(calls):
            for other in called:
                new = changes[other].keys() - changes[number].keys()
                changes[number].update({variable: changes[other][variable] for variable in new})
                settled = settled and not new
    return changes


def _check_loop(
    program: typed.Program, variable: int, body: Node, changes: list[dict[int, int]]
) -> Iterator[Diagnostic]:
    name = program.variables[variable].name
    for node in inside(body):
        changed = _changed(node)
        if changed is not None and changed[0] == variable:
            yield mistakes.ModifiedDuringIteration(span=program.spans[changed[1]], name=name)
        if isinstance(node, code.Invoke):
            for called in node.chain:
                if variable in changes[called]:
                    origin = program.spans[changes[called][variable]]
                    function = program.functions[called].name
                    yield mistakes.ModifiedDuringIteration(
                        span=program.spans[node.at], name=name, function=function, origin=origin
                    )
