"""What a return probe keeps of the function's entry: `@entry(expression)`, and `$parameter`, which means the same there.

    probe process("x").function("f").return { println($n, @entry(gettimeofday_us())) }
    ->  an entry probe:  entry1[tid(), CFA, place] = n; entry2[tid(), CFA, place] = gettimeofday_us()
        the return probe: if ([tid(), rsp, place] in entry2) { a = entry1[..]; b = entry2[..]; delete both; println(a, b) }

The stack pointer behind the return is the CFA (DWARF 5, 6.4) of the call, so recursion keeps calls apart, and a call that was left by
longjmp is never taken for another. A call that began before the probe was there has no values, and its return is no hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from probelang import syntax
from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.check.cells import LONG, Cell
from probelang.check.scope import Body, LocalUse
from probelang.check.sites import Kept
from probelang.source import Span
from probelang.target.build import register

MOST_CALLS = 16384
"""Calls in progress at the same time: the oldest are forgotten first."""


@dataclass(slots=True, eq=False)
class Slot:
    """One value. `node` None: the address at which the file is mapped. `local`: what holds it in the return probe's handler."""

    node: syntax.Expression | None
    cell: Cell
    local: LocalUse


@dataclass(slots=True, eq=False)
class EntryValues:
    """`body`: of the entry probe. `locals`: those of the return probe, which the slots are among. `span`: the probe's."""

    body: Body
    span: Span
    locals: dict[str, LocalUse]
    slots: dict[object, Slot] = field(default_factory=dict[object, Slot])

    def slot(self, node: syntax.Expression | None, span: Span, cell: Cell) -> Slot:
        """The slot of an expression; made with `cell` when there is none."""
        key = _key_of_node(node)
        found = self.slots.get(key)
        if found is None:
            local = LocalUse("@entry", span, cell, read=True, written=True, bound=True)
            self.locals[f"@entry {key}"] = local
            found = self.slots[key] = Slot(node, cell, local)
        return found

    def known(self, node: syntax.Expression | None) -> Slot | None:
        return self.slots.get(_key_of_node(node))


def _key_of_node(node: syntax.Expression | None) -> object:
    """`$$parms` stands for several variables at one place."""
    if node is None:
        return None
    name = node.name if isinstance(node, syntax.TargetVariable) else ""
    return id(node.span.source), node.span.start, node.span.end, name


def base_slot(entries: EntryValues, span: Span) -> Slot:
    return entries.slot(None, span, LONG)


def hidden_variable(number: int, kind: Type) -> code.Variable:
    key = (Type.LONG, Type.LONG, Type.LONG)
    return code.Variable(name=f"@entry{number}", key=key, value=kind, wrap=True, max_entries=MOST_CALLS)


def entry_body(
    kept: Sequence[Kept], variables: Sequence[int], frame_address: code.Expr, at: int
) -> code.Stmt:
    """All values first: where one cannot be had, the call is not known at all. `variables`: the numbers of the hidden arrays."""
    key = _key_of(frame_address)
    return code.Block(
        tuple(
            code.Evaluate(code.Assign(code.Element(variable, key, k.type, at), "=", k.value, k.type, at))
            for k, variable in zip(kept, variables, strict=True)
        )
    )


def return_body(
    kept: Sequence[Kept], variables: Sequence[int], when: code.Expr | None, body: code.Stmt, at: int
) -> code.Stmt:
    key = _key_of(register("rsp"))
    take: list[code.Stmt] = []
    for k, variable in zip(kept, variables, strict=True):
        local, element = code.Local(k.local, k.type), code.Element(variable, key, k.type, at)
        take.append(code.Evaluate(code.Assign(local, "=", element, k.type, at)))
        take.append(code.Delete(variable, key, at))
    inner = body if when is None else code.If(when, body, None)
    # the last is stored last
    return code.If(code.Contains(variables[-1], key, at), code.Block((*take, inner)), None)


def _key_of(frame_address: code.Expr) -> tuple[code.Expr, ...]:
    """Functions that jump to one another instead of calling return together, with one stack pointer: the place tells them apart."""
    return (
        code.Call("tid", (), Type.LONG, 0),
        frame_address,
        code.Call("place_number", (), Type.LONG, 0),
    )
