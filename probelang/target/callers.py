"""What was passed to the function in which the probe stands, when nothing holds it any more.

    entry_value(reg5), in f; main calls f(argc * 2) and goes on at 0x1166
    ->  return address == base + 0x1166 ? what the call site says of rdi, in main's frame : a soft error

The compiler describes at each call what it passes, where the caller keeps that too. Which call it was is seen at run time: by
the return address. Calls from other files, and those through pointers, are not known.
Source: DWARF 5, sections 2.5.1.7 (DW_OP_entry_value) and 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from probelang.artifact.code import Call, Expr, Text, Type
from probelang.dwarf import calls
from probelang.dwarf import constants as c
from probelang.dwarf import operations as op
from probelang.dwarf.entry import Entry
from probelang.dwarf.leb import signed, unsigned
from probelang.dwarf.types import origins
from probelang.target import arithmetic as a
from probelang.target.build import extract, number
from probelang.target.expression import OPTIMISED_OUT, compile_value
from probelang.target.frame import SiteFrame, function_address
from probelang.target.location import Unavailable
from probelang.target.operators import load_size

_MOST_CALLERS = (64, 8, 2)  # of the function, of its callers, of theirs
_MOST_JUMPS, _MOST_FUNCTIONS = 3, 256
OTHER_CALLER = b"value was optimised out for this caller"
Choice = Callable[[SiteFrame, Entry], "Expr | None"]
"""What a call site says, in the caller's frame; None where it says nothing."""
Path = tuple[int, ...]
UNKNOWN: Path = (0,)


def value_at_entry(frame: SiteFrame, expression: bytes) -> Expr:
    """Raises Unavailable."""
    wanted = _register_of(expression)
    if wanted is None:
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    register, size = wanted
    if frame.callee is None and frame.pc == function_address(frame.scope.function):
        value = frame.register(register)
        return value if size is None else load_size(value, size, frame.at)

    def choose(caller: SiteFrame, site: Entry) -> Expr | None:
        for parameter in calls.parameters(site):
            place = parameter.expression(c.AT_location)
            if place is None or _register_of(place) != (register, None):
                continue
            read = calls.parameter_value if size is None else calls.parameter_data_value
            described = read(parameter)
            if described is None:
                return None
            value = compile_value(described, caller.in_unit(site.unit))
            return value if size is None else extract(value, 8 * size, False)
        return None

    return _by_caller(frame, choose)


def value_of_parameter(frame: SiteFrame, entry: Entry) -> Expr:
    """Of one that the compiler took away (DW_OP_GNU_parameter_ref)."""
    keys = {e.key for e in origins(entry)}

    def choose(caller: SiteFrame, site: Entry) -> Expr | None:
        for parameter in calls.parameters(site):
            meant = calls.parameter_entry(parameter)
            described = calls.parameter_value(parameter)
            if meant is not None and described and keys & {e.key for e in origins(meant)}:
                return compile_value(described, caller.in_unit(site.unit))
        return None

    return _by_caller(frame, choose)


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


def _by_caller(frame: SiteFrame, choose: Choice) -> Expr:
    if frame.origin is not None:
        value = choose(*frame.origin)
        if value is None:
            raise Unavailable(OPTIMISED_OUT, optimised=True)
        return value
    address = function_address(frame.scope.function)
    if address is None or frame.depth >= len(_MOST_CALLERS) or len(tail_paths(frame, address, address)) != 0:
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    most = _MOST_CALLERS[frame.depth]
    known: dict[int, Expr] = {}
    for return_pc, path in _ways(frame, address):
        value = _along(frame, return_pc, path, choose)
        if value is not None:
            known[return_pc] = value
        if len(known) == most:
            break
    if not known:
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    going_on = a.binary("-", frame.return_address(), frame.base)
    return _search(going_on, sorted(known.items()), frame.at)


def _search(address: Expr, known: list[tuple[int, Expr]], at: int) -> Expr:
    """Halving: 64 callers are told apart by 6 comparisons."""
    if len(known) == 1:
        return_pc, value = known[0]
        nothing = Call("error", (Text(OTHER_CALLER),), Type.LONG, at)
        return a.choose(a.compare("==", address, number(return_pc)), value, nothing)
    middle = len(known) // 2
    lower, upper = _search(address, known[:middle], at), _search(address, known[middle:], at)
    return a.choose(a.compare("<", address, number(known[middle][0])), lower, upper)


def _along(frame: SiteFrame, return_pc: int, path: Path, choose: Choice) -> Expr | None:
    """What is passed by the call that returns to `return_pc` and comes here by the jumps of `path`, the first one first."""
    # frames from the innermost outwards; then what is known of each from the outermost inwards
    frames = [frame]
    for end in (*reversed(path), return_pc):
        outer = frames[-1].caller(end, jumped=end != return_pc)
        if outer is None:
            return None
        frames.append(outer)
    sites = [calls.call_site(f.scope.function, f.pc, f.jumped) for f in frames[1:]]
    if any(site is None for site in sites):
        return None
    for inner, outer, site in zip(frames[-2:0:-1], frames[:1:-1], sites[:0:-1], strict=True):
        if site is not None:
            inner.origin = outer, site
    caller, site = frames[1], sites[0]
    try:
        return None if site is None else choose(caller, site)
    except Unavailable:
        return None


def _ways(frame: SiteFrame, address: int) -> Iterator[tuple[int, Path]]:
    """Direct calls of the function, and of those that end in a jump to it where that is the only way from there."""
    waiting: list[tuple[Entry, int, int]] = [(frame.scope.function, address, 0)]
    seen = {address}
    while waiting:
        function, entered, jumps = waiting.pop(0)
        paths = [()] if entered == address else tail_paths(frame, entered, address)
        if len(paths) != 1 or UNKNOWN in paths:
            continue
        found = calls.references(frame.binary, entered, _names(function))
        yield from ((return_pc, paths[0]) for return_pc in found.calls)
        for end in found.jumps if jumps < _MOST_JUMPS else ():
            outer = frame.debug.functions.at(end - 1)
            start = None if outer is None else function_address(outer)
            if outer is None or start is None or start in seen or len(seen) > _MOST_FUNCTIONS:
                continue
            if calls.call_site(outer, end, jumped=True) is not None:
                seen.add(start)
                waiting.append((outer, start, jumps + 1))


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
