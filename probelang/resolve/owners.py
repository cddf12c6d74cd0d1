"""Whose statement a row of the line table is: of the function, or of a copy that was inlined into it.

    Owners(debug).of(row)   ->   [Entry(TAG_subprogram main), Entry(TAG_inlined_subroutine inl)]      inl's, in main

By address alone that would often be wrong in optimised code: a copy's addresses hold statements of what is around it, and some of its own
lie outside. A statement is in the file of its function and not before its declaration; of the functions around an address, and if none
of these can be then of the copies in the function at all, the one declared last before the line is it.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.dwarf import constants as c
from probelang.dwarf.callsites import within
from probelang.dwarf.declarations import declared_at
from probelang.dwarf.entry import Entry
from probelang.dwarf.files import Debug
from probelang.dwarf.instances import entry_address
from probelang.dwarf.lines import LineRow
from probelang.dwarf.ranges import entry_ranges

MAXIMUM_DEPTH = 200


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A function or copy with the copies directly in it. `chain`: it, behind all that are around it."""

    chain: tuple[Entry, ...]
    ranges: tuple[tuple[int, int], ...]
    file: str
    line: int
    inner: tuple[Node, ...]

    def holds(self, address: int) -> bool:
        return any(low <= address < high for low, high in self.ranges)

    def may_have(self, row: LineRow) -> bool:
        return self.file == row.file and self.line <= row.line

    def distance(self, address: int) -> int:
        """0 where it begins."""
        if entry_address(self.chain[-1]) == address:
            return 0
        return 1 + min((max(low - address, address - high, 0) for low, high in self.ranges), default=1 << 64)


class Owners:
    """Of the statements of one file; each function is read once."""

    def __init__(self, debug: Debug) -> None:
        self._debug = debug
        self._known: dict[tuple[int, int], Node] = {}

    def of(self, row: LineRow) -> tuple[Entry, ...]:
        """The owner, last, behind what is around it; empty where no function is known."""
        function = self._debug.functions.at(row.address)
        return () if function is None else self.within(function, row)

    def within(self, function: Entry, row: LineRow) -> tuple[Entry, ...]:
        node = self._node(function)
        around = [node]
        while (inner := next((n for n in around[-1].inner if n.holds(row.address)), None)) is not None:
            around.append(inner)
        own = [n for n in around if n.may_have(row)]
        if own:
            return max(own, key=lambda n: (n.line, len(n.chain))).chain
        strays = [n for n in _all(node) if n.may_have(row)]
        if not strays:
            return around[-1].chain
        return min(strays, key=lambda n: (-n.line, n.distance(row.address))).chain

    def _node(self, function: Entry) -> Node:
        node = self._known.get(function.key)
        if node is None:
            node = self._known[function.key] = _read(function, ())
        return node


def _read(entry: Entry, around: tuple[Entry, ...]) -> Node:
    chain = (*around, entry)
    copies = (e for e in within(entry, inlined=False) if e.tag == c.TAG_inlined_subroutine)
    inner = tuple(_read(copy, chain) for copy in copies) if len(chain) < MAXIMUM_DEPTH else ()
    return Node(chain, tuple(entry_ranges(entry)), *declared_at(entry), inner)


def _all(node: Node) -> list[Node]:
    return [node, *(below for inner in node.inner for below in _all(inner))]
