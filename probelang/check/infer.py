"""Types of expressions, by unification.

    x = "a"; x++   ->  x is string by its first use; `++` wants long: TypeMismatch at the second x

Nothing is built here: `probelang.check.lower` walks the code again when all types are known. A mistake is reported where
the type that does not fit stands; an operand whose type is doubtful since is not reported again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from probelang import syntax
from probelang.artifact.code import Type
from probelang.artifact.formats import parse_format
from probelang.check import mistakes
from probelang.check.cells import LONG, STRING, Cell, root, settle, type_in, unify
from probelang.check.constants import live_arms, truth
from probelang.check.formats import argument_types
from probelang.check.forms import blamed, declared_name, describe, has_ctype, histogram_shape, only_computes
from probelang.check.scope import Body, FunctionUse, GlobalUse, LocalUse, Scope
from probelang.diag import Diagnostic
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.check.callers import CodeFinder

KEY_LIMIT = 9


@dataclass(slots=True, eq=False)
class Inference:
    """What inference works on. `found` are the mistakes so far; `receiver` is the local to which the expression at hand is
    assigned, when that is all that the expression does. `codes`: finds what `caller is X` asks about."""

    scope: Scope
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])
    receiver: LocalUse | None = None
    codes: Callable[[], CodeFinder] | None = None

    def note_read(self, use: GlobalUse | LocalUse) -> None:
        if self.receiver is not None:
            self.receiver.feeds.append(use)
        else:
            use.read = True

    def report(self, mistake: Diagnostic) -> None:
        self.found.append(mistake)


def mismatch(run: Inference, node: syntax.Expression, cell: Cell, expected: Type) -> None:
    cell = root(cell)
    if cell.doubtful or cell.type is None:
        return
    name = declared_name(node)
    if name and cell not in (LONG, STRING):
        cell.doubtful = True
    run.report(
        mistakes.TypeMismatch(
            span=blamed(node), expected=expected, found=cell.type, name=name, origin=cell.origin
        )
    )


def expect(run: Inference, body: Body, node: syntax.Expression, kind: Type) -> None:
    """The expression must be this type."""
    cell = infer(run, body, node)
    if not settle(cell, kind, blamed(node)):
        mismatch(run, node, cell, kind)


def agree(
    run: Inference, left: syntax.Expression, first: Cell, right: syntax.Expression, second: Cell
) -> None:
    """Both must have one type. Variables are blamed before literals, the left side before the right one."""
    if unify(first, second, blamed(right)):
        return
    if declared_name(right) and not declared_name(left):
        left, first, right, second = right, second, left, first
    if root(second).doubtful:
        return
    mismatch(run, left, first, root(second).type or Type.LONG)


def infer(run: Inference, body: Body, node: syntax.Expression) -> Cell:
    """The cell of an expression's type."""
    match node:
        case syntax.Number() | syntax.Float():
            return LONG
        case syntax.String():
            return STRING
        case syntax.Name():
            return infer_name(run, body, node)
        case syntax.Index() if is_target_index(run, body, node):
            return _infer_target(run, body, node)
        case syntax.Index():
            return infer_index(run, body, node)
        case syntax.Binary(op=".") if has_ctype(body, node) and is_dotted(run.scope, body, node):
            return _infer_target(run, body, node)
        case syntax.Binary():
            return infer_binary(run, body, node)
        case syntax.Call():
            return infer_call(run, body, node)
        case syntax.Assign():
            return infer_assign(run, body, node, statement=False)
        case syntax.Increment():
            return infer_step(run, body, node, statement=False)
        case syntax.Unary():
            expect(run, body, node.operand, Type.LONG)
            return LONG
        case syntax.Print():
            return infer_print(run, body, node)
        case syntax.Conditional():
            return infer_conditional(run, body, node)
        case syntax.RegexMatch():
            expect(run, body, node.subject, Type.STRING)
            return LONG
        case syntax.Membership():
            return infer_membership(run, body, node)
        case syntax.Statistic():
            return infer_statistic(run, body, node)
        case syntax.Histogram():
            infer_histogram(run, body, node)
            run.report(mistakes.HistogramMisplaced(span=node.span))
            return Cell(doubtful=True)
        case syntax.CodeTest():
            from probelang.check.callers import infer_test

            return infer_test(run, body, node)
        case (
            syntax.TargetVariable() | syntax.AtOperator() | syntax.Member() | syntax.Pretty() | syntax.AddressOf()
        ):  # fmt: skip
            return _infer_target(run, body, node)
        case _:
            assert_never(node)


def _infer_target(run: Inference, body: Body, node: syntax.Expression) -> Cell:
    # what reads debug information is imported by scripts that use it
    from probelang.check.infer_target import infer_target

    return infer_target(run, body, node)


def is_dotted(scope: Scope, body: Body, node: syntax.Binary) -> bool:
    """`$x->list[1].id`: a member, and no concatenation."""
    from probelang.check.objects import Asking, Walk

    return Walk(scope, body, Asking()).dotted(node) is not None


def is_target_index(run: Inference, body: Body, node: syntax.Index) -> bool:
    """An element of an array of the probed program, not of one of the script's."""
    match node.base:
        case syntax.Name(name=name):
            return name in body.ctypes and run.scope.find_global(name, body.file) is None
        case syntax.Histogram() | syntax.Number() | syntax.String():
            return False
        case _:
            return True


# ------------------------------------------------------------------------------------------------ variables


def find_local(body: Body, name: syntax.Name) -> LocalUse:
    use = body.locals.get(name.name)
    if use is None:
        use = body.locals[name.name] = LocalUse(name.name, name.span)
    return use


def find_variable(run: Inference, body: Body, name: syntax.Name) -> GlobalUse | LocalUse:
    """Parameters hide globals, globals hide (other) locals."""
    if body.function is not None and name.name in body.locals:
        use = body.locals[name.name]
        if use.bound and use in body.function.parameters:
            return use
    found = run.scope.find_global(name.name, body.file)
    return found if found is not None else find_local(body, name)


def use_with_arity(run: Inference, use: GlobalUse, arity: int, span: Span) -> bool:
    """Notes that a global is a scalar (0) or an array; False when it was used otherwise."""
    use.first_use = use.first_use or span
    if use.arity is None:
        if arity > KEY_LIMIT:
            run.report(mistakes.TooManyKeys(span=span, name=use.name, arity=arity))
        use.arity, use.arity_origin = arity, span
        use.keys = tuple(Cell() for _ in range(arity))
    if use.arity == arity:
        return True
    run.report(
        mistakes.InconsistentArity(
            span=span, name=use.name, arity=arity, known=use.arity, origin=use.arity_origin
        )
    )
    return False


def infer_name(run: Inference, body: Body, node: syntax.Name) -> Cell:
    use = find_variable(run, body, node)
    run.note_read(use)
    if isinstance(use, LocalUse):
        return use.value
    if not use_with_arity(run, use, 0, node.span):
        return Cell(doubtful=True)
    return _plain(run, use, node.span)


def _plain(run: Inference, use: GlobalUse, span: Span) -> Cell:
    """The value of a variable that must not be an aggregate."""
    if type_in(use.value) is Type.STATS:
        run.report(mistakes.StatsAsValue(span=span, name=use.name))
        return Cell(doubtful=True)
    return use.value


def find_array(run: Inference, body: Body, base: syntax.Name, arity: int) -> GlobalUse | None:
    """The array of this name; reports when there is none of this arity."""
    use = find_variable(run, body, base)
    if isinstance(use, LocalUse):
        if not use.read and not use.written:
            del body.locals[base.name]
        similar = run.scope.similar_globals(base.name)
        run.report(mistakes.UndeclaredArray(span=base.span, name=base.name, arity=arity, similar=similar))
        return None
    return use if use_with_arity(run, use, arity, base.span) else None


def infer_element(
    run: Inference, body: Body, node: syntax.Index, wildcards: bool = False
) -> GlobalUse | None:
    """The array of `a[i, j]`, its keys inferred; None when that is not an array element (reported)."""
    if isinstance(node.base, syntax.Number | syntax.String):
        run.report(mistakes.BadOperand(span=node.base.span, what="`[`", needed="an array before it"))
        return None
    if not isinstance(node.base, syntax.Name):
        _infer_target(run, body, node.base)
        return None
    use = find_array(run, body, node.base, len(node.indexes))
    infer_keys(run, body, use, node.indexes, None if wildcards else node.span)
    return use


def infer_keys(
    run: Inference,
    body: Body,
    use: GlobalUse | None,
    indexes: tuple[syntax.Expression | None, ...],
    no_wildcard_at: Span | None,
) -> None:
    for number, index in enumerate(indexes):
        if index is None:
            if no_wildcard_at is not None:
                run.report(mistakes.WildcardMisplaced(span=no_wildcard_at))
                if use is not None:
                    root(use.keys[number]).doubtful = True
            continue
        cell = infer(run, body, index)
        if use is not None:
            key = use.keys[number]
            if not unify(key, cell, blamed(index)):
                mismatch_key(run, index, cell, key)


def mismatch_key(run: Inference, index: syntax.Expression, cell: Cell, key: Cell) -> None:
    key, cell = root(key), root(cell)
    if cell.doubtful or cell.type is None or key.type is None:
        return
    run.report(
        mistakes.TypeMismatch(
            span=blamed(index),
            expected=key.type,
            found=cell.type,
            name=declared_name(index),
            origin=key.origin,
        )
    )


def infer_index(run: Inference, body: Body, node: syntax.Index) -> Cell:
    if isinstance(node.base, syntax.Histogram):
        infer_histogram(run, body, node.base)
        if len(node.indexes) != 1 or node.indexes[0] is None:
            run.report(mistakes.BadOperand(span=node.span, what="a histogram", needed="one bucket number"))
            return LONG
        expect(run, body, node.indexes[0], Type.LONG)
        return LONG
    use = infer_element(run, body, node)
    if use is None:
        return Cell(doubtful=True)
    run.note_read(use)
    return _plain(run, use, node.base.span)


# ------------------------------------------------------------------------------------------- left-hand sides


def infer_place(
    run: Inference, body: Body, node: syntax.Expression, read: bool, op: str = "="
) -> Cell | None:
    """The cell of what is assigned to; None when that is nothing to assign to (reported)."""
    if is_of_program(run, body, node):
        from probelang.check.changes import infer_change

        return LONG if infer_change(run, body, node, op) else None
    match node:
        case syntax.Name():
            variable = find_variable(run, body, node)
            if isinstance(variable, LocalUse) or use_with_arity(run, variable, 0, node.span):
                return _write(run, variable, node.span, read)
            return None
        case syntax.Index(base=syntax.Name()):
            array = infer_element(run, body, node)
            return None if array is None else _write(run, array, node.base.span, read)
        case _:
            infer(run, body, node)
            run.report(mistakes.NotAssignable(span=blamed(node), what=describe(node)))
            return None


def may_change(run: Inference, span: Span, what: str) -> bool:
    """Whether the script may change the probed program; told once if not."""
    if not run.scope.guru and not any(isinstance(mistake, mistakes.GuruOnly) for mistake in run.found):
        run.report(mistakes.GuruOnly(span=span, what=what))
    return run.scope.guru


def is_of_program(run: Inference, body: Body, node: syntax.Expression) -> bool:
    """Whether what is assigned to belongs to the probed program, and not to the script."""
    match node:
        case syntax.TargetVariable() | syntax.Member() | syntax.AtOperator():
            return True
        case syntax.Index(base=base):
            return not isinstance(base, syntax.Histogram) and is_target_index(run, body, node)
        case syntax.Binary(op="."):
            return has_ctype(body, node) and is_dotted(run.scope, body, node)
        case _:
            return False


def _write(run: Inference, use: GlobalUse | LocalUse, span: Span, read: bool) -> Cell:
    use.written = True
    use.read = use.read or read
    return _plain(run, use, span) if isinstance(use, GlobalUse) else use.value


def infer_assign(run: Inference, body: Body, node: syntax.Assign, statement: bool) -> Cell:
    """`statement`: the value is not used, so `+=` alone does not make the variable read."""
    if node.op == "<<<":
        return _infer_accumulate(run, body, node)
    if node.op != "=":
        kind = Type.STRING if node.op == ".=" else Type.LONG
        place = infer_place(run, body, node.target, not statement, node.op)
        if place is not None and not settle(place, kind, blamed(node.target)):
            mismatch(run, node.target, place, kind)
        expect(run, body, node.value, kind)
        return STRING if kind is Type.STRING else LONG
    place = infer_place(run, body, node.target, read=False)
    outer = run.receiver
    if run.scope.elide and statement and isinstance(node.target, syntax.Name) and only_computes(node.value):
        target = find_variable(run, body, node.target)
        run.receiver = target if isinstance(target, LocalUse) else None
    value = infer(run, body, node.value)
    run.receiver = outer
    if place is None:
        return value
    if place is LONG:  # of the program: the value is to blame
        if not settle(value, Type.LONG, blamed(node.value)):
            mismatch(run, node.value, value, Type.LONG)
        return LONG
    agree(run, node.target, place, node.value, value)
    return place


def _infer_accumulate(run: Inference, body: Body, node: syntax.Assign) -> Cell:
    use = infer_aggregate(run, body, node.target, "<<<")
    if use is not None:
        use.written = True
    expect(run, body, node.value, Type.LONG)
    return LONG


def infer_step(run: Inference, body: Body, node: syntax.Increment, statement: bool) -> Cell:
    place = infer_place(run, body, node.target, not statement, node.op)
    if place is not None and not settle(place, Type.LONG, blamed(node.target)):
        mismatch(run, node.target, place, Type.LONG)
    return LONG


# --------------------------------------------------------------------------------------------- aggregates


def infer_aggregate(run: Inference, body: Body, node: syntax.Expression, what: str) -> GlobalUse | None:
    """The global that `s` or `s[k]` names, which must be an aggregate."""
    match node:
        case syntax.Name():
            found = find_variable(run, body, node)
            if isinstance(found, LocalUse):
                if not found.read and not found.written:
                    del body.locals[node.name]
                run.report(mistakes.NotAggregate(span=node.span, what=what, name=node.name))
                return None
            use = found if use_with_arity(run, found, 0, node.span) else None
        case syntax.Index(base=syntax.Name()):
            use = infer_element(run, body, node)
        case _:
            run.report(mistakes.NotAggregate(span=node.span, what=what, name=""))
            return None
    if use is None or settle(use.value, Type.STATS, blamed(node)):
        return use
    value = root(use.value)
    if not value.doubtful:
        run.report(mistakes.NotAggregate(span=blamed(node), what=what, name=use.name, origin=value.origin))
        value.doubtful = True
    return None


def infer_statistic(run: Inference, body: Body, node: syntax.Statistic) -> Cell:
    use = infer_aggregate(run, body, node.target, f"@{node.op}")
    if use is not None:
        use.read = True
        use.operators.add(node.op)
    if node.op not in ("count", "sum", "min", "max", "avg", "variance"):
        run.report(mistakes.UnsupportedOperator(span=node.span, what=f"@{node.op}"))
    elif node.op == "variance":
        if len(node.parameters) > 1 or not all(0 <= p <= 62 for p in node.parameters):
            run.report(_bad(node, "the shift is one number from 0 to 62"))
    elif node.parameters:
        run.report(_bad(node, "it takes only the aggregate"))
    return LONG


def infer_histogram(run: Inference, body: Body, node: syntax.Histogram) -> None:
    use = infer_aggregate(run, body, node.target, f"@{node.op}")
    if use is not None:
        use.read = True
    shape = histogram_shape(node)
    if isinstance(shape, str):
        run.report(_bad(node, shape))
    elif use is not None and shape not in use.shapes:
        use.shapes.append(shape)


def _bad(node: syntax.Statistic | syntax.Histogram, reason: str) -> Diagnostic:
    return mistakes.BadParameters(span=node.span, operator=node.op, reason=reason)


# -------------------------------------------------------------------------------------------- other operators


def infer_binary(run: Inference, body: Body, node: syntax.Binary) -> Cell:
    match node.op:
        case "==" | "!=" | "<" | "<=" | ">" | ">=":
            first = infer(run, body, node.left)
            agree(run, node.left, first, node.right, infer(run, body, node.right))
            return LONG
        case ".":
            expect(run, body, node.left, Type.STRING)
            expect(run, body, node.right, Type.STRING)
            return STRING
        case _:
            expect(run, body, node.left, Type.LONG)
            dead = node.op in ("&&", "||") and truth(node.left, body, run.scope) is (node.op == "||")
            if not dead:
                expect(run, body, node.right, Type.LONG)
            return LONG


def infer_conditional(run: Inference, body: Body, node: syntax.Conditional) -> Cell:
    expect(run, body, node.condition, Type.LONG)
    first, second = live_arms(node, body, run.scope)
    if not (first and second):
        return infer(run, body, node.then if first else node.otherwise)
    then, otherwise = infer(run, body, node.then), infer(run, body, node.otherwise)
    agree(run, node.then, then, node.otherwise, otherwise)
    return then


def infer_membership(run: Inference, body: Body, node: syntax.Membership) -> Cell:
    if not isinstance(node.array, syntax.Name):
        run.report(mistakes.BadOperand(span=node.array.span, what="`in`", needed="an array on its right"))
        return LONG
    use = find_array(run, body, node.array, len(node.indexes))
    if use is not None:
        use.read = True
    infer_keys(run, body, use, node.indexes, None)
    return LONG


# ---------------------------------------------------------------------------------------- calls and printing


def infer_call(run: Inference, body: Body, node: syntax.Call, statement: bool = False) -> Cell:
    if node.name == "long" and len(node.arguments) == 1:
        expect(run, body, node.arguments[0], Type.LONG)
        return LONG
    chain = run.scope.find_functions(node.name, len(node.arguments), body)
    if chain:
        return _infer_chain(run, body, node, chain)
    builtin = run.scope.builtins.get((node.name, len(node.arguments)))
    if builtin is None:
        for argument in node.arguments:
            infer(run, body, argument)
        arities = run.scope.arities(node.name)
        similar = () if arities else run.scope.similar_functions(node.name)
        run.report(
            mistakes.UnknownFunction(
                span=node.name_span,
                name=node.name,
                arity=len(node.arguments),
                arities=arities,
                similar=similar,
            )
        )
        return Cell(doubtful=True)
    for argument, kind in zip(node.arguments, builtin.parameters, strict=True):
        expect(run, body, argument, kind)
    if builtin.rewritten:
        from probelang.check.callers import infer_caller

        return infer_caller(run, body, node)
    if builtin.guru:
        may_change(run, node.name_span, f"`{node.name}`")
    if builtin.result is Type.VOID:
        if not statement:
            run.report(mistakes.NoValue(span=node.name_span, name=node.name))
        return Cell(doubtful=True)
    return Cell(builtin.result, node.name_span)


def _infer_chain(run: Inference, body: Body, node: syntax.Call, chain: tuple[FunctionUse, ...]) -> Cell:
    cells = [infer(run, body, argument) for argument in node.arguments]
    for function in chain:
        for argument, cell, parameter in zip(node.arguments, cells, function.parameters, strict=True):
            if not unify(parameter.value, cell, blamed(argument)):
                mismatch_key(run, argument, cell, parameter.value)
        if function is not chain[0] and not unify(chain[0].result, function.result, node.name_span):
            mismatch(run, node, function.result, root(chain[0].result).type or Type.LONG)
    return chain[0].result


def infer_print(run: Inference, body: Body, node: syntax.Print) -> Cell:
    if node.family == "printf" and node.literal is not None:
        _infer_printf(run, body, node, node.literal)
    else:
        for argument in node.arguments:
            if isinstance(argument, syntax.Histogram) and node.family in ("print", "println"):
                infer_histogram(run, body, argument)
            else:
                infer(run, body, argument)
    return STRING if node.to_string else LONG


def _infer_printf(run: Inference, body: Body, node: syntax.Print, literal: syntax.String) -> None:
    wanted = argument_types(parse_format(literal.value))
    if len(wanted) != len(node.arguments):
        for argument in node.arguments:
            infer(run, body, argument)
        given = len(node.arguments)
        run.report(mistakes.FormatArguments(span=node.span, needed=len(wanted), given=given))
        return
    for argument, kind in zip(node.arguments, wanted, strict=True):
        named = kind is Type.STRING and has_ctype(body, argument) and _is_enum(run, body, argument)
        expect(run, body, argument, Type.LONG if named else kind)


def _is_enum(run: Inference, body: Body, node: syntax.Expression) -> bool:
    """`%s` prints the name of such a value."""
    from probelang.check.objects import is_enum

    return is_enum(run.scope, body, node)
