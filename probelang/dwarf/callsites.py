"""The calls in a function that debug information knows, with the functions that they call.

    call_sites(entry of main)  ->  (CallSite(callee=Entry(TAG_subprogram ...), return_address=0x1158), ...)

Compilers describe calls of optimised code only. Source: DWARF 5, section 3.4; before it the GNU entries of the same meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from probelang.dwarf import constants as c
from probelang.dwarf.entry import Entry

_TAGS = frozenset((c.TAG_call_site, c.TAG_GNU_call_site))
MAXIMUM_DEPTH = 200


@dataclass(frozen=True, slots=True, eq=False)
class CallSite:
    """`callee`: the function's entry, or its declaration or abstract instance; None for a call through a pointer. `return_address`:
    in the image, what the callee returns to; None for a jump that replaces a call."""

    callee: Entry | None
    return_address: int | None


def call_sites(function: Entry) -> tuple[CallSite, ...]:
    """Of a function or an inlined copy, calls of what was inlined into it included."""
    return tuple(_site(entry) for entry in within(function, inlined=True) if entry.tag in _TAGS)


def within(entry: Entry, inlined: bool, depth: int = 0) -> Iterator[Entry]:
    """All that lies in the blocks of a function; `inlined`: and in copies that were inlined into it, which themselves are always there."""
    for child in entry.children():
        yield child
        if child.tag == c.TAG_subprogram or depth > MAXIMUM_DEPTH:
            continue  # a nested function is one of its own
        if inlined or child.tag != c.TAG_inlined_subroutine:
            yield from within(child, inlined, depth + 1)


def _site(entry: Entry) -> CallSite:
    callee = entry.reference(c.AT_call_origin)
    if callee is None and entry.tag == c.TAG_GNU_call_site:
        callee = entry.reference(c.AT_abstract_origin)
    if entry.flag(c.AT_call_tail_call) or entry.flag(c.AT_GNU_tail_call):
        return CallSite(callee, None)
    address = entry.address(c.AT_call_return_pc)
    if address is None:  # of GNU entries it is the return address, too; of call_pc it is the call itself
        address = entry.address(c.AT_low_pc)
    return CallSite(callee, address)
