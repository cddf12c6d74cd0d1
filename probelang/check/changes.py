"""Assignments to what belongs to the probed program, which only -g allows.

    $list->id = 5      ->  set_user_int32(user_uint64(rdi) + 8, 5)          $n++  ->  set_register("rdi", ...)

The value is converted to the type of the object, as in C; floating point numbers too.
"""

from __future__ import annotations

from typing import cast

from probelang import syntax
from probelang.artifact import code
from probelang.artifact.code import Expr, Type
from probelang.check import mistakes
from probelang.check.forms import blamed, describe
from probelang.check.infer import Inference, may_change
from probelang.check.infer_target import Inferring, checked, infer_target, stands_for_builtin
from probelang.check.lower import Lowering, lower
from probelang.check.lower_target import Building, as_double, as_long, ctype_of
from probelang.check.objects import TROUBLES, NotAnObject, Walk
from probelang.check.scope import Body
from probelang.dwarf.ctypes import bare, size_of
from probelang.target.arithmetic import Operator, binary
from probelang.target.change import Place, assign, find_place, step, step_after
from probelang.target.location import Computed
from probelang.target.mistake import TargetMistake
from probelang.target.site import Reader
from probelang.target.values import is_float


def infer_change(run: Inference, body: Body, node: syntax.Expression, op: str) -> bool:
    """Whether something of the program can be assigned to with this operator."""
    if not body.targets.in_process:
        infer_target(run, body, node)  # which says so
    elif _is_value(node, body):
        run.report(mistakes.NotAssignable(span=blamed(node), what=_describe(node)))
    elif may_change(run, node.span, "assigning to a target variable"):
        return _infer(run, body, node, op)
    return False


def _infer(run: Inference, body: Body, node: syntax.Expression, op: str) -> bool:
    walk = Walk(run.scope, body, Inferring(run))

    def look() -> None:
        found = walk.object(node)
        if isinstance(found.location, Computed) and _was_kept(node, body):
            raise TargetMistake(
                mistakes.NotChangeable(
                    reason="in a return probe it is what it was when the function was entered"
                )
            )
        place = find_place(found, walk.reader(node))
        if op != "=" and is_float(place.type):
            run.report(mistakes.FloatMisused(span=node.span, what=node.span.text.split("\n")[0][:40]))

    return checked(run, body, node, look)


def _was_kept(node: syntax.Expression, body: Body) -> bool:
    site = body.targets.site
    match node:
        case syntax.TargetVariable() | syntax.AtOperator(name="entry"):
            return site is not None and site.is_return
        case _:
            return False


def _is_value(node: syntax.Expression, body: Body) -> bool:
    """What stands for no object of the program."""
    match node:
        case syntax.TargetVariable():
            return node.special or stands_for_builtin(node, body)
        case syntax.AtOperator(name=name):
            return name not in ("var", "cast", "entry")
        case _:
            return False


def _describe(node: syntax.Expression) -> str:
    match node:
        case syntax.TargetVariable(name=name, special=special):
            return f"`{'$$' if special else '$'}{name}`"
        case syntax.AtOperator(name=name):
            return f"`@{name}`"
        case _:
            return describe(node)


# -------------------------------------------------------------------------------------------------- lowering


def lower_assign(low: Lowering, body: Body, node: syntax.Assign) -> Expr:
    found = _place(low, body, node.target)
    if found is None:
        return lower(low, body, node.value, allow_float=True)
    place, reader = found
    if node.op != "=":
        op, amount = cast(Operator, node.op[:-1]), lower(low, body, node.value)
        return step(place, lambda current: binary(op, current, amount, reader.at), reader)
    if not is_float(place.type):
        return assign(place, as_long(low, body, node.value), reader)
    amount = as_double(low, body, node.value, ctype_of(low, body, node.value))
    if size_of(bare(place.type)) == 8:
        return assign(place, amount, reader)
    single = code.Call("double_to_float", (amount,), Type.LONG, reader.at)
    return code.Call("float_to_double", (assign(place, single, reader),), Type.LONG, reader.at)


def lower_step(low: Lowering, body: Body, node: syntax.Increment) -> Expr:
    found = _place(low, body, node.target)
    if found is None:
        return code.Number(0)
    place, reader = found
    delta = 1 if node.op == "++" else -1
    if node.prefix:
        return step(place, lambda current: binary("+", current, code.Number(delta)), reader)
    return step_after(place, delta, reader)


def _place(low: Lowering, body: Body, node: syntax.Expression) -> tuple[Place, Reader] | None:
    """None where inference has found a mistake, or where such places are passed over."""
    walk = Walk(low.run.scope, body, Building(low))
    try:
        reader = walk.reader(node)
        return find_place(walk.object(node), reader), reader
    except (NotAnObject, *TROUBLES):
        return None
