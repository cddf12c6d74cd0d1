"""Types of statements: what a condition, a key or a returned value must be, and where a statement may stand."""

from __future__ import annotations

from typing import assert_never

from probelang import syntax
from probelang.artifact.code import Type
from probelang.check import mistakes
from probelang.check.cells import Cell, root, settle, type_in, unify
from probelang.check.constants import live_arms
from probelang.check.forms import blamed, only_computes
from probelang.check.infer import (
    Inference,
    expect,
    find_array,
    find_variable,
    infer,
    infer_assign,
    infer_call,
    infer_element,
    infer_histogram,
    infer_keys,
    infer_place,
    infer_step,
    mismatch,
    use_with_arity,
)
from probelang.check.scope import Body, GlobalUse, LocalUse

_SORT_OPERATORS = ("count", "sum", "min", "max", "avg")


def infer_statement(run: Inference, body: Body, node: syntax.Statement, loops: int = 0) -> None:
    """`loops`: how many loops are around the statement."""
    match node:
        case syntax.Block():
            for inner in node.statements:
                infer_statement(run, body, inner, loops)
        case syntax.ExpressionStatement():
            infer_effect(run, body, node.value)
        case syntax.If():
            expect(run, body, node.condition, Type.LONG)
            first, second = live_arms(node, body, run.scope)
            if first:
                infer_statement(run, body, node.then, loops)
            if second and node.otherwise is not None:
                infer_statement(run, body, node.otherwise, loops)
        case syntax.While():
            expect(run, body, node.condition, Type.LONG)
            infer_statement(run, body, node.body, loops + 1)
        case syntax.For():
            _infer_for(run, body, node, loops)
        case syntax.Foreach():
            _infer_foreach(run, body, node, loops)
        case syntax.Return():
            _infer_return(run, body, node)
        case syntax.Break() | syntax.Continue():
            if not loops:
                word = "break" if isinstance(node, syntax.Break) else "continue"
                run.report(mistakes.OutsideLoop(span=node.span, word=word))
        case syntax.Delete():
            _infer_delete(run, body, node)
        case syntax.Try():
            infer_statement(run, body, node.body, loops)
            if node.variable is not None:
                _set(run, body, node.variable, Cell(Type.STRING, node.variable.span))
            infer_statement(run, body, node.handler, loops)
        case syntax.Empty() | syntax.Next():
            pass
        case _:
            assert_never(node)


def infer_effect(run: Inference, body: Body, node: syntax.Expression) -> None:
    """An expression whose value is not used."""
    match node:
        case syntax.Assign():
            infer_assign(run, body, node, statement=True)
        case syntax.Increment():
            infer_step(run, body, node, statement=True)
        case syntax.Call():
            infer_call(run, body, node, statement=True)
        case _ if run.scope.elide and only_computes(node):
            # dropped, so what it reads counts as read for nobody
            run.receiver = LocalUse("", node.span)
            infer(run, body, node)
            run.receiver = None
        case _:
            infer(run, body, node)


def _infer_for(run: Inference, body: Body, node: syntax.For, loops: int) -> None:
    if node.init is not None:
        infer_effect(run, body, node.init)
    if node.condition is not None:
        expect(run, body, node.condition, Type.LONG)
    infer_statement(run, body, node.body, loops + 1)
    if node.step is not None:
        infer_effect(run, body, node.step)


def _set(run: Inference, body: Body, name: syntax.Name, value: Cell) -> None:
    """Something other than an assignment gives the variable a value of this type."""
    use = find_variable(run, body, name)
    if isinstance(use, GlobalUse) and not use_with_arity(run, use, 0, name.span):
        return
    use.written = True
    if isinstance(use, LocalUse):
        use.bound = True
    if not unify(use.value, value, name.span):
        mismatch(run, name, use.value, root(value).type or Type.LONG)


def _infer_foreach(run: Inference, body: Body, node: syntax.Foreach, loops: int) -> None:
    match node.target:
        case syntax.Histogram() | syntax.Index(base=syntax.Histogram()):
            _infer_buckets(run, body, node)
        case syntax.Name() | syntax.Index(base=syntax.Name()):
            _infer_array_loop(run, body, node)
        case _:
            run.report(mistakes.BadOperand(span=node.target.span, what="`foreach`", needed="an array"))
    _check_sort_count(run, node)
    if node.limit is not None:
        expect(run, body, node.limit, Type.LONG)
    infer_statement(run, body, node.body, loops + 1)


def _infer_buckets(run: Inference, body: Body, node: syntax.Foreach) -> None:
    if isinstance(node.target, syntax.Histogram):
        infer_histogram(run, body, node.target)
    if len(node.keys) != 1 or node.slice is not None:
        needed = "exactly one variable, the bucket's number"
        run.report(mistakes.BadOperand(span=node.span, what="`foreach` over a histogram", needed=needed))
    if node.sort_op or node.sort or node.value_sort:
        run.report(mistakes.BadSort(span=node.span, reason="buckets are sorted by their number only"))
    for name in (*node.keys, *([node.value] if node.value else [])):
        _set(run, body, name, Cell(Type.LONG, name.span))


def array_of(node: syntax.Foreach) -> syntax.Name | None:
    target = node.target.base if isinstance(node.target, syntax.Index) else node.target
    return target if isinstance(target, syntax.Name) else None


def slice_of(node: syntax.Foreach) -> tuple[syntax.Expression | None, ...] | None:
    return node.target.indexes if isinstance(node.target, syntax.Index) else node.slice


def _infer_array_loop(run: Inference, body: Body, node: syntax.Foreach) -> None:
    name = array_of(node)
    assert name is not None
    use = find_array(run, body, name, len(node.keys))
    given = slice_of(node)
    if use is None:
        for key in node.keys:
            _set(run, body, key, Cell(doubtful=True))
    else:
        use.read = True
        for key, cell in zip(node.keys, use.keys, strict=True):
            _set(run, body, key, cell)
        if given is not None and len(given) != len(node.keys):
            run.report(
                mistakes.InconsistentArity(
                    span=name.span,
                    name=use.name,
                    arity=len(given),
                    known=len(node.keys),
                    origin=use.arity_origin,
                )
            )
            use = None
    if given is not None:
        infer_keys(run, body, use, given, None)
    if use is not None:
        _infer_value(run, body, node, use)
        _infer_sort(run, node, use)


def _infer_value(run: Inference, body: Body, node: syntax.Foreach, use: GlobalUse) -> None:
    if node.value is None:
        return
    if type_in(use.value) is Type.STATS:
        run.report(mistakes.StatsAsValue(span=node.value.span, name=use.name))
        _set(run, body, node.value, Cell(doubtful=True))
    else:
        _set(run, body, node.value, use.value)


def _infer_sort(run: Inference, node: syntax.Foreach, use: GlobalUse) -> None:
    if type_in(use.value) is Type.STATS and node.sort:
        use.operators.add(node.sort_op or "count")
    elif node.sort_op:
        run.report(mistakes.BadSort(span=node.span, reason=f"`{use.name}` holds no aggregates"))
    if node.sort_op and node.sort_op not in _SORT_OPERATORS:
        run.report(mistakes.BadSort(span=node.span, reason=f"`@{node.sort_op}` is no order"))


def _check_sort_count(run: Inference, node: syntax.Foreach) -> None:
    if sum(bool(s) for s in (*node.key_sorts, node.value_sort, node.sort)) > 1:
        run.report(mistakes.BadSort(span=node.span, reason="only one `+` or `-` is possible"))


def _infer_return(run: Inference, body: Body, node: syntax.Return) -> None:
    function = body.function
    if function is None:
        if node.value is not None:
            infer(run, body, node.value)
        run.report(mistakes.ReturnOutsideFunction(span=node.span))
    elif node.value is not None:
        value = infer(run, body, node.value)
        if not unify(function.result, value, blamed(node.value)):
            mismatch(run, node.value, value, root(function.result).type or Type.LONG)


def _infer_delete(run: Inference, body: Body, node: syntax.Delete) -> None:
    target = node.target
    match target:
        case syntax.Name():
            use = find_variable(run, body, target)
            use.written = True
            if isinstance(use, GlobalUse):
                # `delete a` takes scalars and arrays alike, so it says nothing about the arity
                use.first_use = use.first_use or target.span
        case syntax.Index(base=syntax.Name()):
            array = infer_element(run, body, target, wildcards=True)
            if array is not None:
                array.written = True
        case syntax.TargetVariable() | syntax.Member() | syntax.AtOperator() | syntax.Index():
            infer_place(run, body, target, read=False)
        case _:
            infer(run, body, target)
            run.report(mistakes.NotAssignable(span=blamed(target), what="what `delete` names"))


def infer_declared(run: Inference, body: Body) -> None:
    """The types that a function's header gives."""
    function = body.function
    assert function is not None
    declaration = function.declared.declaration
    if declaration.result is not None:
        settle(function.result, Type(declaration.result), declaration.name_span)
    for parameter, use in zip(declaration.parameters, function.parameters, strict=True):
        if parameter.type is not None:
            settle(use.value, Type(parameter.type), parameter.span)
