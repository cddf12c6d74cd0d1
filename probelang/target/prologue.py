"""Where unoptimised code has stored its parameters: as near to a function's entry as debug information tells the truth.

    int f(int x) { return g(x); }      0x1139  push %rbp; mov %rsp,%rbp; sub $16,%rsp; mov %edi,-4(%rbp)
                                       0x1144  mov -4(%rbp),%eax; ...
    prologue_end(debug, scope)  ->  0x1144

Whatever enters the function comes to that address exactly once: nothing branches away before it or back to it, as a loop
would whose first instruction it is. Sources: DWARF 5, 6.2.2 (prologue_end); gdb's habit of the second line.
"""

from __future__ import annotations

from collections.abc import Iterator

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.ctypes import Struct, bare, size_of
from probelang.dwarf.entry import Entry
from probelang.dwarf.files import Debug
from probelang.dwarf.frames import CfaRegister, frame_at
from probelang.dwarf.leb import signed
from probelang.dwarf.lines import line_table
from probelang.dwarf.ranges import entry_locations, entry_ranges
from probelang.dwarf.scopes import Scope, Variable
from probelang.sites.judge import judge
from probelang.sites.prologue import LONGEST, Start, Store, branches, is_landing, read_start

_CANDIDATES = 4
_PROFILED = frozenset(("-p", "-pg"))
OP_breg0, OP_reg0, OP_fbreg, OP_call_frame_cfa = 0x70, 0x50, 0x91, 0x9C
_ARGUMENTS = frozenset((5, 4, 1, 2, 8, 9))
CFA = -1
"""Stands for the canonical frame address among the numbers of registers."""


def prologue_end(debug: Debug, scope: Scope) -> int:
    """The entry itself where there is no such address: there arguments are where the ABI puts them."""
    function = scope.function
    entry = entry_address(function)
    parameters = [v for v in scope.parameters() if not v.gone]
    if not any(v.everywhere for v in parameters):
        return entry  # optimised code: lists of locations hold from the entry on
    profiled = not _PROFILED.isdisjoint(scope.unit.producer.split())
    for address in _candidates(function, entry):
        start = read_start(debug.binary, entry, address, profiled)
        if start is None or not all(_stored(debug, function, v, start, entry, address) for v in parameters):
            continue
        # any later one may be behind a statement that has changed a parameter
        once = _entered_once(debug, function, entry, address)
        return address if once and judge(debug.binary, address) is None else entry
    return entry


def entry_address(function: Entry) -> int:
    """Where calls enter a function with code of its own."""
    ranges = entry_ranges(function)
    form, value = function.get(c.AT_entry_pc) or (0, None)
    entry = ranges[0][0] if ranges else 0
    if isinstance(value, int):
        is_address = form == c.FORM_addr or form in forms.ADDRESS_INDEXES
        said = function.address(c.AT_entry_pc) if is_address else entry + value
        if said is not None and any(low <= said < high for low, high in ranges):
            return said
    return entry


def _candidates(function: Entry, entry: int) -> Iterator[int]:
    """Where the compiler says that the prologue ends, then where the next statements begin."""
    end = next((high for low, high in entry_ranges(function) if low <= entry < high), entry)
    rows = [
        r for r in line_table(function.unit).between(entry + 1, min(end, entry + LONGEST))
        if r.line and r.is_stmt and not r.end_sequence
    ]  # fmt: skip
    named = [row.address for row in rows if row.prologue_end][:1]
    yield from dict.fromkeys([*named, *sorted({row.address for row in rows})[:_CANDIDATES]])


def _entered_once(debug: Debug, function: Entry, entry: int, address: int) -> bool:
    flow = branches(debug.binary, entry_ranges(function))
    if flow.enter(entry, address):
        return False
    # a computed goto leads to labels only; a switch never back to what comes before it
    return not flow.indirect or not (
        is_landing(debug.binary, address) or any(entry < label <= address for label in _labels(function, 0))
    )


def _labels(block: Entry, depth: int) -> Iterator[int]:
    for child in block.children():
        if child.tag == c.TAG_label and (address := child.address(c.AT_low_pc)) is not None:
            yield address
        elif child.tag in (c.TAG_lexical_block, c.TAG_inlined_subroutine) and depth < 64:
            yield from _labels(child, depth + 1)


# ------------------------------------------------------------------------------------------------ where parameters live


def _stored(
    debug: Debug, function: Entry, parameter: Variable, start: Start, entry: int, address: int
) -> bool:
    """Whether a parameter is where its location says, once the stores are done."""
    expression = parameter.location(address)
    if not parameter.everywhere:
        return parameter.location(entry) in (None, b"", expression)
    home = _home(function, expression, address) if expression else None
    if home is None:
        return False
    register, offset, is_reference = home
    if register in _ARGUMENTS:
        return register not in start.changed  # where it points is the parameter, passed by reference
    from_cfa = _from_cfa(debug, register, offset, address)
    if from_cfa is not None and from_cfa >= 0:
        return True  # the caller stored it
    ctype = bare(parameter.type.get())
    if not is_reference and isinstance(ctype, Struct) and not ctype.declared and not ctype.members:
        return True  # nothing is passed
    size = 8 if is_reference else size_of(ctype) or 1
    written: set[int] = set()
    for store in start.stores:
        written |= _bytes_written(debug, store, register, offset, from_cfa)
    return all(at in written for at in range(0, size, 8))


def _bytes_written(debug: Debug, store: Store, register: int, offset: int, from_cfa: int | None) -> set[int]:
    """Which bytes of the parameter a store fills, counted from its first."""
    stored = _from_cfa(debug, store.register, store.offset, store.at)
    if stored is not None and from_cfa is not None:
        first = stored - from_cfa
    elif store.register == register and not store.stale:
        first = store.offset - offset
    else:
        return set()
    return set(range(first, first + min(store.size_bytes, 64)))


def _from_cfa(debug: Debug, register: int, offset: int, address: int) -> int | None:
    """A place of the stack, counted from the canonical frame address; None where that is not known."""
    if register == CFA:
        return offset
    frame = frame_at(debug.binary, debug, address)
    if frame is None or not isinstance(frame.cfa, CfaRegister) or frame.cfa.register != register:
        return None
    return offset - frame.cfa.offset


def _home(function: Entry, expression: bytes, address: int) -> tuple[int, int, bool] | None:
    """Register (or CFA), offset, and whether only a pointer to the parameter lies there. None for other kinds of places."""
    try:
        opcode = expression[0]
        if opcode == OP_fbreg:
            offset, end = signed(expression, 1)
            base = _frame_base(function, address)
        elif OP_breg0 <= opcode < OP_breg0 + 32:
            offset, end = signed(expression, 1)
            base = opcode - OP_breg0, 0
        else:
            return None
    except IndexError:
        return None
    return None if base is None else (base[0], base[1] + offset, end < len(expression))


def _frame_base(function: Entry, address: int) -> tuple[int, int] | None:
    """A register (or CFA) and an offset to it."""
    found = entry_locations(function, c.AT_frame_base)
    if isinstance(found, list):
        found = next((e for low, high, e in found if low <= address < high), None)
    if not found:
        return None
    opcode = found[0]
    if opcode == OP_call_frame_cfa:
        return CFA, 0
    if OP_reg0 <= opcode < OP_reg0 + 32:
        return opcode - OP_reg0, 0
    if OP_breg0 <= opcode < OP_breg0 + 32:
        offset, _ = signed(found, 1)
        return opcode - OP_breg0, offset
    return None
