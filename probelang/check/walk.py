"""The parts of a syntax node, for passes that look at everything.

list(parts(Binary("+", a, b)))  ->  [a, b]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, assert_never

from probelang import syntax

Code: TypeAlias = syntax.Expression | syntax.Statement


def parts(node: Code) -> tuple[Code, ...]:
    """The expressions and statements directly inside, in source order."""
    # the commonest first: this runs for every node several times
    match node:
        case syntax.Name() | syntax.Number() | syntax.String() | syntax.Float():
            return ()
        case syntax.Binary():
            return (node.left, node.right)
        case syntax.AtOperator() | syntax.Call() | syntax.Print():
            return node.arguments
        case syntax.ExpressionStatement():
            return (node.value,)
        case syntax.Assign():
            return (node.target, node.value)
        case syntax.Block():
            return node.statements
        case syntax.Index():
            return (node.base, *_given(node.indexes))
        case syntax.If():
            return _given((node.condition, node.then, node.otherwise))
        case syntax.Increment() | syntax.Statistic() | syntax.Histogram() | syntax.Delete():
            return (node.target,)
        case syntax.Return():
            return _given((node.value,))
        case _:
            return _parts_of_rarer(node)


_Rarer: TypeAlias = (
    syntax.TargetVariable | syntax.Member | syntax.Pretty | syntax.AddressOf | syntax.Unary | syntax.RegexMatch
    | syntax.Membership | syntax.Conditional | syntax.Empty | syntax.While | syntax.For | syntax.Foreach | syntax.Next
    | syntax.Break | syntax.Continue | syntax.Try | syntax.CodeTest
)  # fmt: skip


def _parts_of_rarer(node: _Rarer) -> tuple[Code, ...]:
    match node:
        case syntax.TargetVariable() | syntax.Empty() | syntax.Next() | syntax.Break() | syntax.Continue():
            return ()
        case syntax.CodeTest():
            return ()
        case syntax.Foreach():
            return _given((*node.keys, node.value, node.target, *(node.slice or ()), node.limit, node.body))
        case syntax.Member() | syntax.Pretty():
            return (node.base,)
        case syntax.AddressOf() | syntax.Unary():
            return (node.operand,)
        case syntax.RegexMatch():
            return (node.subject,)
        case syntax.Membership():
            return (*_given(node.indexes), node.array)
        case syntax.Conditional():
            return (node.condition, node.then, node.otherwise)
        case syntax.While():
            return (node.condition, node.body)
        case syntax.For():
            return _given((node.init, node.condition, node.step, node.body))
        case syntax.Try():
            return _given((node.body, node.variable, node.handler))
        case _:
            assert_never(node)


def _given(nodes: tuple[Code | None, ...]) -> tuple[Code, ...]:
    return tuple(n for n in nodes if n is not None)


def everything(node: Code) -> Iterator[Code]:
    """The node and all below it, without recursion."""
    work = [node]
    while work:
        node = work.pop()
        yield node
        work += reversed(parts(node))
