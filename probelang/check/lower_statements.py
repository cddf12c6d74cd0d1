"""From inferred statements to typed code.

foreach (k in a- limit 3) n++   ->  Foreach((Local(0),), None, 0, None, Order("value", True), Number(3), ...)
"""

from __future__ import annotations

from typing import Literal, assert_never, cast

from probelang import syntax
from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.check.cells import type_in
from probelang.check.constants import live_arms
from probelang.check.forms import blamed, only_computes
from probelang.check.infer_statements import array_of, slice_of
from probelang.check.lower import (
    Lowering,
    find,
    find_array,
    lower,
    lower_any,
    lower_histogram,
    lower_keys,
    lower_place,
    value_type,
)
from probelang.check.scope import Body, GlobalUse, LocalUse
from probelang.source import Span

_NO_STATEMENT = code.Block(())
_OrderBy = int | Literal["value", "count", "sum", "min", "max", "avg"]


def lower_statement(low: Lowering, body: Body, node: syntax.Statement) -> code.Stmt:
    match node:
        case syntax.Block():
            inner = [lower_statement(low, body, s) for s in node.statements]
            return code.Block(tuple([s for s in inner if s != _NO_STATEMENT]))
        case syntax.ExpressionStatement():
            return _lower_effect(low, body, node.value)
        case syntax.If():
            return _lower_if(low, body, node)
        case syntax.While():
            condition = lower(low, body, node.condition)
            return code.Loop(condition, None, lower_statement(low, body, node.body), low.at(_word(node)))
        case syntax.For():
            return _lower_for(low, body, node)
        case syntax.Foreach():
            return _lower_foreach(low, body, node)
        case syntax.Return():
            return _lower_return(low, body, node)
        case syntax.Next():
            return code.Next(low.at(node.span))
        case syntax.Break():
            return code.Break()
        case syntax.Continue():
            return code.Continue()
        case syntax.Delete():
            return _lower_delete(low, body, node)
        case syntax.Try():
            guarded = lower_statement(low, body, node.body)
            variable = None if node.variable is None else _variable(low, body, node.variable)
            return code.Try(guarded, variable, lower_statement(low, body, node.handler))
        case syntax.Empty():
            return _NO_STATEMENT
        case _:
            assert_never(node)


def _word(node: syntax.While | syntax.For | syntax.Foreach) -> Span:
    """The keyword of a loop stands for it in messages."""
    length = {syntax.While: 5, syntax.For: 3, syntax.Foreach: 7}[type(node)]
    return Span(node.span.source, node.span.start, node.span.start + length)


def _lower_effect(low: Lowering, body: Body, node: syntax.Expression) -> code.Stmt:
    match node:
        case syntax.Increment(target=syntax.Name() as name) if low.dropped(find(low, body, name)):
            return _NO_STATEMENT
        case syntax.Assign(target=syntax.Name() as name) if low.dropped(find(low, body, name)):
            return _NO_STATEMENT if only_computes(node.value) else _lower_effect(low, body, node.value)
        case _:
            pass
    if low.elide and only_computes(node):
        return _NO_STATEMENT
    return code.Evaluate(lower_any(low, body, node))


def _lower_if(low: Lowering, body: Body, node: syntax.If) -> code.Stmt:
    first, second = live_arms(node, body, low.run.scope)
    if not first:
        return _NO_STATEMENT if node.otherwise is None else lower_statement(low, body, node.otherwise)
    if not second:
        return lower_statement(low, body, node.then)
    condition, then = lower(low, body, node.condition), lower_statement(low, body, node.then)
    otherwise = None if node.otherwise is None else lower_statement(low, body, node.otherwise)
    return code.If(condition, then, otherwise)


def _lower_for(low: Lowering, body: Body, node: syntax.For) -> code.Stmt:
    init = _NO_STATEMENT if node.init is None else _lower_effect(low, body, node.init)
    condition = None if node.condition is None else lower(low, body, node.condition)
    inner = lower_statement(low, body, node.body)
    step = None if node.step is None else _lower_effect(low, body, node.step)
    value = step.value if isinstance(step, code.Evaluate) else None
    loop = code.Loop(condition, value, inner, low.at(_word(node)))
    return loop if init == _NO_STATEMENT else code.Block((init, loop))


def _lower_return(low: Lowering, body: Body, node: syntax.Return) -> code.Stmt:
    """Without a value, the function's is 0 or empty; a value without type, that of a call to itself, is none."""
    result = None if body.function is None else type_in(body.function.result)
    if node.value is None:
        return code.Return(None if result is None else _empty(result))
    if result is None:
        return code.Block((code.Evaluate(lower_any(low, body, node.value)), code.Return(None)))
    if body.targets.types is not None and body.function is not None:
        from probelang.check import lower_target

        if lower_target.returns_floating(low, body, body.function):
            ctype = lower_target.ctype_of(low, body, node.value)
            return code.Return(lower_target.as_double(low, body, node.value, ctype))
    return code.Return(lower(low, body, node.value))


def _empty(kind: Type) -> code.Expr:
    return code.Text(b"") if kind is Type.STRING else code.Number(0)


# ------------------------------------------------------------------------------------------- foreach and delete


def _variable(low: Lowering, body: Body, name: syntax.Name) -> code.Local | code.Scalar:
    place = lower_place(low, body, name)
    return place if isinstance(place, code.Local | code.Scalar) else code.Local(0, Type.LONG)


def _lower_foreach(low: Lowering, body: Body, node: syntax.Foreach) -> code.Stmt:
    if isinstance(node.target, syntax.Histogram):
        return _lower_bucket_loop(low, body, node, node.target)
    name = array_of(node)
    array = None if name is None else find_array(low, body, name)
    limit = None if node.limit is None else lower(low, body, node.limit)
    if name is None or array is None:
        lower_statement(low, body, node.body)
        return _NO_STATEMENT
    given = slice_of(node)
    return code.Foreach(
        tuple([_variable(low, body, k) for k in node.keys]),
        None if node.value is None else _variable(low, body, node.value),
        low.variables[array],
        None if given is None else lower_keys(low, body, given),
        _order(node, array),
        limit,
        lower_statement(low, body, node.body),
        low.at(name.span),
    )


def _order(node: syntax.Foreach, array: GlobalUse) -> code.Order | None:
    for number, direction in enumerate(node.key_sorts):
        if direction:
            return code.Order(number, direction == "-")
    if node.value_sort:
        return code.Order("value", node.value_sort == "-")
    if not node.sort:
        return None
    by = (node.sort_op or "count") if type_in(array.value) is Type.STATS else "value"
    return code.Order(cast(_OrderBy, by), node.sort == "-")


def _lower_bucket_loop(
    low: Lowering, body: Body, node: syntax.Foreach, target: syntax.Histogram
) -> code.Stmt:
    histogram = lower_histogram(low, body, target)
    limit = None if node.limit is None else lower(low, body, node.limit)
    inner = lower_statement(low, body, node.body)
    if histogram is None:
        return _NO_STATEMENT
    bucket = _variable(low, body, node.keys[0])
    if node.value is not None:
        inner = code.Block((_count_of(low, body, node.value, histogram, bucket), inner))
    descending = node.key_sorts[:1] == ("-",)
    return code.ForeachBucket(bucket, histogram, limit, descending, inner, low.at(_word(node)))


def _count_of(
    low: Lowering, body: Body, name: syntax.Name, histogram: code.Histogram, bucket: code.Local | code.Scalar
) -> code.Stmt:
    """`v` of `foreach (v = b in @hist_log(s))`."""
    value = code.BucketCount(histogram, bucket, low.at(name.span))
    place = _variable(low, body, name)
    return code.Evaluate(code.Assign(place, "=", value, Type.LONG, low.at(name.span)))


def _lower_delete(low: Lowering, body: Body, node: syntax.Delete) -> code.Stmt:
    match node.target:
        case syntax.Name() as name:
            use = find(low, body, name)
            if isinstance(use, LocalUse):
                return _reset(low, name, use)
            return _NO_STATEMENT if use not in low.variables else _delete(low, use, None, name)
        case syntax.Index(base=syntax.Name() as base):
            array = find_array(low, body, base)
            if array is None:
                return _NO_STATEMENT
            return _delete(low, array, lower_keys(low, body, node.target.indexes), base)
        case _:
            return _NO_STATEMENT


def _delete(
    low: Lowering, use: GlobalUse | None, index: tuple[code.Expr | None, ...] | None, name: syntax.Name
) -> code.Stmt:
    assert use is not None
    return code.Delete(low.variables[use], index, low.at(name.span))


def _reset(low: Lowering, name: syntax.Name, use: LocalUse) -> code.Stmt:
    """`delete` of a local sets it back to 0 or empty."""
    if low.dropped(use) or use.slot < 0:
        return _NO_STATEMENT
    kind = value_type(use)
    place = code.Local(use.slot, kind)
    return code.Evaluate(code.Assign(place, "=", _empty(kind), kind, low.at(blamed(name))))
