"""What is known at compile time: `@defined`, `@probewrite`, and the branches that they switch off.

    if (@defined($x)) { a() } else { b() }     ->  only b() is checked where there is no `$x`

A condition that is a bare number counts too, unless elision is off. Other constant expressions are left alone.
"""

from __future__ import annotations

from probelang import syntax
from probelang.check.scope import Body, Scope
from probelang.check.walk import Code, everything, parts


def truth(condition: syntax.Expression, body: Body, scope: Scope) -> bool | None:
    """Whether the condition holds, where that is known before the script runs."""
    match condition:
        case syntax.Number() if scope.elide:
            return condition.value != 0
        case syntax.AtOperator(name="defined"):
            return all(is_defined(a, body, scope) for a in condition.arguments)
        case syntax.AtOperator(name="probewrite"):
            return all(_is_written(a, body) for a in condition.arguments)
        case syntax.Unary(op="!"):
            inner = truth(condition.operand, body, scope)
            return None if inner is None else not inner
        case syntax.Binary(op="&&" | "||"):
            return _truth_of_both(condition, body, scope)
        case _:
            return None


def _truth_of_both(condition: syntax.Binary, body: Body, scope: Scope) -> bool | None:
    """Short circuit: a left side that decides makes the right side dead."""
    deciding = condition.op == "||"
    left = truth(condition.left, body, scope)
    if left is None or left == deciding:
        return left
    return truth(condition.right, body, scope)


def live_arms(node: syntax.If | syntax.Conditional, body: Body, scope: Scope) -> tuple[bool, bool]:
    """Whether the first and the second branch can run."""
    known = truth(node.condition, body, scope)
    return known is not False, known is not True


def is_defined(operand: syntax.Expression, body: Body, scope: Scope) -> bool:
    """Whether everything of the probed program that the operand names is there."""
    if not isinstance(operand, syntax.Name | syntax.Call | syntax.Number | syntax.String):
        found = _can_be_read(operand, body, scope)
        if found is not None:
            return found
    for node in everything(operand):
        match node:
            case syntax.TargetVariable():
                if target_name(node) not in body.targets.names and not _can_be_read(node, body, scope):
                    return False
            case syntax.AtOperator() | syntax.Member() | syntax.AddressOf() | syntax.Pretty():
                if not _can_be_read(node, body, scope):
                    return False
            case syntax.Call():
                arity = len(node.arguments)
                known = (node.name, arity) in scope.builtins
                if not known and not scope.find_functions(node.name, arity, body):
                    return False
            case _:
                pass
    return True


def _can_be_read(node: syntax.Expression, body: Body, scope: Scope) -> bool | None:
    """None where that is not a question about the probed program."""
    if body.targets.types is None:
        return None
    from probelang.check.readable import is_readable

    return is_readable(node, body, scope)


def target_name(node: syntax.TargetVariable) -> str:
    return f"$${node.name}" if node.special else f"${node.name}"


def _is_written(operand: syntax.Expression, body: Body) -> bool:
    base = operand.base if isinstance(operand, syntax.Index) else operand
    return isinstance(base, syntax.Name | syntax.TargetVariable) and base.name in body.written_by_probe


def live_parts(node: Code, body: Body, scope: Scope) -> tuple[Code, ...]:
    """The parts of a node that can run; see `walk.parts`."""
    match node:
        case syntax.If() | syntax.Conditional():
            first, second = live_arms(node, body, scope)
            arms = ((node.then, first), (node.otherwise, second))
            return (node.condition, *(arm for arm, live in arms if live and arm is not None))
        case syntax.Binary(op="&&" | "||") if truth(node.left, body, scope) is (node.op == "||"):
            return (node.left,)
        case syntax.AtOperator(name="defined" | "probewrite"):
            return ()
        case _:
            return parts(node)
