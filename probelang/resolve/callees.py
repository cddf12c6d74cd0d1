"""Functions that a function calls, as sites that count only when it is the caller.

    callee_sites(file, "main", "work", 1, ".call", span)
    ->  Sites((Site(0x1139, function="work"),), (SiteDetail(callers=(Way((0x1158, 0x1170)),)),))

These are the return addresses of the calls in `main`; a handler runs only when work returns to one of them. Callees of callees are told by
the stack: each frame must return to a call of its level. A copy of work that was inlined into main needs no such test. Calls are those that debug information knows; in code without such (not optimised) the
direct calls among the instructions. Calls through pointers are not known, and what lies in other files has no site in this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from probelang.artifact.codesets import CodeSet
from probelang.diag import similar_names
from probelang.diag.places import NoSuchCallee
from probelang.dwarf import constants as c
from probelang.dwarf.callsites import call_sites, within
from probelang.dwarf.declarations import name_test
from probelang.dwarf.entry import Entry
from probelang.dwarf.files import Debug
from probelang.dwarf.functions import Function, display_name, is_pattern
from probelang.dwarf.image import BinaryError
from probelang.dwarf.instances import Instance, instance_of, instances_from
from probelang.dwarf.lines import matcher
from probelang.dwarf.plt import find_slots
from probelang.dwarf.ranges import entry_ranges
from probelang.dwarf.types import origins, own_name
from probelang.resolve.candidates import Candidate, FileTarget, Sites, settle
from probelang.resolve.extents import Code, joined
from probelang.resolve.families import component_text
from probelang.resolve.functions import code_around, declared_name
from probelang.resolve.patterns import Lines, parse_place
from probelang.resolve.sources import instances_at
from probelang.resolved import SiteDetail, Way
from probelang.sites.instructions import Instructions
from probelang.source import Span

MAXIMUM_FUNCTIONS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Callee:
    """`instance`: with its debug information, where there is any. `returns`: where calls of it return to; empty for inlined copies."""

    name: str
    symbol: str
    address: int
    instance: Instance | None
    returns: tuple[int, ...]


def callee_sites(
    file: FileTarget, pattern: str | int, callee: str, depth: int, suffix: str, span: Span
) -> Sites:
    """`depth`: 1 for functions that the function itself calls, 2 also for those that these call. `suffix`: "", ".call", ".return".
    Raises BinaryError when there are none."""
    matches = _matcher(callee)
    is_return = suffix.startswith(".return")
    found: list[Candidate] = []
    known: set[str] = set()
    reached = _reach(Calls(file), instances_at(file, pattern), depth)
    for step in reached.steps.values():
        known.add(step.callee.name)
        if matches(step.callee) and (step.callee.returns or not suffix):
            found.append(_candidate(file, reached, step, suffix))
    if not found:
        similar = () if is_pattern(callee) else similar_names(callee, sorted(known))
        mistake = NoSuchCallee(path=file.binary.path, function=str(pattern), name=callee, similar=similar)
        raise BinaryError(mistake)
    return settle(file, found, callee, span, is_return)


def _matcher(callee: str) -> Callable[[Callee], bool]:
    """`g`, `g@file.c`, `g@file.c:12` (where it is declared)."""
    place = parse_place(callee)
    test, in_file = name_test(place.function), matcher(place.file)

    def matches(one: Callee) -> bool:
        if not test(one.name, one.symbol) or not place.file:
            return test(one.name, one.symbol)
        if one.instance is None or not in_file(one.instance.file):
            return False
        return place.lines is None or place.lines == Lines() or one.instance.line in place.lines

    return matches


@dataclass(slots=True, eq=False)
class Step:
    """A callee as it is reached. `caller`: the first of those that call it. `frames`: how many frames lie between it and the function that
    was named, itself included; a copy has none of its own. `returns`: where all those calls of it return to."""

    caller: Instance
    callee: Callee
    frames: int
    returns: set[int]


@dataclass(slots=True, eq=False)
class Reached:
    """`calls[n]`: where the calls return to that make the n-th frame, from 1."""

    steps: dict[tuple[object, ...], Step]
    calls: dict[int, set[int]]


def _reach(calls: Calls, functions: tuple[Instance, ...], depth: int) -> Reached:
    """Level by level. What a frame really returns to is in one function only, so that calls of one level need no telling apart."""
    reached = Reached({}, {})
    seen: set[tuple[int, int, int]] = set()
    level = [(function, 0) for function in functions]
    for _ in range(depth):
        below: list[tuple[Instance, int]] = []
        for caller, frames in level:
            key = caller.address, caller.offset, frames
            if key in seen or len(seen) > MAXIMUM_FUNCTIONS:
                continue
            seen.add(key)
            for one in calls.of(caller):
                own = frames + bool(one.returns)
                _note(reached, caller, one, own)
                if one.instance is not None:
                    below.append((one.instance, own))
        level = below
    return reached


def _note(reached: Reached, caller: Instance, one: Callee, frames: int) -> None:
    copy = None if one.returns or one.instance is None else one.instance.offset
    step = reached.steps.setdefault((one.address, one.name, copy, frames), Step(caller, one, frames, set()))
    step.returns.update(one.returns)
    if one.returns:
        reached.calls.setdefault(frames, set()).update(one.returns)


def _ways(file: FileTarget, reached: Reached, step: Step) -> tuple[Way, ...]:
    """How a callee was called: none for a copy inside the function that was named."""
    if step.frames == 0:
        return ()
    own = step.returns or reached.calls[step.frames]
    outer = tuple(_code_set(file, reached.calls[n]) for n in range(step.frames - 1, 0, -1))
    return (Way(tuple(sorted(own)), outer),)


def _code_set(file: FileTarget, returns: set[int]) -> CodeSet:
    """The last bytes of these calls."""
    from probelang.resolve.codesets import code_file

    calls = Code(joined((address - 1, address) for address in returns))
    return CodeSet("callees", (code_file(file.binary, calls),))


def _candidate(file: FileTarget, reached: Reached, step: Step, suffix: str) -> Candidate:
    caller, one = step.caller, step.callee
    function = component_text("function", declared_name(caller, caller.name))
    shown = one.name if one.instance is None else declared_name(one.instance, one.name)
    text = f"{file.text}.{function}.{component_text('callee', shown)}{suffix}"
    ways = _ways(file, reached, step)
    if not one.returns and one.instance is not None:
        detail = SiteDetail(one.instance.offset, callers=ways)
        return Candidate(one.address, one.name, text, detail, code_around(one.instance))
    offset = file.binary.image.offset_of(one.address) or 0
    own = Function(one.name, one.symbol, one.address, offset, 0, False, False)
    return Candidate(one.address, one.name, text, SiteDetail(callers=ways), function=own)


class Calls:
    """The calls of one file's functions."""

    def __init__(self, file: FileTarget) -> None:
        self.binary = file.binary
        self.debug: Debug = file.debug()
        self._code = Instructions(file.binary)
        self._targets: dict[tuple[int, int], Instance | None] = {}
        self._slots = {slot.address: slot.symbol for slot in find_slots(file.binary)}

    def of(self, caller: Instance) -> list[Callee]:
        """Inlined copies, and functions of the file that are called."""
        found = [
            self._copy(e, caller)
            for e in within(caller.entry, inlined=True)
            if e.tag == c.TAG_inlined_subroutine
        ]
        returns: dict[int, tuple[Callee, set[int]]] = {}
        for callee, address in (*self._described(caller), *self._decoded(caller)):
            known = returns.setdefault(callee.address, (callee, set()))
            known[1].add(address)
        return found + [
            Callee(one.name, one.symbol, one.address, one.instance, tuple(sorted(addresses)))
            for one, addresses in returns.values()
        ]

    def _copy(self, entry: Entry, caller: Instance) -> Callee:
        instance = instance_of(entry, caller.function)
        return Callee(instance.name, instance.symbol, instance.address, instance, ())

    def _described(self, caller: Instance) -> Iterator[tuple[Callee, int]]:
        for site in call_sites(caller.entry):
            if site.callee is not None and site.return_address is not None:
                callee = self._definition(site.callee)
                if callee is not None:
                    yield callee, site.return_address

    def _definition(self, entry: Entry) -> Callee | None:
        """The function with code that a call site means, in this file."""
        root = list(origins(entry))[-1]
        if root.key not in self._targets:
            found = instances_from(self.debug, [entry, root])
            self._targets[root.key] = next((i for i in found if not i.inlined), None)
        instance = self._targets[root.key]
        if instance is not None:
            return Callee(instance.name, instance.symbol, instance.address, instance, ())
        if not any(e.flag(c.AT_external) for e in origins(entry)):
            return None
        symbol = next((s for e in origins(entry) if (s := e.raw_text(c.AT_linkage_name))), b"")
        return self._named(symbol or own_name(entry).encode("utf-8", "surrogateescape"))

    def _named(self, symbol: bytes) -> Callee | None:
        found = self.binary.symbols_named(symbol)
        return self._at(found[0].address, symbol) if found else None

    def _at(self, address: int, symbol: bytes) -> Callee:
        entry = self.debug.functions.at(address)
        instance = None if entry is None else instance_of(entry, entry)
        if instance is not None and instance.address == address:
            return Callee(instance.name, instance.symbol, address, instance, ())
        return Callee(display_name(symbol), symbol.decode("utf-8", "surrogateescape"), address, None, ())

    # What compilers do not describe: calls in code that is not optimised. Their targets are function entries, or slots.

    def _decoded(self, caller: Instance) -> Iterator[tuple[Callee, int]]:
        if any(
            e.tag in (c.TAG_call_site, c.TAG_GNU_call_site) for e in within(caller.function, inlined=True)
        ):
            return
        inside = caller.ranges
        for low, high in entry_ranges(caller.function):
            for goal, address in self._code.calls(low, high):
                if any(start <= address - 1 < end for start, end in inside):
                    callee = self._at_goal(goal)
                    if callee is not None:
                        yield callee, address

    def _at_goal(self, goal: int) -> Callee | None:
        slot = self._slots.get(goal)
        if slot is not None:
            return self._named(slot.encode("utf-8", "surrogateescape"))
        entry = self.debug.functions.at(goal)
        if entry is not None:
            instance = instance_of(entry, entry)
            return (
                Callee(instance.name, instance.symbol, goal, instance, ())
                if instance.address == goal
                else None
            )
        symbol = next((s for s in self.binary.symbols() if s.address == goal), None)
        return None if symbol is None else self._at(goal, symbol.name)
