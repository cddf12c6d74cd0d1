"""Types of what names the probed program: `$x->y`, `@cast(..)`, `@entry(..)`, `$$vars`, and what the expressions inside them must be.

$list->id   ->  long          $list$, $$parms, @enumname($kind)   ->  string
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probelang import syntax
from probelang.artifact.code import Expr, Local, Number, Type
from probelang.check import mistakes
from probelang.check.cells import LONG, STRING, Cell, root, type_in
from probelang.check.entries import Slot, base_slot
from probelang.check.infer import Inference, expect, infer
from probelang.check.listings import variables_of
from probelang.check.objects import TROUBLES, Asking, NotAnObject, Walk, diagnose, is_large, texts
from probelang.check.scope import Body
from probelang.diag import Diagnostic
from probelang.dwarf.ctypes import Enum, bare
from probelang.target.mistake import TargetMistake
from probelang.target.registers import name_of
from probelang.target.values import value

DEREF_BYTES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Inferring:
    """An `objects.Inner`."""

    run: Inference

    def value(self, body: Body, node: syntax.Expression) -> Expr:
        expect(self.run, body, node, Type.LONG)
        return Number(1)

    def entry(self, body: Body, node: syntax.Expression) -> Expr:
        entry_slot(self.run, body, node)
        return Number(0)

    def base(self, body: Body) -> Expr:
        entries = body.targets.entries
        if entries is not None:
            base_slot(entries, entries.span)
        return Number(0)

    def at(self, node: syntax.Expression) -> int:
        return 0

    def keep(self) -> Local:
        return Local(0, Type.LONG)


def entry_slot(run: Inference, body: Body, node: syntax.Expression) -> Slot | None:
    """What keeps an expression's value from the entry; inferred there when it is new."""
    entries = body.targets.entries
    if entries is None:
        return None
    known = entries.known(node)
    if known is not None:
        return known
    cell = _infer_kept(run, entries.body, node)
    kept = Cell(type_in(cell), node.span, doubtful=root(cell).doubtful)
    return entries.slot(node, node.span, kept)


def _infer_kept(run: Inference, body: Body, node: syntax.Expression) -> Cell:
    """Arrays and structs are kept by their address."""
    found = Walk(run.scope, body, Asking()).type(node)
    if found is not None and is_large(found):
        return LONG if infer_object(run, body, node, whole=True) else Cell(doubtful=True)
    return infer(run, body, node)


def infer_target(run: Inference, body: Body, node: syntax.Expression) -> Cell:
    match node:
        case syntax.AtOperator(name="defined" | "probewrite"):
            return LONG
        case syntax.AtOperator(name="entry"):
            return _infer_entry(run, body, node)
        case syntax.AtOperator(name="elapsed"):
            return _infer_elapsed(run, body, node)
        case syntax.AtOperator(name="uregister"):
            return _infer_register(run, body, node)
        case syntax.AtOperator(name="uderef"):
            return _infer_deref(run, body, node)
        case syntax.AtOperator(name="enum"):
            return _checked(run, body, node, lambda: enumerator(body, node), LONG)
        case syntax.AtOperator(name="enumname"):
            return _infer_enum_name(run, body, node)
        case syntax.AtOperator(name="perf" | "const" | "kregister" | "kderef"):
            run.report(mistakes.UnsupportedOperator(span=node.span, what=f"@{node.name}"))
            return Cell(doubtful=True)
        case syntax.TargetVariable() if stands_for_builtin(node, body):
            return STRING if node.special else LONG
        case syntax.TargetVariable(special=True, name="name" | "provider") if _is_mark(body):
            return STRING
        case syntax.TargetVariable(special=True) | syntax.Pretty(base=syntax.TargetVariable(special=True)):
            return _infer_listing(run, body, node)
        case syntax.Pretty(base=base):
            found = infer_object(run, body, base, whole=True)
            return STRING if found else Cell(doubtful=True)
        case _:
            return LONG if infer_object(run, body, node) else Cell(doubtful=True)


def stands_for_builtin(node: syntax.TargetVariable, body: Body) -> bool:
    """`$syscall` and the like, which are not the program's."""
    name = f"$${node.name}" if node.special else f"${node.name}"
    return name in body.targets.names


def _is_mark(body: Body) -> bool:
    return body.targets.site is not None and body.targets.site.mark is not None


def infer_object(run: Inference, body: Body, node: syntax.Expression, whole: bool = False) -> bool:
    """Whether it can be read. `whole`: structs too."""
    walk = Walk(run.scope, body, Inferring(run))

    def look() -> None:
        found = walk.object(node)
        if not whole and not isinstance(node, syntax.AddressOf):
            value(found, walk.reader(node))

    return checked(run, body, node, look)


def _checked(
    run: Inference, body: Body, node: syntax.Expression, look: Callable[[], object], kind: Cell
) -> Cell:
    return kind if checked(run, body, node, look) else Cell(doubtful=True)


def checked(run: Inference, body: Body, node: syntax.Expression, look: Callable[[], object]) -> bool:
    """Whether `look` finds what it looks for; else the mistake is reported, unless such places are passed over."""
    try:
        look()
        return True
    except TROUBLES as trouble:
        if body.targets.lenient:
            return True
        mistake: Diagnostic = diagnose(trouble, node, Walk(run.scope, body, Inferring(run)))
    except NotAnObject:
        mistake = not_there(body, node)
    run.report(mistake)
    return False


def not_there(body: Body, node: syntax.Expression) -> Diagnostic:
    """The mistake of naming the probed program where there is none, or where nothing says what type a value has."""
    leaf = leaf_of(node)
    text = leaf.span.text.split("\n")[0][:40]
    if isinstance(leaf, syntax.TargetVariable | syntax.AtOperator):
        if not body.targets.in_process:
            return mistakes.OutsideProcessProbe(span=leaf.span, what=text, probe=body.targets.probe)
        available = tuple(sorted(body.targets.names))
        return mistakes.TargetVariableUnsupported(span=leaf.span, what=text, available=available)
    return mistakes.UntypedValue(span=node.span, name=text)


def leaf_of(node: syntax.Expression) -> syntax.Expression:
    """What `->`, `[ ]`, `&` and `$` are applied to."""
    while isinstance(node, syntax.Member | syntax.Index | syntax.Pretty | syntax.AddressOf):
        node = node.operand if isinstance(node, syntax.AddressOf) else node.base
    return node


# ------------------------------------------------------------------------------------------------- operators


def _infer_entry(run: Inference, body: Body, node: syntax.AtOperator) -> Cell:
    if not body.targets.in_process:
        run.report(not_there(body, node))
        return Cell(doubtful=True)
    if body.targets.begins:
        return _infer_kept(run, body, node.arguments[0])
    if body.targets.entries is not None and body.function is not None:
        run.report(mistakes.KeptInFunction(span=node.span, what="@entry"))
        return Cell(doubtful=True)
    slot = entry_slot(run, body, node.arguments[0])
    if slot is None:
        run.report(mistakes.NeedsReturnProbe(span=node.span, what="@entry"))
        return Cell(doubtful=True)
    return slot.cell


def _infer_elapsed(run: Inference, body: Body, node: syntax.AtOperator) -> Cell:
    if not body.targets.in_process:
        run.report(not_there(body, node))
    elif body.function is not None:
        run.report(mistakes.KeptInFunction(span=node.span, what="@elapsed"))
    elif body.targets.entries is None:
        run.report(mistakes.NeedsReturnProbe(span=node.span, what="@elapsed"))
    else:
        body.targets.entries.elapsed()
        return LONG
    return Cell(doubtful=True)


def _infer_register(run: Inference, body: Body, node: syntax.AtOperator) -> Cell:
    number = node.arguments[0]
    if not body.targets.in_process:
        run.report(not_there(body, node))
    elif not isinstance(number, syntax.Number) or name_of(number.value) is None:
        reason = "it takes the number of a general register, 0 to 16 (System V ABI, figure 3.36)"
        run.report(mistakes.BadTargetOperator(span=number.span, what="@uregister", reason=reason))
    else:
        return LONG
    return Cell(doubtful=True)


def _infer_deref(run: Inference, body: Body, node: syntax.AtOperator) -> Cell:
    size, address = node.arguments
    expect(run, body, address, Type.LONG)
    if not isinstance(size, syntax.Number) or size.value not in DEREF_BYTES:
        reason = "its first argument is a number of bytes: 1, 2, 4 or 8"
        run.report(mistakes.BadTargetOperator(span=size.span, what="@uderef", reason=reason))
        return Cell(doubtful=True)
    return LONG


def enumerator(body: Body, node: syntax.AtOperator) -> int:
    """Raises TargetMistake and NotAnObject."""
    if body.targets.types is None:
        raise NotAnObject
    name = node.arguments[0]
    module = node.arguments[1] if node.arguments[1:] else None
    assert isinstance(name, syntax.String)
    where = module.value.decode("utf-8", "surrogateescape") if isinstance(module, syntax.String) else None
    return body.targets.types.enumerator(name.value.decode("utf-8", "surrogateescape"), where)


def _infer_enum_name(run: Inference, body: Body, node: syntax.AtOperator) -> Cell:
    if len(node.arguments) == 1:
        walk = Walk(run.scope, body, Inferring(run))
        return _checked(run, body, node, lambda: enum_type(walk, node), STRING)
    expect(run, body, node.arguments[0], Type.LONG)
    return _checked(run, body, node, lambda: enum_type(Walk(run.scope, body, Inferring(run)), node), STRING)


def enum_type(walk: Walk, node: syntax.AtOperator) -> Enum:
    """Raises TargetMistake, Unavailable and NotAnObject."""
    value_, *named = node.arguments
    if named:
        name, module = texts(node)
        if walk.body.targets.types is None:
            raise NotAnObject
        found = walk.body.targets.types.named(name, module)
    else:
        found = walk.object(value_).type
    plain = bare(found)
    if not isinstance(plain, Enum):
        reason = "it takes a value of an enum type"
        raise TargetMistake(mistakes.BadTargetOperator(what="@enumname", reason=reason))
    return plain


def _infer_listing(run: Inference, body: Body, node: syntax.TargetVariable | syntax.Pretty) -> Cell:
    inner = node.base if isinstance(node, syntax.Pretty) else node
    assert isinstance(inner, syntax.TargetVariable)
    return _checked(
        run, body, node, lambda: variables_of(Walk(run.scope, body, Inferring(run)), inner), STRING
    )
