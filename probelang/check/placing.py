"""The last touch to a probe of one site: where it stands, whom it must have been called by, and what it keeps from the entry."""

from __future__ import annotations

from dataclasses import replace

from probelang import resolved, typed
from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.artifact.points import FunctionPoint
from probelang.check.cells import type_in
from probelang.check.entries import EntryValues, Slot, entry_body, hidden_variable, return_body
from probelang.check.lower import Lowering, number_locals
from probelang.check.lower_target import lower_kept
from probelang.check.scope import Targets
from probelang.check.sites import Kept, Paired, move
from probelang.diag import respan
from probelang.diag.deferred import variables
from probelang.dwarf.image import BinaryError
from probelang.target.build import here, number, plus, return_address
from probelang.target.location import Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.site import WORD_BYTES, TargetSite


def place_probe(
    low: Lowering, targets: Targets, probe: resolved.Probe, made: typed.Probe
) -> typed.Probe | Paired:
    """The probe itself; before it the one that stands at the function's entry for it."""
    try:
        return _place(low, targets, probe, made)
    except (TargetMistake, BinaryError) as mistake:
        low.run.report(respan(mistake.diagnostic, probe.span))
    except Unavailable as trouble:
        low.run.report(
            variables.VariableUnavailable(span=probe.span, name="the caller", reason=trouble.reason)
        )
    return made


def _place(low: Lowering, targets: Targets, probe: resolved.Probe, made: typed.Probe) -> typed.Probe | Paired:
    context = targets.site
    assert context is not None
    callers = probe.details[0].callers if probe.details else ()
    if context.entries is not None:
        return _with_entry(low, context.entries, context.target, callers, made)
    handler = made.handler
    if callers:
        when = _and(called_by(low, context.target, callers, handler.at), handler.when)
        handler = replace(handler, when=when, locals=tuple(low.locals))
    return _moved(replace(made, handler=handler), context.target)


def _moved(probe: typed.Probe, target: TargetSite) -> typed.Probe:
    if target.address == target.place.address:
        return probe
    offset = target.binary.image.offset_of(target.address)
    return replace(probe, point=move(probe.point, target.address, offset))


def _with_entry(
    low: Lowering,
    entries: EntryValues,
    target: TargetSite,
    callers: tuple[int, ...],
    made: typed.Probe,
) -> typed.Probe | Paired:
    if not entries.slots:
        return made
    handler, at = made.handler, made.handler.at
    number_locals(low, entries.body.locals)
    kept = tuple([_keep(low, entries, target, slot) for slot in entries.slots.values()])
    when = called_by(low, target, callers, at) if callers else None
    frame_address = target.frame_address()
    before = code.Handler(tuple(low.locals), handler.armed, when, code.Block(()), at)
    point = made.point
    assert isinstance(point, FunctionPoint)
    first = typed.Probe(made.name, replace(point, is_return=False), before, made.span)
    return Paired(_moved(first, target), kept, frame_address, made)


def _keep(low: Lowering, entries: EntryValues, target: TargetSite, slot: Slot) -> Kept:
    value = target.base if slot.node is None else lower_kept(low, entries.body, slot.node)
    return Kept(value, type_in(slot.cell) or Type.LONG, slot.local.slot)


def finish(low: Lowering, made: Paired) -> tuple[typed.Probe, typed.Probe]:
    """The two probes, with hidden arrays between them."""
    variables = [low.hide(hidden_variable(len(low.hidden), k.type)) for k in made.kept]
    before, after = made.entry.handler, made.after.handler
    first = replace(before, body=entry_body(made.kept, variables, made.frame_address, before.at))
    body = return_body(made.kept, variables, after.when, after.body, after.at)
    last = replace(after, when=None, body=body)
    return replace(made.entry, handler=first), replace(made.after, handler=last)


def called_by(low: Lowering, target: TargetSite, callers: tuple[int, ...], at: int) -> code.Expr:
    """Whether the function at whose entry the probe stands returns to one of these addresses of its file."""
    is_fixed = target.binary.kind == "exec"
    base = number(0) if is_fixed else plus(here(), -target.address)
    back = return_address(plus(target.frame_address(), -WORD_BYTES), at)
    if not is_fixed:
        back = code.Binary("-", back, base, at)
    first, *others = callers
    if not others:
        return code.Compare("==", back, number(first))
    local = low.keep(Type.LONG)
    test: code.Expr = code.Compare("==", code.Assign(local, "=", back, Type.LONG, at), number(first))
    for caller in others:
        test = code.Logical("||", test, code.Compare("==", local, number(caller)))
    return test


def _and(left: code.Expr, right: code.Expr | None) -> code.Expr:
    return left if right is None else code.Logical("&&", left, right)
