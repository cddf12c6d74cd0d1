"""The parts of a syntax node, for passes that look at everything.

list(parts(Binary("+", a, b)))  ->  [a, b]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, assert_never

from probelang import syntax

Code: TypeAlias = syntax.Expression | syntax.Statement

DEPTH_LIMIT = 250


def parts(node: Code) -> tuple[Code, ...]:
    """The expressions and statements directly inside, in source order."""
    match node:
        case (
            syntax.Number() | syntax.String() | syntax.Name() | syntax.TargetVariable() | syntax.Empty()
            | syntax.Next() | syntax.Break() | syntax.Continue()
        ):  # fmt: skip
            return ()
        case syntax.Block():
            return node.statements
        case syntax.Foreach():
            return _parts_of_foreach(node)
        case syntax.AtOperator() | syntax.Call() | syntax.Print():
            return node.arguments
        case syntax.Member() | syntax.Pretty():
            return (node.base,)
        case syntax.Index():
            return (node.base, *_given(node.indexes))
        case syntax.AddressOf() | syntax.Unary():
            return (node.operand,)
        case syntax.Binary():
            return (node.left, node.right)
        case syntax.RegexMatch():
            return (node.subject,)
        case syntax.Membership():
            return (*_given(node.indexes), node.array)
        case syntax.Conditional():
            return (node.condition, node.then, node.otherwise)
        case syntax.Assign():
            return (node.target, node.value)
        case syntax.Increment() | syntax.Statistic() | syntax.Histogram() | syntax.Delete():
            return (node.target,)
        case syntax.ExpressionStatement():
            return (node.value,)
        case syntax.If():
            return _given((node.condition, node.then, node.otherwise))
        case syntax.While():
            return (node.condition, node.body)
        case syntax.For():
            return _given((node.init, node.condition, node.step, node.body))
        case syntax.Return():
            return _given((node.value,))
        case syntax.Try():
            return _given((node.body, node.variable, node.handler))
        case _:
            assert_never(node)


def _given(nodes: tuple[Code | None, ...]) -> tuple[Code, ...]:
    return tuple(n for n in nodes if n is not None)


def _parts_of_foreach(node: syntax.Foreach) -> tuple[Code, ...]:
    return _given((*node.keys, node.value, node.target, *(node.slice or ()), node.limit, node.body))


def everything(node: Code) -> Iterator[Code]:
    """The node and all below it, without recursion."""
    work = [node]
    while work:
        node = work.pop()
        yield node
        work += reversed(parts(node))


def too_deep(node: Code) -> Code | None:
    """A node that is nested deeper than DEPTH_LIMIT, if any: later phases recurse, and so must we."""
    level: list[Code] = [node]
    for _ in range(DEPTH_LIMIT):
        level = [inner for outer in level for inner in parts(outer)]
        if not level:
            return None
    return level[0]
