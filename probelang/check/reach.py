"""Which functions run, on behalf of which probes, and which globals are aggregates.

    function f() { g() } function h() {} probe begin { f() }   ->  f and g are reached, h is not

Unreached functions are not inferred and get no code. A function may use the `$names` that all probes which reach it have.
That a global is an aggregate is settled here, before inference, so that it does not matter where `<<<` stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang import syntax
from probelang.artifact.code import Type
from probelang.check.cells import settle
from probelang.check.constants import live_parts
from probelang.check.scope import Body, FunctionUse, Scope, Targets
from probelang.check.walk import Code


def reach(scope: Scope, roots: Sequence[tuple[Body, Code]]) -> None:
    """Sets `reached` and `targets` of functions, and the type of aggregates."""
    work = list(roots)
    while work:
        body, code = work.pop()
        pending = [code]
        while pending:
            node = pending.pop()
            pending += live_parts(node, body, scope)
            _mark_aggregate(node, body, scope)
            if isinstance(node, syntax.Call):
                chain = scope.find_functions(node.name, len(node.arguments), body)
                work += [_code_of(scope, f) for f in chain if _arrive(f, body.targets)]


def _code_of(scope: Scope, function: FunctionUse) -> tuple[Body, Code]:
    body, block = body_of(function), function.declared.declaration.body
    from probelang.check.sites import has_floats, names_target

    if (body.targets.types is not None and names_target(block)) or has_floats(block):
        from probelang.check.objects import note_function_types

        note_function_types(scope, function)
    return body, block


def body_of(function: FunctionUse) -> Body:
    targets = function.targets or Targets(in_process=False)
    declared = function.declared
    return Body(declared.file, targets, function.locals, function, ctypes=function.ctypes)


def _arrive(function: FunctionUse, targets: Targets) -> bool:
    """Whether this is news, so that the function must be looked at (again)."""
    before, is_first = function.targets, not function.reached
    function.reached = True
    function.targets = targets if before is None else before.meet(targets)
    return is_first or before is None or before.names != function.targets.names


def _mark_aggregate(node: Code, body: Body, scope: Scope) -> None:
    match node:
        case syntax.Assign(op="<<<") | syntax.Statistic() | syntax.Histogram():
            target = node.target.base if isinstance(node.target, syntax.Index) else node.target
        case _:
            return
    if isinstance(target, syntax.Name) and target.name not in body.locals:
        use = scope.find_global(target.name, body.file)
        if use is not None:
            settle(use.value, Type.STATS, target.span)
