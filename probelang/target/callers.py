"""What was passed to the function in which the probe stands, when nothing holds it any more.

    entry_value(reg5), in f; main calls f(argc * 2) and goes on at 0x1166
    ->  return address == base + 0x1166 ? what the call site says of rdi, in main's frame : a soft error

The compiler describes at each call what it passes, where the caller keeps that too. Which call it was is seen at run time: by
the return address, and by the pointer where it was called through one. Calls from other files are not known, and calls through
pointers only from the same unit.
Source: DWARF 5, sections 2.5.1.7 (DW_OP_entry_value) and 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from itertools import islice

from probelang.artifact.code import Call, Expr, Text, Type
from probelang.dwarf import calls
from probelang.dwarf import constants as c
from probelang.dwarf import operations as op
from probelang.dwarf.entry import Entry
from probelang.dwarf.leb import signed, unsigned
from probelang.dwarf.types import origins
from probelang.target import arithmetic as a
from probelang.target.build import extract, number
from probelang.target.expression import OPTIMISED_OUT, CallerNeeded, choose_location, compile_value
from probelang.target.frame import SiteFrame, function_address
from probelang.target.location import (
    Computed,
    InMemory,
    InRegister,
    Location,
    Pieces,
    PointerTo,
    Unavailable,
)
from probelang.target.operators import load_size
from probelang.target.stack import FLOATING, MOST_NODES, measure

_MOST_DEPTH, _MOST_JUMPS, _MOST_FUNCTIONS = 16, 3, 256
OTHER_CALLER = b"value was optimised out for this caller"
Compile = Callable[[SiteFrame], Location]
Path = tuple[int, ...]
UNKNOWN: Path = (0,)


def value_at_entry(frame: SiteFrame, expression: bytes) -> Expr:
    """What an expression gave when the frame's function was entered. Raises CallerNeeded and Unavailable."""
    wanted = _register_of(expression)
    if wanted is None:
        _refuse_floating(expression, frame)
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    register, size = wanted
    if frame.callee is None and frame.pc == function_address(frame.scope.function):
        value = frame.register(register)
        return value if size is None else load_size(value, size, frame.at)
    caller, site = _origin(frame)
    for parameter in calls.parameters(site):
        place = parameter.expression(c.AT_location)
        if place is None or _register_of(place) != (register, None):
            continue
        read = calls.parameter_value if size is None else calls.parameter_data_value
        described = read(parameter)
        if described:
            value = compile_value(described, caller)
            return value if size is None else extract(value, 8 * size, False)
    raise Unavailable(OPTIMISED_OUT, optimised=True)


def value_of_parameter(frame: SiteFrame, entry: Entry) -> Expr:
    """Of one that the compiler took away (DW_OP_GNU_parameter_ref)."""
    caller, site = _origin(frame)
    keys = {e.key for e in origins(entry)}
    for parameter in calls.parameters(site):
        meant, described = calls.parameter_entry(parameter), calls.parameter_value(parameter)
        if meant is not None and described and keys & {e.key for e in origins(meant)}:
            return compile_value(described, caller)
    raise Unavailable(OPTIMISED_OUT, optimised=True)


def _origin(frame: SiteFrame) -> tuple[SiteFrame, Entry]:
    """The caller, for descriptions in the unit of the call."""
    if frame.origin is None:
        raise CallerNeeded
    caller, site = frame.origin
    return caller.in_unit(site.unit), site


def _refuse_floating(expression: bytes, frame: SiteFrame) -> None:
    """A number in a vector register, by its type: callers describe it as what only floating point instructions compute."""
    if expression[:1] in (bytes((op.regval_type,)), bytes((op.GNU_regval_type,))):
        kind, _ = unsigned(expression, unsigned(expression, 1)[1])
        if frame.unit.entry(kind).number(c.AT_encoding) == c.ATE_float:
            raise Unavailable(FLOATING)


def _register_of(expression: bytes) -> tuple[int, int | None] | None:
    """The register that an expression names, and how many bytes are read where it points (None: the register itself)."""
    try:
        code = expression[0]
        if op.reg0 <= code <= op.reg31 and len(expression) == 1:
            return code - op.reg0, None
        if code == op.regx:
            register, end = unsigned(expression, 1)
            return (register, None) if end == len(expression) else None
        if not op.breg0 <= code <= op.breg31:
            return None
        offset, end = signed(expression, 1)
        rest = expression[end:]
        if offset or not rest:
            return None
        if rest == bytes((op.deref,)):
            return code - op.breg0, 8
        if rest[0] == op.deref_size and len(rest) == 2 and 1 <= rest[1] <= 8:
            return code - op.breg0, rest[1]
    except IndexError:
        pass
    return None


# ---------------------------------------------------------------------------------------------------- callers


def by_caller(frame: SiteFrame, compile_in: Compile) -> Location:
    """What `compile_in` makes of the frame for each call that may have led to it; which one did, the return address tells."""
    address = function_address(frame.scope.function)
    if address is None or frame.depth > _MOST_DEPTH or tail_paths(frame, address, address):
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    ways = list(islice(_ways(frame, address), frame.breadth))
    known: dict[int, Location] = {}
    room = MOST_NODES
    for return_pc, path in ways:
        try:
            entered = _along(frame, return_pc, path, frame.breadth // len(ways))
            if entered is not None:
                found = _checked(entered, compile_in)
                room -= _nodes(found)
                if room < 0:
                    break
                known[return_pc] = found
        except Unavailable:
            pass
    if not known:
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    going_on = a.binary("-", frame.return_address(), frame.base)
    return _search(going_on, sorted(known.items(), key=lambda row: row[0]), frame.at)


def _nodes(location: Location) -> int:
    match location:
        case InMemory(address=expr) | InRegister(value=expr) | Computed(value=expr):
            return measure(expr)[0]
        case Pieces(pieces=pieces):
            return sum(_nodes(piece.location) for piece in pieces if piece.location is not None)
        case _:
            return 1


def _search(address: Expr, known: list[tuple[int, Location]], at: int) -> Location:
    """Halving: 64 callers are told apart by 6 comparisons."""
    if len(known) == 1:
        return_pc, found = known[0]
        return choose_location(a.compare("==", address, number(return_pc)), found, _unknown(found, at))
    middle = len(known) // 2
    lower, upper = _search(address, known[:middle], at), _search(address, known[middle:], at)
    return choose_location(a.compare("<", address, number(known[middle][0])), lower, upper)


def _unknown(location: Location, at: int) -> Location:
    """A soft error, in the shape of a location."""
    nothing = Call("error", (Text(OTHER_CALLER),), Type.LONG, at)
    match location:
        case InMemory():
            return InMemory(nothing)
        case Pieces(pieces=pieces):
            return Pieces(tuple(replace(p, location=p.location and _unknown(p.location, at)) for p in pieces))
        case PointerTo():
            return location  # to the same, whoever called
        case _:
            return Computed(nothing)


def _checked(frame: SiteFrame, compile_in: Compile) -> Location:
    """Of a frame whose origin is known: but through a pointer another function may have been called, that jumped here."""
    assert frame.origin is not None
    caller, site = frame.origin
    found, target = compile_in(frame), calls.call_target(site)
    if not target or caller.jumped:
        return found
    called = compile_value(target, caller.in_unit(site.unit))
    own = frame.static_address(function_address(frame.scope.function) or 0)
    return choose_location(a.compare("==", called, own), found, _unknown(found, frame.at))


def _along(frame: SiteFrame, return_pc: int, path: Path, breadth: int) -> SiteFrame | None:
    """The frame as one that was entered by the call that returns to `return_pc`, and then by the jumps of `path`, the first one first.
    None where no debug information tells of these."""
    frames = [copy(frame)]
    for i, end in enumerate((*reversed(path), return_pc)):
        outer = frames[-1].caller(end, jumped=i < len(path))
        site = None if outer is None else calls.call_site(outer.scope.function, end, outer.jumped)
        if outer is None or site is None:
            return None
        outer.breadth = breadth
        frames[-1].origin = outer, site
        frames.append(outer)
    return frames[0]


def _ways(frame: SiteFrame, address: int) -> Iterator[tuple[int, Path]]:
    """Direct calls of the function, and of those that end in a jump to it where that is the only way from there."""
    waiting: list[tuple[Entry, int, int]] = [(frame.scope.function, address, 0)]
    seen = {address}
    while waiting:
        function, entered, jumps = waiting.pop(0)
        paths = [()] if entered == address else tail_paths(frame, entered, address)
        if len(paths) != 1 or UNKNOWN in paths:
            continue
        found = calls.references(frame.debug, function, entered, _names(function))
        direct = found.calls if paths[0] else (*found.calls, *found.indirect)
        yield from ((return_pc, paths[0]) for return_pc in direct)
        for end in found.jumps if jumps < _MOST_JUMPS else ():
            outer = frame.debug.functions.at(end - 1)
            start = None if outer is None else function_address(outer)
            if outer is None or start is None or start in seen or len(seen) > _MOST_FUNCTIONS:
                continue
            if _describes_jumps(outer) and calls.call_site(outer, end, jumped=True) is not None:
                seen.add(start)
                waiting.append((outer, start, jumps + 1))


def _describes_jumps(function: Entry) -> bool:
    """LLVM describes what a jump passes by registers that have been restored by then."""
    return function.unit.producer.startswith("GNU ")


def tail_paths(frame: SiteFrame, start: int, target: int) -> list[Path]:
    """The ways on which jumps in place of calls lead from the function at `start` to the one at `target`: for each the addresses behind
    its jumps. UNKNOWN is among them where a jump leads to what nothing is known of, and where a way may go in circles."""
    found: list[Path] = []
    waiting: list[tuple[int, Path, frozenset[int]]] = [(start, (), frozenset((start,)))]
    steps, circles = 0, False
    while waiting:
        address, path, trail = waiting.pop()
        function, steps = frame.debug.functions.at(address), steps + 1
        if function is None or steps > _MOST_FUNCTIONS:
            return [UNKNOWN]
        for site in calls.call_sites(function):
            if not calls.is_tail_call(site):
                continue
            jump = calls.tail_jump(frame.binary, site)
            if jump is None:
                return [UNKNOWN]
            if jump.target == target:
                found.append((*path, jump.end))
            elif jump.target in trail:
                circles = True
            else:
                waiting.append((jump.target, (*path, jump.end), trail | {jump.target}))
    return [*found, UNKNOWN] if found and circles else found


def _names(function: Entry) -> tuple[str, ...]:
    """By which other functions of its file may call it through the PLT."""
    if not any(e.flag(c.AT_external) for e in origins(function)):
        return ()
    texts = (e.text(k) for e in origins(function) for k in (c.AT_linkage_name, c.AT_name))
    return tuple(text for text in texts if text)
