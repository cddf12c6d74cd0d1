"""Which function an address belongs to, by the symbol tables.

    names = code_names(binary)
    names.at(0x1149)   ->  Covering("main", symbol=b"main", start=0x1139, size_bytes=0x31)
    names.at(0x1036)   ->  Covering("puts@plt", ...)

Of several symbols that cover an address the nearest one is taken, of several at one address the one that people call it by. A symbol without
a size, as hand-written assembly has, reaches to the next one, and counts only where no other covers the address. Of stripped files the unwind
information still tells the functions, without names.
Source: System V ABI chapter 4 (symbol table).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from probelang.dwarf.binary import Binary, code_ranges
from probelang.dwarf.extents import Extents
from probelang.dwarf.functions import FRAGMENT, display_name, preference
from probelang.dwarf.image import BinaryError
from probelang.dwarf.plt import find_slots
from probelang.dwarf.symbols import ENTRY, FUNCTIONS, SHN_ABS, STB_LOCAL, STT_GNU_IFUNC, Symbol, SymbolTable

_STT_NOTYPE = 0
_PLT_BYTES = 16
_MOST_OUTER = 16
"""Symbols that begin before the nearest one and may still cover an address."""


class Covering(NamedTuple):
    """`name`: as people know it (C++ demangled, without parameters, of a part that was moved away the function's); empty where only
    unwind information knows the function."""

    name: str
    symbol: bytes
    start: int
    size_bytes: int


class CodeNames:
    """The functions of some symbol tables by address. Names are read when they are asked for: tables may have a million."""

    def __init__(
        self,
        tables: Sequence[SymbolTable],
        ranges: Sequence[tuple[int, int]],
        extents: Extents | None = None,
    ) -> None:
        self._tables = tables
        self._ranges = ranges
        self._extents = extents
        self._known: dict[int, Covering] = {}
        self._slots: list[tuple[int, str]] = []

    def add_slots(self, slots: Iterable[tuple[int, str]]) -> None:
        """Stubs of the procedure linkage table, by address."""
        self._slots = sorted(slots)

    @cached_property
    def _rows(self) -> tuple[array[int], list[tuple[int, int, int, int]]]:
        """Where each symbol begins, ascending; its size, table, number there, and type."""
        found: list[tuple[int, int, int, int, int]] = []
        for number, table in enumerate(self._tables):
            for index, (_, info, _, shndx, value, size) in enumerate(ENTRY.iter_unpack(table.entries)):
                kind = info & 15
                if (kind in FUNCTIONS or kind == _STT_NOTYPE) and 0 < shndx != SHN_ABS and value:
                    found.append((value, size, number, index, kind))
        found = [row for row in found if any(low <= row[0] < high for low, high in self._ranges)]
        found.sort()
        starts = array("Q", [row[0] for row in found])
        return starts, [row[1:] for row in found]

    def at(self, address: int) -> Covering | None:
        starts, rows = self._rows
        index = bisect_right(starts, address)
        bare: range | None = None
        for left in range(_MOST_OUTER, 0, -1):
            group = self._before(index)
            if not group:
                break
            covering = [i for i in group if address < starts[i] + rows[i][0]]
            if covering:
                return self._best(covering)
            if left == _MOST_OUTER:
                bare = group
            index = group.start
        slot = self._slot(address)
        if slot is not None or bare is None or not self._same_range(starts[bare.start], address):
            return slot or self._nameless(address)
        unsized = [i for i in bare if not rows[i][0]]
        nameless = self._nameless(address)
        if not unsized or (nameless is not None and nameless.start > starts[bare.start]):
            return nameless
        return self._best(unsized)

    def _nameless(self, address: int) -> Covering | None:
        """Of stripped files."""
        found = None if self._extents is None else self._extents.by_entry(address)
        return None if found is None else Covering("", b"", found[0], found[1] - found[0])

    def _before(self, index: int) -> range:
        """The symbols before number `index` that begin where the last of them does."""
        starts, first = self._rows[0], index
        while first and starts[first - 1] == starts[index - 1]:
            first -= 1
        return range(first, index)

    def _same_range(self, start: int, address: int) -> bool:
        return any(low <= start and address < high for low, high in self._ranges)

    def _slot(self, address: int) -> Covering | None:
        index = bisect_right(self._slots, (address, "\U0010ffff")) - 1
        if index < 0 or address >= self._slots[index][0] + _PLT_BYTES:
            return None
        start, name = self._slots[index]
        return Covering(f"{name}@plt", b"", start, _PLT_BYTES)

    def _best(self, indexes: list[int]) -> Covering:
        starts, rows = self._rows
        start = starts[indexes[0]]
        known = self._known.get(start)
        if known is None:
            functions = [i for i in indexes if rows[i][3] != _STT_NOTYPE] or indexes
            symbols = [self._symbol(start, i) for i in functions]
            best = min(symbols, key=preference)
            size = max(s.size for s in symbols)
            known = self._known[start] = Covering(shown_name(best.name), best.name, start, size)
        return known

    def _symbol(self, start: int, row: int) -> Symbol:
        size, number, index, kind = self._rows[1][row]
        table = self._tables[number]
        info = table.entries[index * ENTRY.size + 4]
        return Symbol(table.name_at(index), start, size, info >> 4 != STB_LOCAL, kind == STT_GNU_IFUNC)


def shown_name(symbol: bytes) -> str:
    """`f.cold` is the part of f that the compiler moved away."""
    moved = FRAGMENT.search(symbol)
    return display_name(symbol if moved is None else symbol[: moved.start()])


def _extents(binary: Binary) -> Extents | None:
    try:
        return Extents(binary)
    except BinaryError:
        return None


def code_names(binary: Binary) -> CodeNames:
    names = CodeNames(binary.tables, code_ranges(binary.image), _extents(binary))
    with suppress(BinaryError):
        names.add_slots((slot.address, slot.name) for slot in find_slots(binary))
    return names
