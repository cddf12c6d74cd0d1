"""What an expression is called in messages, and what its form alone says about it.

blamed(Binary("+", a, b))  ->  the span of `+`;     describe(Call("f"))  ->  "the call of `f`"
"""

from __future__ import annotations

from probelang import syntax
from probelang.artifact.code import HistogramShape
from probelang.check.scope import Body
from probelang.check.walk import Code, everything
from probelang.source import Span

_LINEAR_BUCKET_LIMIT = 4096
_ONLY_COMPUTING = (
    syntax.Number, syntax.Float, syntax.String, syntax.Name, syntax.Binary, syntax.Unary, syntax.Conditional, syntax.Index,
    syntax.RegexMatch,
)  # fmt: skip


def blamed(node: syntax.Expression) -> Span:
    """The token that stands for an expression in a message."""
    match node:
        case syntax.Binary() | syntax.Assign() | syntax.RegexMatch() | syntax.Increment():
            return node.op_span
        case syntax.Call():
            return node.name_span
        case syntax.Index():
            return node.base.span
        case _:
            return node.span


def declared_name(node: syntax.Expression) -> str:
    """The name of a thing that has a type of its own, or an empty string."""
    match node:
        case syntax.Name() | syntax.Call():
            return node.name
        case syntax.Index(base=syntax.Name(name=name)):
            return name
        case _:
            return ""


def describe(node: syntax.Expression) -> str:
    match node:
        case syntax.Call():
            return f"the call of `{node.name}`"
        case syntax.Number() | syntax.String() | syntax.Float():
            return "a literal"
        case syntax.Index(base=syntax.Histogram()):
            return "a bucket of a histogram"
        case _:
            return "an expression"


def has_ctype(body: Body, node: syntax.Expression) -> bool:
    """Whether an expression may have a C type, by its form."""
    match node:
        case syntax.Name(name=name):
            return name in body.ctypes
        case syntax.TargetVariable(special=special):
            return not special
        case syntax.Member() | syntax.AtOperator() | syntax.Float():
            return True
        case syntax.Binary(op=".", left=left):
            return has_ctype(body, left)
        case syntax.Index(base=base):
            return has_ctype(body, base)
        case syntax.Assign(op="=", target=target) if not isinstance(target, syntax.Name):
            return has_ctype(body, target)
        case syntax.Conditional():
            return has_ctype(body, node.then) or has_ctype(body, node.otherwise)
        case syntax.Call():
            return body.targets.types is not None
        case _:
            return False


def only_computes(node: syntax.Expression) -> bool:
    """Whether dropping the expression drops nothing but its value: no effect and no soft error."""
    return all(isinstance(inner, _ONLY_COMPUTING) and not _may_fail(inner) for inner in everything(node))


def _may_fail(node: Code) -> bool:
    """A division, unless by a literal: someone may wait for its error in a `catch`."""
    if not isinstance(node, syntax.Binary) or node.op not in ("/", "%"):
        return False
    return not (isinstance(node.right, syntax.Number) and node.right.value)


def histogram_shape(node: syntax.Histogram) -> HistogramShape | str:
    """The shape, or what is wrong with its parameters."""
    if node.op == "hist_log":
        return HistogramShape("log") if not node.parameters else "it takes only the aggregate"
    if len(node.parameters) != 3:
        return "it takes low, high and step"
    low, high, step = node.parameters
    if low >= high:
        return "low must be less than high"
    if step <= 0:
        return "the step must be positive"
    if (high - low) // step > _LINEAR_BUCKET_LIMIT:
        return f"more than {_LINEAR_BUCKET_LIMIT} buckets"
    return HistogramShape("linear", low, high, step)
