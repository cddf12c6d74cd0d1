"""What a return probe keeps of the function's entry: `@entry(expression)`, `$parameter`, which means the same there, `@elapsed`.

    probe process("x").function("f").return { println($n, @elapsed) }
    ->  an entry probe:  entry1[tid(), CFA, place] = n; entry2[tid(), CFA, place] = local_clock_ns()
        the return probe: if ([tid(), rsp, place] in entry2) { a = entry1[..]; b = local_clock_ns() - entry2[..]; delete both; println(a, b) }

The stack pointer behind the return is the CFA (DWARF 5, 6.4) of the call, so recursion keeps calls apart, and a call that was left by
longjmp is never taken for another. A call that began before the probe was there has no values, and its return is no hit.

Where the kernel has sessions, both are one program, and one number stays with the call itself; the array of the other is as before:

    before:  entry1[tid(), CFA, place] = n; session_keep(local_clock_ns()); session_hook()
    at the return: b = local_clock_ns() - session_kept(); if ([tid(), rsp, place] in entry1) { ... }
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

_TIME = "@elapsed"
MOST_CALLS = 16384
"""Calls in progress at the same time: the oldest are forgotten first."""


@dataclass(slots=True, eq=False)
class Slot:
    """One value. `node` None: the address at which the file is mapped; or, `is_time`, the clock: at the return, how long it has been.
    `local`: what holds it in the return probe's handler."""

    node: syntax.Expression | None
    cell: Cell
    local: LocalUse
    is_time: bool = False


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

    def elapsed(self) -> Slot:
        """What `@elapsed` is."""
        found = self.slots.get(_TIME)
        if found is None:
            local = LocalUse("@elapsed", self.span, LONG, read=True, written=True, bound=True)
            self.locals["@elapsed"] = local
            found = self.slots[_TIME] = Slot(None, LONG, local, True)
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
    kept: Sequence[Kept],
    variables: Sequence[int],
    cookie: Kept | None,
    frame_address: code.Expr,
    at: int,
    is_session: bool,
) -> code.Stmt:
    """Where one value cannot be had, the call is not known at all. `variables`: the numbers of the hidden arrays. `cookie`: what the
    session keeps. The time comes last."""
    key = _key_of(frame_address)
    store: list[code.Stmt] = [
        code.Evaluate(code.Assign(code.Element(variable, key, k.type, at), "=", k.value, k.type, at))
        for k, variable in zip(kept, variables, strict=True)
    ]
    if cookie is not None:
        store.append(code.Evaluate(code.Call("session_keep", (cookie.value,), Type.VOID, at)))
    if is_session:
        store.append(code.Evaluate(code.Call("session_hook", (), Type.VOID, at)))
    return code.Block(tuple(store))


def return_body(
    kept: Sequence[Kept],
    variables: Sequence[int],
    cookie: Kept | None,
    when: code.Expr | None,
    body: code.Stmt,
    at: int,
) -> code.Stmt:
    """The clock first of all."""
    key = _key_of(register("rsp"))
    first: list[code.Stmt] = []
    take: list[code.Stmt] = []
    for k in (*kept, *_given(cookie)):
        if k.is_time and k.local is not None:
            first.append(_set(k.local, clock(), at))
    if cookie is not None:
        first.append(_receive(cookie, code.Call("session_kept", (), Type.LONG, at), at))
    for k, variable in zip(kept, variables, strict=True):
        take.append(_receive(k, code.Element(variable, key, k.type, at), at))
        take.append(code.Delete(variable, key, at))
    inner = body if when is None else code.If(when, body, None)
    if not variables:
        return code.Block((*first, inner))
    # the last is stored last
    known = code.Contains(variables[-1], key, at)
    return code.Block((*first, code.If(known, code.Block((*take, inner)), None)))


def clock() -> code.Expr:
    return code.Call("local_clock_ns", (), Type.LONG, 0)


def _given(kept: Kept | None) -> tuple[Kept, ...]:
    return () if kept is None else (kept,)


def _receive(kept: Kept, value: code.Expr, at: int) -> code.Stmt:
    if kept.local is None:
        return code.Block(())
    if kept.is_time:
        value = code.Binary("-", code.Local(kept.local, Type.LONG), value, at)
    return _set(kept.local, value, at, kept.type)


def _set(local: int, value: code.Expr, at: int, kind: Type = Type.LONG) -> code.Stmt:
    return code.Evaluate(code.Assign(code.Local(local, kind), "=", value, kind, at))


def _key_of(frame_address: code.Expr) -> tuple[code.Expr, ...]:
    """Functions that jump to one another instead of calling return together, with one stack pointer: the place tells them apart."""
    return (
        code.Call("tid", (), Type.LONG, 0),
        frame_address,
        code.Call("place_number", (), Type.LONG, 0),
    )
