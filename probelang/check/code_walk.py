"""The parts of typed code, for the checks that look at it as a whole.

list(inside(Evaluate(Step(Scalar(0), 1, ...))))  ->  [Evaluate(..), Step(..), Scalar(0)]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias, assert_never

from probelang.artifact import code

Node: TypeAlias = code.Expr | code.Stmt | code.Histogram


def inside(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of evaluation as far as that is fixed."""
    work = [node]
    while work:
        node = work.pop()
        yield node
        work += reversed(parts(node))


def _given(nodes: Sequence[Node | None]) -> tuple[Node, ...]:
    return tuple(n for n in nodes if n is not None)


def parts(node: Node) -> tuple[Node, ...]:
    match node:
        case code.Local() | code.Number() | code.Text() | code.Scalar():
            return ()
        case code.Evaluate():
            return (node.value,)
        case code.Binary() | code.Compare() | code.Logical():
            return (node.left, node.right)
        case code.Block():
            return node.body
        case code.Assign() | code.Accumulate():
            return (node.target, node.value)
        case code.Element():
            return node.index
        case code.Contains() | code.Extract() | code.Histogram() | code.Delete():
            return _given(node.index or ())
        case code.Unary():
            return (node.operand,)
        case code.Choose():
            return (node.condition, node.then, node.otherwise)
        case code.Concat():
            return node.parts
        case code.Matches():
            return (node.subject,)
        case code.Step():
            return (node.target,)
        case code.Invoke() | code.Call() | code.Format() | code.Print():
            return node.arguments
        case code.BucketCount():
            return (node.histogram, node.bucket)
        case code.Next() | code.Break() | code.Continue():
            return ()
        case code.Return():
            return _given((node.value,))
        case code.If():
            return _given((node.condition, node.then, node.otherwise))
        case code.Loop():
            return _given((node.condition, node.body, node.step))
        case code.Foreach():
            return _given((*(node.slice or ()), node.limit, *node.keys, node.value, node.body))
        case code.ForeachBucket():
            return _given((node.histogram, node.limit, node.bucket, node.body))
        case code.Try():
            return _given((node.body, node.variable, node.handler))
        case _:
            assert_never(node)


def roots(handler: code.Handler) -> tuple[Node, ...]:
    """All code of a handler."""
    return _given((handler.armed, handler.when, handler.body))
