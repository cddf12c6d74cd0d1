"""The last touch to a probe of one site: where it stands, whom it must have been called by, and what it keeps from the entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from probelang import resolved, syntax, typed
from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.artifact.points import FunctionPoint
from probelang.check.cells import type_in
from probelang.check.entries import EntryValues, Slot, clock, entry_body, hidden_variable, return_body
from probelang.check.lower import Lowering, lower, number_locals
from probelang.check.lower_target import lower_kept
from probelang.check.scope import Body, Targets
from probelang.check.sites import Kept, Paired, move
from probelang.diag import respan
from probelang.diag.deferred import variables
from probelang.dwarf.image import BinaryError
from probelang.target.build import here, number, plus, register, return_address
from probelang.target.location import Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.site import WORD_BYTES, TargetSite


def place_probe(
    low: Lowering,
    targets: Targets,
    probe: resolved.Probe,
    made: typed.Probe,
    begins: Sequence[tuple[Body, syntax.Expression]],
) -> typed.Probe | Paired:
    """The probe itself; with what is done at the function's entry for it. `begins`: of a return probe, its conditions there."""
    try:
        return _place(low, targets, probe, made, begins)
    except (TargetMistake, BinaryError) as mistake:
        low.run.report(respan(mistake.diagnostic, probe.span))
    except Unavailable as trouble:
        low.run.report(
            variables.VariableUnavailable(span=probe.span, name="the caller", reason=trouble.reason)
        )
    return made


def _place(
    low: Lowering,
    targets: Targets,
    probe: resolved.Probe,
    made: typed.Probe,
    begins: Sequence[tuple[Body, syntax.Expression]],
) -> typed.Probe | Paired:
    target = None if targets.site is None else targets.site.target
    callers = probe.details[0].callers if probe.details else ()
    if targets.entries is not None:
        needed = bool(begins or callers)
        return _with_entry(low, targets.entries, target, callers, begins, made, needed)
    assert target is not None
    handler = made.handler
    if callers:
        when = _and(called_by(low, target, callers, handler.at), handler.when)
        handler = replace(handler, when=when, locals=tuple(low.locals))
    return _moved(replace(made, handler=handler), target)


def _moved(probe: typed.Probe, target: TargetSite) -> typed.Probe:
    if target.address == target.place.address:
        return probe
    offset = target.binary.image.offset_of(target.address)
    return replace(probe, point=move(probe.point, target.address, offset))


def _with_entry(
    low: Lowering,
    entries: EntryValues,
    target: TargetSite | None,
    callers: tuple[resolved.Way, ...],
    begins: Sequence[tuple[Body, syntax.Expression]],
    made: typed.Probe,
    needed: bool,
) -> typed.Probe | Paired:
    """`needed`: the entry decides whether the return is a hit, even if nothing is kept."""
    if not (entries.slots or needed):
        return made
    handler, at = made.handler, made.handler.at
    number_locals(low, entries.body.locals)
    slots = sorted(entries.slots.values(), key=lambda slot: slot.is_time)  # the clock is read last
    kept = tuple([_keep(low, entries, target, slot) for slot in slots])
    conditions = [lower(low, body, condition) for body, condition in begins]
    if callers and target is not None:
        conditions.insert(0, called_by(low, target, callers, at))
    when: code.Expr | None = None
    for condition in reversed(conditions):
        when = _and(condition, when)
    frame_address = plus(register("rsp"), WORD_BYTES) if target is None else target.frame_address()
    before = code.Handler(tuple(low.locals), handler.armed, when, code.Block(()), at)
    point = made.point
    assert isinstance(point, FunctionPoint)
    first = typed.Probe(made.name, replace(point, is_return=False, at_returns=False), before, made.span)
    return Paired(first if target is None else _moved(first, target), kept, frame_address, made)


def _keep(low: Lowering, entries: EntryValues, target: TargetSite | None, slot: Slot) -> Kept:
    if slot.is_time:
        return Kept(clock(), Type.LONG, slot.local.slot, True)
    if slot.node is None:
        assert target is not None
        return Kept(target.base, Type.LONG, slot.local.slot)
    value = lower_kept(low, entries.body, slot.node)
    return Kept(value, type_in(slot.cell) or Type.LONG, slot.local.slot)


def finish(low: Lowering, made: Paired) -> tuple[typed.Probe, ...]:
    """Two probes, with hidden arrays between them; one where the kernel keeps the call."""
    is_session = _is_session(low, made)
    cookie = _cookie(made.kept) if is_session else None
    kept = tuple(k for k in made.kept if k is not cookie)
    if not (kept or is_session):
        kept = (_SEEN,)
    variables = [low.hide(hidden_variable(len(low.hidden), k.type)) for k in kept]
    before, after = made.entry.handler, made.after.handler
    begin = entry_body(kept, variables, cookie, made.frame_address, before.at, is_session)
    end = return_body(kept, variables, cookie, after.when, after.body, after.at)
    first, last = replace(before, body=begin), replace(after, when=None, body=end)
    if is_session:
        return (replace(made.after, handler=last, before=first),)
    return replace(made.entry, handler=first), replace(made.after, handler=last)


_SEEN = Kept(number(1), Type.LONG, None)


def _is_session(low: Lowering, made: Paired) -> bool:
    """The entry must be where calls come to: a return is hooked there."""
    point, entry = made.after.point, made.entry.point
    assert isinstance(point, FunctionPoint) and isinstance(entry, FunctionPoint)
    return low.sessions and point.sites == entry.sites and not point.at_returns


def _cookie(kept: Sequence[Kept]) -> Kept | None:
    """What the kernel keeps: the time, or else the first number."""
    numbers = [k for k in kept if k.type is Type.LONG]
    return next((k for k in numbers if k.is_time), numbers[0] if numbers else None)


def called_by(low: Lowering, target: TargetSite, ways: tuple[resolved.Way, ...], at: int) -> code.Expr:
    """Whether the function in which the probe stands was called in one of these ways."""
    is_fixed = target.binary.kind == "exec"
    back = return_address(plus(target.frame_address(), -WORD_BYTES), at)
    if not is_fixed:
        back = code.Binary("-", back, plus(here(), -target.address), at)
    if sum(len(way.returns) for way in ways) == 1:
        return _outer(low, code.Compare("==", back, number(ways[0].returns[0])), ways[0], at)
    local = low.keep(Type.LONG)
    kept: code.Expr = code.Assign(local, "=", back, Type.LONG, at)
    whole: code.Expr | None = None
    for way in ways:
        test: code.Expr | None = None
        for address in way.returns:
            test = _or(test, code.Compare("==", kept, number(address)))
            kept = local
        assert test is not None
        whole = _or(whole, _outer(low, test, way, at))
    assert whole is not None
    return whole


def _outer(low: Lowering, test: code.Expr, way: resolved.Way, at: int) -> code.Expr:
    """And the callers above: by the stack."""
    for level, calls in enumerate(way.outer, start=2):
        address = plus(code.Call("ustack", (number(level),), Type.LONG, at), -1)
        question = code.Call("code_in", (address, number(low.code_set(calls))), Type.LONG, at)
        test = code.Logical("&&", test, question)
    return test


def _or(left: code.Expr | None, right: code.Expr) -> code.Expr:
    return right if left is None else code.Logical("||", left, right)


def _and(left: code.Expr, right: code.Expr | None) -> code.Expr:
    return left if right is None else code.Logical("&&", left, right)
