"""What was passed to the function in which the probe stands, when nothing holds it any more.

    entry_value(reg5), in f; main calls f(argc * 2) and goes on at 0x1166
    ->  return address == base + 0x1166 ? what the call site says of rdi, in main's frame : a soft error

The compiler describes at each call what it passes, where the caller keeps that too. Which call it was is seen at run time: by
the return address. Calls from other files, and those through pointers, are not known.
Source: DWARF 5, sections 2.5.1.7 (DW_OP_entry_value) and 3.4.
"""

from __future__ import annotations

from collections.abc import Callable

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

_MOST_CALLERS, _MOST_DEPTH, _MOST_FUNCTIONS = 64, 3, 256
OTHER_CALLER = b"value was optimised out for this caller"
Choice = Callable[[SiteFrame, Entry], "Expr | None"]
"""What a call site says, in the caller's frame; None where it says nothing."""


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
    function = frame.scope.function
    address = function_address(function)
    depth, below = 0, frame.callee
    while below is not None:
        depth, below = depth + 1, below.callee
    if address is None or depth >= _MOST_DEPTH or _may_tail_call_itself(frame, address):
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    known: list[tuple[int, Expr]] = []
    for return_pc in calls.return_addresses(frame.binary, address, _names(function)):
        value = _from(frame, return_pc, choose)
        if value is not None:
            known.append((return_pc, value))
        if len(known) == _MOST_CALLERS:
            break
    if not known:
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    going_on = a.binary("-", frame.return_address(), frame.base)
    return _search(going_on, known, frame.at)


def _from(frame: SiteFrame, return_pc: int, choose: Choice) -> Expr | None:
    """What this call passes, where the debug information knows."""
    caller = frame.caller(return_pc)
    site = None if caller is None else calls.call_site(caller.scope.function, return_pc)
    if caller is None or site is None:
        return None
    try:
        return choose(caller, site)
    except Unavailable:
        return None


def _search(address: Expr, known: list[tuple[int, Expr]], at: int) -> Expr:
    """Halving: 64 callers are told apart by 6 comparisons."""
    if len(known) == 1:
        return_pc, value = known[0]
        nothing = Call("error", (Text(OTHER_CALLER),), Type.LONG, at)
        return a.choose(a.compare("==", address, number(return_pc)), value, nothing)
    middle = len(known) // 2
    lower, upper = _search(address, known[:middle], at), _search(address, known[middle:], at)
    return a.choose(a.compare("<", address, number(known[middle][0])), lower, upper)


def _names(function: Entry) -> tuple[str, ...]:
    """By which other functions of its file may call it through the PLT."""
    if not any(e.flag(c.AT_external) for e in origins(function)):
        return ()
    texts = (e.text(k) for e in origins(function) for k in (c.AT_linkage_name, c.AT_name))
    return tuple(text for text in texts if text)


def _may_tail_call_itself(frame: SiteFrame, address: int) -> bool:
    """Whether a chain of jumps may lead from the function back to itself: then the return address tells of another call of it.
    What nothing is known of may do so."""
    seen, waiting = {address}, [frame.scope.function]
    while waiting:
        for site in calls.call_sites(waiting.pop()):
            if not calls.is_tail_call(site):
                continue
            target = calls.tail_target(frame.binary, site)
            if target is None or target == address or len(seen) > _MOST_FUNCTIONS:
                return True
            if target in seen:
                continue
            seen.add(target)
            next_function = frame.debug.functions.at(target)
            if next_function is None:
                return True
            waiting.append(next_function)
    return False
