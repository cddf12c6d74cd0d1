"""Calls of a function within its file, and what the debug information says of them.

    references(debug, function, 0x1139)  ->   References(calls=(0x1166, 0x1180), jumps=(), indirect=())
    call_site(function, 0x1166)          ->   Entry(TAG_call_site ...)

Callers are found in the code, not by name: a call instruction says what it calls, and the few functions that have one are all
that is read. Sources: DWARF 5, section 3.4; Intel 64 manual, CALL; GNU extension DW_TAG_GNU_call_site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.dwarf import constants as c
from probelang.dwarf.binary import Binary
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.image import SHT_NOBITS
from probelang.dwarf.plt import find_slots

if TYPE_CHECKING:
    from probelang.dwarf.files import Debug

_CALL, _JUMP = 0xE8, 0xE9
_BLOCK = 1 << 16
_REACH = 16 << 20  # bytes of code either side that are searched
_LARGEST_UNIT = 4 << 20
_MOST_ENTRIES = 1 << 20
_BLOCKS = frozenset((c.TAG_lexical_block, c.TAG_inlined_subroutine, c.TAG_try_block, c.TAG_catch_block))
_SITES = frozenset((c.TAG_call_site, c.TAG_GNU_call_site))
_PARAMETERS = frozenset((c.TAG_call_site_parameter, c.TAG_GNU_call_site_parameter))


@dataclass(frozen=True, slots=True)
class References:
    """Addresses behind the calls of a function, behind the jumps to it, and behind calls through pointers in the same unit."""

    calls: tuple[int, ...]
    jumps: tuple[int, ...]
    indirect: tuple[int, ...]


def references(debug: Debug, function: Entry, address: int, names: tuple[str, ...] = ()) -> References:
    """Every direct call of the function at `address` and jump to it, in the same file; in a library also through the PLT slots of its
    `names`. And bytes that only look like one."""
    found = debug.calls.get(address)
    if found is None:
        calls, jumps = direct_references(debug.binary, address, names)
        found = debug.calls[address] = References(calls, jumps, tuple(_indirect(debug, function.unit)))
    return found


def _indirect(debug: Debug, unit: Unit) -> Iterator[int]:
    if unit.size_bytes > _LARGEST_UNIT:
        return
    for entry in {row[2].key: row[2] for row in debug.functions.of(unit)}.values():
        for site in call_sites(entry):
            address = return_pc(site)
            if address is not None and call_target(site) and not is_tail_call(site):
                yield address


def direct_references(
    binary: Binary, address: int, names: tuple[str, ...] = ()
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Addresses behind the calls, and behind the jumps."""
    targets = {address}
    if binary.kind == "library" and names:
        targets |= {slot.address for slot in find_slots(binary) if slot.symbol in names}
    calls: list[int] = []
    jumps: list[int] = []
    for section in binary.image.sections:
        if not section.executable or section.type == SHT_NOBITS:
            continue
        low, high = max(section.address, address - _REACH), min(section.end, address + _REACH)
        if low < high:
            start = section.offset + low - section.address
            data = binary.image.bytes_at(start, high - low, f"section `{section.name}`")
            for target in targets:
                for end, is_call in _far(data, low, target):
                    (calls if is_call else jumps).append(end)
            jumps += _near(data, low, address)
    return tuple(calls), tuple(jumps)


def _far(data: bytes, start: int, target: int) -> Iterator[tuple[int, bool]]:
    """Where instructions with a distance of 4 bytes end, and whether they are calls."""
    for first in range(0, len(data), _BLOCK):
        # within a block the high halves of the distances are two numbers, for which `re` can look
        farthest = target - start - first
        halves = {(far >> 16).to_bytes(2, "little", signed=True) for far in (farthest, farthest - _BLOCK - 6)}
        high = b"|".join(re.escape(half) for half in sorted(halves))
        for opcodes in (rb"[\xe8\xe9]", rb"\x0f[\x80-\x8f]"):
            search = re.compile(opcodes + rb"..(?:" + high + rb")", re.DOTALL).search
            end = min(first + _BLOCK + 5, len(data))
            found = search(data, first, end)
            while found is not None:
                distance = int.from_bytes(data[found.end() - 4 : found.end()], "little", signed=True)
                if start + found.end() + distance == target and found.start() < first + _BLOCK:
                    yield start + found.end(), data[found.end() - 5] == _CALL
                found = search(data, found.start() + 1, end)


def _near(data: bytes, start: int, target: int) -> Iterator[int]:
    """Where jumps with a distance of one byte end."""
    first = target - start
    for at in range(max(first - 129, 0), min(first + 126, len(data) - 1)):
        is_jump = data[at] == 0xEB or data[at] & 0xF0 == 0x70
        if is_jump and at + 2 + int.from_bytes(data[at + 1 : at + 2], signed=True) == first:
            yield start + at + 2


@dataclass(frozen=True, slots=True)
class Jump:
    """`end`: behind the instruction."""

    end: int
    target: int


def tail_jump(binary: Binary, site: Entry) -> Jump | None:
    """The direct jump that replaces a call; None where it is none."""
    start, end = site.address(c.AT_call_pc), return_pc(site)
    if start is None:
        target = None if end is None else _jump(_code(binary, end - 6), end)
        return None if target is None or end is None else Jump(end, target)
    for size in (2, 5, 6):
        target = _jump(_code(binary, start)[:size], start + size)
        if target is not None:
            return Jump(start + size, target)
    return None


def _code(binary: Binary, address: int) -> bytes:
    offset = binary.image.offset_of(address)
    return b"" if offset is None else binary.image.data[offset : offset + 6]


def _jump(code: bytes, end: int) -> int | None:
    """The target of a jump with which these bytes end."""
    far = (len(code) >= 5 and code[-5] == _JUMP) or (
        len(code) == 6 and code[0] == 0x0F and code[1] & 0xF0 == 0x80
    )
    if far:
        return end + int.from_bytes(code[-4:], "little", signed=True)
    if len(code) >= 2 and (code[-2] == 0xEB or code[-2] & 0xF0 == 0x70):
        return end + int.from_bytes(code[-1:], "little", signed=True)
    return None


def call_sites(function: Entry) -> Iterator[Entry]:
    """Those in a function, and in what is inlined into it."""
    waiting = [function]
    for _ in range(_MOST_ENTRIES):
        if not waiting:
            return
        for child in waiting.pop().children():
            if child.tag in _SITES:
                yield child
            elif child.tag in _BLOCKS:
                waiting.append(child)


def return_pc(site: Entry) -> int | None:
    """The address behind the call."""
    found = site.address(c.AT_call_return_pc)
    return site.address(c.AT_low_pc) if found is None and site.tag == c.TAG_GNU_call_site else found


def is_tail_call(site: Entry) -> bool:
    return site.flag(c.AT_call_tail_call) or site.flag(c.AT_GNU_tail_call)


def call_target(site: Entry) -> bytes | None:
    """The expression of what a call through a pointer calls."""
    return site.expression(c.AT_call_target) or site.expression(c.AT_GNU_call_site_target)


def call_site(function: Entry, address: int, jumped: bool = False) -> Entry | None:
    """The call in `function` that returns to `address`, or the jump in its place that ends there."""
    for site in call_sites(function):
        if is_tail_call(site) != jumped:
            continue
        start = site.address(c.AT_call_pc)
        if return_pc(site) == address or (jumped and start is not None and start < address <= start + 6):
            return site
    return None


def parameters(site: Entry) -> Iterator[Entry]:
    return (child for child in site.children() if child.tag in _PARAMETERS)


def parameter_value(parameter: Entry) -> bytes | None:
    """The expression of what is passed, to be evaluated in the caller."""
    return parameter.expression(c.AT_call_value) or parameter.expression(c.AT_GNU_call_site_value)


def parameter_data_value(parameter: Entry) -> bytes | None:
    """Of what is at the address that is passed."""
    found = parameter.expression(c.AT_call_data_value)
    return found or parameter.expression(c.AT_GNU_call_site_data_value)


def parameter_entry(parameter: Entry) -> Entry | None:
    """The parameter that it is for, where it is passed in no place."""
    found = parameter.reference(c.AT_call_parameter)
    return found or parameter.reference(c.AT_abstract_origin)
