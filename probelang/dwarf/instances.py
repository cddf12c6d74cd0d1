"""The instances of functions that a program has: the function itself, and each copy of it that was inlined elsewhere.

    find_instances(debug, "list_insert")
    ->  (Instance(name="list_insert", address=0x1139, inlined=False), Instance(name="list_insert", address=0x1204, inlined=True))

One name costs no walk (see `references.py`). A pattern reads all units, of large files once: the index keeps what they yield.
Source: DWARF 5, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.binary import code_ranges
from probelang.dwarf.declarations import declared_at, last_name, name_test, names_of, naming_entry
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug
from probelang.dwarf.functions import is_pattern
from probelang.dwarf.image import BinaryError
from probelang.dwarf.index import (
    DamagedIndex,
    FileTest,
    Index,
    NameTest,
    Row,
    built_index,
    drop_index,
    known_index,
)
from probelang.dwarf.lines import matcher
from probelang.dwarf.ranges import entry_ranges
from probelang.dwarf.references import entries_from, entries_named
from probelang.dwarf.sweep import FUNCTIONS, Found, Prefixes, has_code, sweep
from probelang.dwarf.types import origins

WALKED_BYTES = 1 << 20
"""Of more debug information the walk for a pattern is kept in an index."""


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """`entry`: of the function with code, or of the inlined copy (DW_TAG_inlined_subroutine). `function`: the one with code of its own
    around a copy; of others the same. `name`: as ppfunc() shows it; `symbol`: the linker's. `address`: where it begins, in the image."""

    entry: Entry
    function: Entry
    name: str
    symbol: str
    address: int

    @property
    def offset(self) -> int:
        """In its section: what `Debug.scope` takes as `instance`."""
        return self.entry.offset

    @property
    def inlined(self) -> bool:
        return self.entry.tag == c.TAG_inlined_subroutine

    @property
    def external(self) -> bool:
        return any(entry.flag(c.AT_external) for entry in origins(self.entry))

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return entry_ranges(self.entry)

    @property
    def line(self) -> int:
        """Where it is declared; 0 where that is not known."""
        return declared_at(self.entry)[1]

    @property
    def file(self) -> str:
        """The source file of the declaration; empty where that is not known."""
        return declared_at(self.entry)[0]


def find_instances(debug: Debug, pattern: str, file: str = "") -> tuple[Instance, ...]:
    """Every instance of the functions of that name, by address. A name is matched as symbols are (`dwarf/functions.py`). `file`: only of
    those that are declared in a file of this name."""
    matches = name_test(pattern)
    in_file = matcher(file) if file else None
    found = None if is_pattern(pattern) else _named(debug, last_name(pattern), matches, in_file)
    if found is None:
        found = _matching(debug, matches, in_file)
    instances = collect(debug, found, matches)
    return instances if in_file is None else tuple(i for i in instances if in_file(i.file))


def _named(debug: Debug, last: str, matches: NameTest, in_file: FileTest | None) -> Iterable[Found] | None:
    name = last.encode("utf-8", "surrogateescape")
    known = debug.info.answers.get("functions", name)
    if known is not None and len(known) % 3 == 0:
        with suppress(DamagedIndex):
            return [_entries(debug, Row(*known[i : i + 3])) for i in range(0, len(known), 3)]
    found = _by_index(debug, lambda index: index.named(last, matches, in_file), build=False)
    if found is None:
        found = entries_named(debug.info, name)
        if found is not None:
            _remember(debug, name, found)
    return found


def _remember(debug: Debug, name: bytes, found: list[Found]) -> None:
    """For other runs, unless something of it is in a file of its own."""
    numbers: list[int] = []
    for entry, function in found:
        if entry.unit.info is not debug.info or entry.unit.section.name != ".debug_info":
            return
        if has_code(entry):
            numbers += (entry.unit.offset, entry.position, (function or entry).position)
    debug.info.answers.put("functions", name, numbers)


def _matching(debug: Debug, matches: NameTest, in_file: FileTest | None) -> Iterable[Found]:
    units = [unit for unit in debug.info.units if unit.kind != "type"]
    if sum(unit.size_bytes for unit in units) > WALKED_BYTES:
        found = _by_index(debug, lambda index: index.matching(matches, in_file), build=True)
        if found is not None:
            return found
    if in_file is not None:
        units = [u for u in units if u.kind == "partial" or any(in_file(name) for name in u.files)]
    return (found for unit in units for found in sweep(unit.full, FUNCTIONS))


def _by_index(debug: Debug, ask: Callable[[Index], list[Row]], build: bool) -> list[Found] | None:
    """What an index says, built only if `build`; one that is damaged is made anew. None without one."""
    for _ in range(2):
        index = built_index(debug) if build else known_index(debug)
        if index is None:
            return None
        try:
            return [_entries(debug, row) for row in ask(index)]
        except DamagedIndex:
            drop_index(debug)
    return None


def units_with(debug: Debug, file: str) -> list[Unit]:
    """The units with code or declarations from a source file of this name; of large files the index knows."""
    in_file = matcher(file)
    index = known_index(debug)
    if index is not None:
        try:
            found = [debug.info.unit_with(offset) for offset in index.units_of(in_file)]
            return [unit for unit in found if unit is not None]
        except DamagedIndex:
            drop_index(debug)
    units = (unit for unit in debug.info.units if unit.kind in ("compile", "skeleton"))
    return [unit for unit in units if any(in_file(name) for name in unit.files)]


def _entries(debug: Debug, row: Row) -> Found:
    unit = debug.info.unit_with(row.unit)
    if unit is None or unit.offset != row.unit:
        raise DamagedIndex
    try:
        entry, around = unit.full.entry(row.position), unit.full.entry(row.around)
    except BinaryError:
        raise DamagedIndex from None
    if entry.tag not in FUNCTIONS or around.tag != c.TAG_subprogram:
        raise DamagedIndex
    return entry, around


def collect(debug: Debug, found: Iterable[Found], matches: NameTest) -> tuple[Instance, ...]:
    """Functions and copies whose code is in the file, each once. The linker keeps one of several equal functions, and debug information
    of all of them may point to it: the one of the unit that has the address counts."""
    ranges = code_ranges(debug.binary.image)
    prefixes = Prefixes()
    names: dict[tuple[int, int], tuple[str, str, bool]] = {}
    best: dict[tuple[int, str, bool, tuple[tuple[int, int], ...]], Instance] = {}
    for entry, function in found:
        if not has_code(entry):
            continue
        root = naming_entry(entry)
        row = names.get(root.key)
        if row is None:
            name, symbol = names_of(prefixes, entry, root)
            row = names[root.key] = name, symbol, matches(name, symbol)
        name, symbol, is_match = row
        if not is_match:
            continue
        address = entry_address(entry)
        if address is None or not any(low <= address < high for low, high in ranges):
            continue
        instance = Instance(entry, function or entry, name, symbol, address)
        if not instance.inlined:
            instance = Instance(entry, entry, name, symbol, address)
        key = address, name, instance.inlined, tuple(instance.ranges) if instance.inlined else ()
        known = best.get(key)
        if known is None or (
            known.entry.unit is not entry.unit and debug.info.unit_at(address) is entry.unit
        ):
            best[key] = instance
    instances = tuple(sorted(best.values(), key=lambda i: (i.address, i.inlined, i.offset)))
    for instance in instances:
        debug.functions.note(instance.address, instance.function)
    return instances


def entry_address(entry: Entry) -> int | None:
    """Where execution enters: DW_AT_entry_pc, or the first address."""
    form, value = entry.get(c.AT_entry_pc) or (0, None)
    low = entry.address(c.AT_low_pc)
    if isinstance(value, int):
        if form == c.FORM_addr or form in forms.ADDRESS_INDEXES:
            return entry.address(c.AT_entry_pc)
        base = low if low is not None else next((start for start, _ in entry_ranges(entry)), None)
        return None if base is None else base + value
    if low is not None and not entry.has(c.AT_ranges):
        return low if entry_ranges(entry) else None
    return next((start for start, _ in entry_ranges(entry)), None)


def instance_of(entry: Entry, function: Entry) -> Instance:
    """The instance that an entry is. `function`: the one with code around it, or the same."""
    name, symbol = names_of(Prefixes(), entry, naming_entry(entry))
    address = entry_address(entry)
    return Instance(entry, function, name, symbol, 0 if address is None else address)


def instances_from(debug: Debug, heads: Iterable[Entry]) -> tuple[Instance, ...]:
    """The instances of a function whose entries (declaration, abstract or with code) these are."""
    entries = list({entry.key: entry for entry in heads}.values())
    seen = {entry.key for entry in entries}
    own = [(e, None) for e in entries if e.tag == c.TAG_subprogram]
    return collect(debug, [*own, *entries_from(debug.info, entries, seen)], lambda name, symbol: True)
