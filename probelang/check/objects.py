"""Expressions about the probed program as objects: a C type, and where the value is.

    $list->next->id    ->  Object(Base("int"), InMemory(user_uint64(rdi) + 8))
    p = $list; p->id   ->  the type travels with the local `p`

What is in brackets, and what is cast, are expressions of the script; an `Inner` says what becomes of them, so that the same walk serves
for asking whether something exists, for inference and for lowering.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from probelang import syntax
from probelang.artifact.code import Expr, Local, Number, Type
from probelang.check.constants import live_arms
from probelang.check.scope import Body, FunctionUse, Scope, SiteContext
from probelang.check.walk import everything
from probelang.diag import Diagnostic, respan
from probelang.diag.deferred import variables
from probelang.dwarf.ctypes import Array, Base, CType, Enum, Lazy, Pointer, Struct, bare
from probelang.dwarf.image import BinaryError
from probelang.target.location import Computed, InMemory, Unavailable
from probelang.target.members import member
from probelang.target.mistake import TargetMistake
from probelang.target.site import Reader, TargetSite
from probelang.target.values import Object, address, element_type, index, is_aggregate, is_float, value

POINTER_BYTES = 8
DOUBLE = Base("double", 8, "float")
"""Of a literal."""


IN_FRAME = "it is gone with the function's frame, of which only parts are kept: name one, `->member`, or its text, `@entry($x$)`"


def _kept_in_function(node: syntax.Expression) -> Diagnostic:
    return variables.KeptInFunction(what=node.span.text.split("\n")[0][:40])


class NotAnObject(Exception):
    """An expression of the script alone, which has no C type."""


Trouble: TypeAlias = TargetMistake | Unavailable | BinaryError
TROUBLES = (TargetMistake, Unavailable, BinaryError)


class Inner(Protocol):
    """`at`: the place in the script of an expression, for errors at run time."""

    def value(self, body: Body, node: syntax.Expression) -> Expr: ...
    def entry(self, body: Body, node: syntax.Expression) -> Expr:
        """What an expression was when the function was entered."""
        ...

    def base(self, body: Body) -> Expr:
        """In a return probe: the run-time address of image address 0."""
        ...

    def at(self, node: syntax.Expression) -> int: ...
    def keep(self) -> Local:
        """A new local variable of the handler, for a number that is used several times."""
        ...


class Asking:
    """Nothing is done: for questions about types and existence."""

    def value(self, body: Body, node: syntax.Expression) -> Expr:
        return Number(1)

    def entry(self, body: Body, node: syntax.Expression) -> Expr:
        return Number(0)

    def base(self, body: Body) -> Expr:
        return Number(0)

    def at(self, node: syntax.Expression) -> int:
        return 0

    def keep(self) -> Local:
        return Local(0, Type.LONG)


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk over target expressions in a piece of code."""

    scope: Scope
    body: Body
    inner: Inner

    def object(self, node: syntax.Expression) -> Object:
        """Raises NotAnObject and what is among TROUBLES."""
        try:
            return self._object(node)
        except TargetMistake as mistake:
            if mistake.at is None:
                mistake.at = node.span  # the innermost
            raise

    def _object(self, node: syntax.Expression) -> Object:
        body = self.body
        match node:
            case syntax.TargetVariable(special=False):
                return self._variable(node)
            case syntax.AtOperator():
                return self._operator(node)
            case syntax.Member(base=base, name=name):
                kept = self._kept_part(node)
                return kept or member(self._followed(base), name, self.reader(node))
            case syntax.Index(base=base, indexes=(syntax.Node() as i,)) if not self._is_array(base):
                if (kept := self._kept_part(node)) is not None:
                    return kept
                owner = self._followed(base)
                return index(owner, self.inner.value(body, i), self.reader(node))
            case syntax.AddressOf(operand=operand):
                found = self.object(operand)
                if isinstance(operand, syntax.Name | syntax.Call | syntax.Conditional):
                    raise NotAnObject  # a variable of the script has no address
                plain = bare(found.type)
                # of an array: of its first element, so that `p = &$x->array; p[2]` is what people mean
                pointed = element_type(plain) if isinstance(plain, Array) else found.type
                return Object(_pointer_to(pointed), Computed(address(found, self.reader(node))))
            case syntax.Binary(op="."):
                written = self.dotted(node)
                if written is None:
                    raise NotAnObject
                return self.object(written)
            case syntax.Name() | syntax.Call() | syntax.Conditional() | syntax.Assign() | syntax.Float():
                ctype = self.script_type(node)
                if ctype is None:
                    raise NotAnObject
                return _held(ctype, self.inner.value(body, node))
            case _:
                raise NotAnObject

    def dotted(self, node: syntax.Binary) -> syntax.Expression | None:
        """`$x->list[1].id` as a member, where the left side is a struct or a pointer to one, which nothing can be appended to."""
        found = self.type(node.left)
        if found is None:
            return None
        plain = bare(found)
        owner = plain.target.get() if isinstance(plain, Pointer) else plain
        return _as_member(node.left, node.right) if is_aggregate(owner) else None

    def _followed(self, node: syntax.Expression) -> Object:
        """What `->` or `[ ]` stands behind: a pointer is read now, so that a fault is that of the operator that reads it."""
        found = self.object(node)
        plain = bare(found.type)
        if isinstance(plain, Pointer) and plain.kind != "reference" and isinstance(found.location, InMemory):
            return Object(found.type, Computed(value(found, self.reader(node))))
        return found

    def _is_array(self, base: syntax.Expression) -> bool:
        """Of the script."""
        return isinstance(base, syntax.Histogram) or (
            isinstance(base, syntax.Name) and self.script_type(base) is None
        )

    def reader(self, node: syntax.Expression) -> Reader:
        targets = self.body.targets
        if targets.types is None:
            raise NotAnObject
        target = targets.site.target if targets.site else None
        return Reader(targets.types, target, self.inner.at(node), self.inner.keep)

    # ---------------------------------------------------------------------------------------------- the leaves

    def _variable(self, node: syntax.TargetVariable) -> Object:
        context = self.body.targets.site
        if context is None:
            raise NotAnObject
        if context.mark is not None:
            return context.mark.object(node.name)
        target, at = context.target, self.inner.at(node)
        if not context.is_return:
            if node.name == "return" and target.find("return") is None:
                raise TargetMistake(variables.NeedsReturnProbe(what="$return"))
            return target.variable(node.name, at)
        if node.name == "return":
            return target.result()
        if target.is_static(node.name):
            return self._late(context).variable(node.name, at)
        before = self._at_entry().object(node)  # also so that a mistake is found
        return self._kept(before, node)

    def _kept(self, before: Object, node: syntax.Expression) -> Object:
        """In a return probe: what an expression was at the function's entry."""
        if self.body.function is not None:
            raise TargetMistake(partial(_kept_in_function, node))
        if is_large(before.type) and (not isinstance(before.location, InMemory) or self._in_frame(node)):
            raise Unavailable(IN_FRAME)
        return _held(before.type, self.inner.entry(self.body, node))

    def _kept_part(self, node: syntax.Member | syntax.Index) -> Object | None:
        """In a return probe: a member or an element of a struct or an array that is gone with the function's frame. It is kept for
        itself, unless it is told by a variable of the script, which the entry does not have."""
        context = self.body.targets.site
        if context is None or not context.is_return or context.mark is not None:
            return None
        if not self._in_frame(node.base) or any(
            isinstance(n, syntax.Name | syntax.Call) for n in everything(node)
        ):
            return None
        return self._kept(self._at_entry().object(node), node)

    def _in_frame(self, node: syntax.Expression) -> bool:
        """Whether it is a struct or an array, or a part of one, that is a parameter or a local itself."""
        context = self.body.targets.site
        leaf = _leaf(node)
        if context is None or not isinstance(leaf, syntax.TargetVariable) or leaf.name == "return":
            return False
        if context.target.is_static(leaf.name):
            return False
        walk = self._at_entry()
        while isinstance(node, syntax.Member | syntax.Index):
            if not is_large(walk.object(node).type):
                return False
            node = node.base
        return node is leaf and is_large(walk.object(node).type)

    def _late(self, context: SiteContext) -> TargetSite:
        """For what lies in memory all the time, seen from a return probe, where only the entry could tell where the file is mapped."""
        if context.target.binary.kind == "exec":
            return context.target
        if self.body.function is not None:
            reason = (
                "where its file is mapped is known in the return probe, not in the functions that it calls"
            )
            raise Unavailable(reason)
        return context.target.with_base(self.inner.base(self.body))

    def _at_entry(self) -> Walk:
        assert self.body.targets.entries is not None
        return Walk(self.scope, self.body.targets.entries.body, Asking())

    def _operator(self, node: syntax.AtOperator) -> Object:
        match node.name:
            case "var":
                return self._global(node)
            case "cast":
                name, module = texts(node)
                if self.body.targets.types is None:
                    raise NotAnObject
                found = self.body.targets.types.named(name, module)
                pointer = found if isinstance(bare(found), Pointer) else _pointer_to(found)
                return Object(pointer, Computed(self.inner.value(self.body, node.arguments[0])))
            case "entry":
                if self.body.targets.begins:
                    return self.object(node.arguments[0])
                if self.body.targets.entries is None:
                    raise TargetMistake(variables.NeedsReturnProbe(what="@entry"))
                before = self._at_entry().object(node.arguments[0])
                return self._kept(before, node.arguments[0])
            case _:
                raise NotAnObject

    def _global(self, node: syntax.AtOperator) -> Object:
        context = self.body.targets.site
        if context is None:
            raise NotAnObject
        name, module = (_text(node.arguments[0]), _text(node.arguments[1]) if node.arguments[1:] else None)
        target = self._late(context) if context.is_return else context.target
        return target.global_variable(name, module, self.inner.at(node))

    # -------------------------------------------------------------------------------------- types that travel

    def script_type(self, node: syntax.Expression) -> CType | None:
        """The C type of a value of the script: of a local that was assigned one, of a function that returns one."""
        match node:
            case syntax.Name(name=name):
                return self.body.ctypes.get(name)
            case syntax.Conditional():
                return self._either(node)
            case syntax.Assign(op="=", target=target):
                # an object of the program keeps its own
                return self.type(node.value if isinstance(target, syntax.Name) else target)
            case syntax.Call():
                chain = self.scope.find_functions(node.name, len(node.arguments), self.body)
                return self.result(chain[0]) if chain else None
            case syntax.Float():
                return DOUBLE
            case _:
                return None

    def _either(self, node: syntax.Conditional) -> CType | None:
        """A floating point number where one arm that can be chosen is one; else as the first that has a type."""
        live = live_arms(node, self.body, self.scope)
        arms = (node.then, node.otherwise)
        return _common([self.type(arm) for arm, can_be in zip(arms, live, strict=True) if can_be])

    def result(self, function: FunctionUse) -> CType | None:
        """What a function returns, by all that it returns."""
        from probelang.check.reach import body_of

        if function.is_typing:
            return None  # it calls itself
        function.is_typing = True
        try:
            note_function_types(self.scope, function)
            walk = Walk(self.scope, body_of(function), Asking())
            parts = everything(function.declared.declaration.body)
            return _common([walk.type(p.value) for p in parts if isinstance(p, syntax.Return) and p.value])
        finally:
            function.is_typing = False

    def type(self, node: syntax.Expression) -> CType | None:
        """The C type of any expression, None where it has none or cannot be had."""
        if isinstance(node, syntax.Name | syntax.Call | syntax.Conditional | syntax.Assign | syntax.Float):
            return self.script_type(node)
        try:
            return Walk(self.scope, self.body, Asking()).object(node).type
        except (NotAnObject, *TROUBLES):
            return None


def _as_member(owner: syntax.Expression, node: syntax.Expression) -> syntax.Expression | None:
    """What stands behind the point, applied to what stands before it: `a . b[1]->c` is `(a.b)[1]->c`."""
    span = owner.span.to(node.span)
    match node:
        case syntax.Name(name=name):
            return syntax.Member(span, owner, name)
        case syntax.Index(base=base, indexes=indexes):
            inner = _as_member(owner, base)
            return None if inner is None else syntax.Index(span, inner, indexes)
        case syntax.Member(base=base, name=name):
            inner = _as_member(owner, base)
            return None if inner is None else syntax.Member(span, inner, name)
        case _:
            return None


def note_function_types(scope: Scope, function: FunctionUse) -> None:
    from probelang.check.reach import body_of

    if not function.has_ctypes:
        function.has_ctypes = True
        note_types(scope, body_of(function), function.declared.declaration.body)


def note_types(scope: Scope, body: Body, block: syntax.Block) -> None:
    """The C types of a body's locals, each by the first assignment that gives it one; a floating point number where one does."""
    walk = Walk(scope, body, Asking())
    floats = -1  # each that is found may make others
    while floats < (now := sum(map(is_float, body.ctypes.values()))):
        floats = now
        _note_assignments(walk, block)


def _note_assignments(walk: Walk, block: syntax.Block) -> None:
    body, scope = walk.body, walk.scope
    for node in _assignments(block):
        assert isinstance(node.target, syntax.Name)
        name = node.target.name
        known = body.ctypes.get(name)
        if scope.find_global(name, body.file) is None and not (known is not None and is_float(known)):
            found = _common([known, walk.type(node.value)])
            if found is not None:
                body.ctypes[name] = found


def _assignments(block: syntax.Block) -> Iterator[syntax.Assign]:
    for node in everything(block):
        if isinstance(node, syntax.Assign) and node.op == "=" and isinstance(node.target, syntax.Name):
            yield node


def _common(types: list[CType | None]) -> CType | None:
    """Of several values in one place: a floating point number where one is, else the first that has a type."""
    found = [t for t in types if t is not None]
    return next((t for t in found if is_float(t)), next(iter(found), None))


def diagnose(trouble: Trouble, node: syntax.Expression, walk: Walk) -> Diagnostic:
    """As a mistake at the place of the expression."""
    if isinstance(trouble, TargetMistake):
        return respan(trouble.diagnostic, trouble.at or node.span)
    if isinstance(trouble, BinaryError):
        return respan(trouble.diagnostic, node.span)
    leaf = _leaf(node)
    nearest = ""
    context = walk.body.targets.site
    if trouble.optimised and context is not None and isinstance(leaf, syntax.TargetVariable):
        nearest = context.target.nearest_point(leaf.name)
    text = node.span.text.split("\n")[0]
    return variables.VariableUnavailable(span=node.span, name=text, reason=trouble.reason, nearest=nearest)


def _leaf(node: syntax.Expression) -> syntax.Expression:
    while isinstance(node, syntax.Member | syntax.Index | syntax.Pretty | syntax.AddressOf):
        node = node.operand if isinstance(node, syntax.AddressOf) else node.base
    return node


def _held(ctype: CType, value: Expr) -> Object:
    """What a variable of the script holds, or was kept from the entry: a scalar by its value, an array or a struct by its address."""
    return Object(ctype, InMemory(value) if is_large(ctype) else Computed(value))


def is_enum(scope: Scope, body: Body, node: syntax.Expression) -> bool:
    found = Walk(scope, body, Asking()).type(node)
    return found is not None and isinstance(bare(found), Enum)


def is_large(ctype: CType) -> bool:
    return isinstance(bare(ctype), Array | Struct)


def _pointer_to(ctype: CType) -> Pointer:
    return Pointer(POINTER_BYTES, Lazy(partial(_same, ctype)))


def _same(ctype: CType) -> CType:
    return ctype


def _text(node: syntax.Expression) -> str:
    return node.value.decode("utf-8", "surrogateescape") if isinstance(node, syntax.String) else ""


def texts(node: syntax.AtOperator) -> tuple[str, str | None]:
    """The type and the module of @cast and @enumname."""
    return _text(node.arguments[1]), _text(node.arguments[2]) if len(node.arguments) > 2 else None
