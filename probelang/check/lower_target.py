"""From what names the probed program to typed code: the same walk as inference made, with code in the place of types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from probelang import syntax
from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.check import mistakes
from probelang.check.entries import base_slot
from probelang.check.infer_target import enum_type, enumerator, stands_for_builtin
from probelang.check.listings import variables_of
from probelang.check.lower import Lowering, lower
from probelang.check.objects import TROUBLES, Asking, NotAnObject, Walk, is_large
from probelang.check.scope import Body, FunctionUse
from probelang.dwarf.ctypes import Base, CType, Enum, Pointer, bare
from probelang.source import Span
from probelang.target.build import load, number, register
from probelang.target.pretty import listing, pretty
from probelang.target.registers import name_of
from probelang.target.values import address, enum_name, is_float, value

_NOTHING = code.Number(0)
_SIGN = -(1 << 63)


@dataclass(frozen=True, slots=True)
class Building:
    """An `objects.Inner`."""

    low: Lowering

    def value(self, body: Body, node: syntax.Expression) -> code.Expr:
        return lower(self.low, body, node, allow_float=True)

    def entry(self, body: Body, node: syntax.Expression) -> code.Expr:
        if body.targets.begins:
            return lower_kept(self.low, body, node)
        slot = None if body.targets.entries is None else body.targets.entries.known(node)
        if slot is None or slot.local.slot < 0:
            return _NOTHING
        return code.Local(slot.local.slot, slot.cell.type or Type.LONG)

    def base(self, body: Body) -> code.Expr:
        entries = body.targets.entries
        if entries is None:
            return _NOTHING
        slot = base_slot(entries, entries.span)
        return code.Local(slot.local.slot, Type.LONG) if slot.local.slot >= 0 else _NOTHING

    def at(self, node: syntax.Expression) -> int:
        return self.low.at(_operator(node))

    def keep(self) -> code.Local:
        return self.low.keep(Type.LONG)


def _operator(node: syntax.Expression) -> Span:
    """What messages at run time point to: `->` of a member, else the whole."""
    if isinstance(node, syntax.Member):
        start = node.base.span.end
        text = node.span.source.text[start : node.span.end]
        skip = len(text) - len(text.lstrip())
        return Span(node.span.source, start + skip, start + skip + 2)
    return node.span


def lower_target(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr:
    try:
        return _lower(low, body, node)
    except (NotAnObject, *TROUBLES):
        # reported by inference, unless such values read as 0
        return code.Text(b"") if _is_text(node) else _NOTHING


def _is_text(node: syntax.Expression) -> bool:
    return (
        isinstance(node, syntax.Pretty)
        or (isinstance(node, syntax.TargetVariable) and node.special)
        or (isinstance(node, syntax.AtOperator) and node.name == "enumname")
    )


def _lower(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr:
    walk = Walk(low.run.scope, body, Building(low))
    match node:
        case syntax.TargetVariable() if stands_for_builtin(node, body):
            return _builtin(low, node)
        case syntax.AtOperator(name="entry", arguments=(inner,)):
            return walk.inner.entry(body, inner)
        case syntax.AtOperator(name="elapsed") if body.targets.entries is not None:
            slot = body.targets.entries.elapsed().local.slot
            return code.Local(slot, Type.LONG) if slot >= 0 else _NOTHING
        case syntax.AtOperator(name="uregister", arguments=(syntax.Number(value=which),)):
            return register(name_of(which) or "rax")
        case syntax.AtOperator(name="uderef", arguments=(syntax.Number(value=size), address)):
            return load(lower(low, body, address), size, False, low.at(node.span))
        case syntax.AtOperator(name="enum"):
            return number(enumerator(body, node))
        case syntax.AtOperator(name="enumname"):
            found = enum_type(walk, node)
            given = node.arguments[0]
            amount = lower(low, body, given) if len(node.arguments) > 1 else _plain(walk, given)
            return enum_name(found, amount, walk.reader(node))
        case syntax.TargetVariable(special=True):
            return _listing(walk, node, 0, node)
        case syntax.Pretty(base=syntax.TargetVariable(special=True) as base, depth=depth):
            return _listing(walk, base, depth, node)
        case syntax.Pretty(base=base, depth=depth):
            return pretty(walk.object(base), depth, walk.reader(node))
        case _:
            return _plain(walk, node)


def _plain(walk: Walk, node: syntax.Expression) -> code.Expr:
    return value(walk.object(node), walk.reader(node))


def _listing(walk: Walk, node: syntax.TargetVariable, depth: int, whole: syntax.Expression) -> code.Expr:
    context = walk.body.targets.site
    if context is not None and context.mark is not None and node.name in ("name", "provider"):
        mark = context.mark.mark
        return code.Text((mark.name if node.name == "name" else mark.provider).encode())
    return listing(variables_of(walk, node), depth, walk.reader(whole))


def _builtin(low: Lowering, node: syntax.TargetVariable) -> code.Expr:
    at = low.at(node.span)
    match node:
        case syntax.TargetVariable(special=True):
            # only PLT probes have `$$name`: the name of the slot, which is the name of their point
            return code.Call("ppfunc", (), Type.STRING, at)
        case syntax.TargetVariable(name="syscall"):
            return code.Call("syscall_number", (), Type.LONG, at)
        case syntax.TargetVariable(name="return"):
            return code.Call("syscall_return", (), Type.LONG, at)
        case _:
            return code.Call("syscall_arg", (code.Number(int(node.name[3:])),), Type.LONG, at)


# --------------------------------------------------------------------------------- what C types change elsewhere


def ctype_of(low: Lowering, body: Body, node: syntax.Expression) -> CType | None:
    return Walk(low.run.scope, body, Asking()).type(node)


def is_floating(low: Lowering, body: Body, node: syntax.Expression) -> bool:
    found = ctype_of(low, body, node)
    return found is not None and is_float(found)


def returns_floating(low: Lowering, body: Body, function: FunctionUse) -> bool:
    found = Walk(low.run.scope, body, Asking()).result(function)
    return found is not None and is_float(found)


def check_whole(low: Lowering, body: Body, node: syntax.Expression) -> bool:
    """Whether a value may stand where a whole number is needed; reports a floating point number."""
    if not is_floating(low, body, node):
        return True
    text = node.span.text.split("\n")[0][:40]
    low.run.report(mistakes.FloatMisused(span=node.span, what=text))
    return False


def lower_compare(low: Lowering, body: Body, node: syntax.Binary) -> code.Expr | None:
    """Of floating point numbers, and of unsigned 64-bit ones; None where nothing is special."""
    left, right = ctype_of(low, body, node.left), ctype_of(low, body, node.right)
    op = cast(Literal["==", "!=", "<", "<=", ">", ">="], node.op)
    if (left is not None and is_float(left)) or (right is not None and is_float(right)):
        return code.Compare(op, _order(low, body, node.left, left), _order(low, body, node.right, right))
    if op not in ("==", "!=") and _is_unsigned_word(left) and _is_unsigned_word(right):
        first = code.Binary("^", lower(low, body, node.left), code.Number(_SIGN), 0)
        return code.Compare(op, first, code.Binary("^", lower(low, body, node.right), code.Number(_SIGN), 0))
    return None


def _order(low: Lowering, body: Body, node: syntax.Expression, ctype: CType | None) -> code.Expr:
    bits = as_double(low, body, node, ctype)
    return code.Call("double_order", (bits,), Type.LONG, low.at(node.span))


def as_double(low: Lowering, body: Body, node: syntax.Expression, ctype: CType | None) -> code.Expr:
    """The bits of the double that a number is."""
    amount = lower(low, body, node, allow_float=True)
    if ctype is not None and is_float(ctype):
        return amount
    return code.Call("long_to_double", (amount,), Type.LONG, low.at(node.span))


def as_long(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr:
    """`long(x)`, and what aggregates take."""
    amount = lower(low, body, node, allow_float=True)
    if not is_floating(low, body, node):
        return amount
    return code.Call("double_to_long", (amount,), Type.LONG, low.at(node.span))


def _is_unsigned_word(ctype: CType | None) -> bool:
    plain = None if ctype is None else bare(ctype)
    if isinstance(plain, Base):
        return plain.size_bytes == 8 and plain.encoding == "unsigned"
    return isinstance(plain, Pointer)


def enum_text(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr | None:
    """An enum where a string is needed: its name."""
    walk = Walk(low.run.scope, body, Building(low))
    found = Walk(low.run.scope, body, Asking()).type(node)
    plain = None if found is None else bare(found)
    if not isinstance(plain, Enum):
        return None
    return enum_name(plain, lower(low, body, node), walk.reader(node))


def lower_kept(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr:
    """At a function's entry: a value, or the address of an array or a struct."""
    walk = Walk(low.run.scope, body, Building(low))
    try:
        found = walk.object(node)
        if is_large(found.type):
            return address(found, walk.reader(node))
    except NotAnObject:
        pass
    except TROUBLES:
        return _NOTHING
    return lower(low, body, node, allow_float=True)
