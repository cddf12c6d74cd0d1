"""The instances of functions that a program has: the function itself, and each copy of it that was inlined elsewhere.

    find_instances(debug, "list_insert")
    ->  (Instance(name="list_insert", address=0x1139, inlined=False), Instance(name="list_insert", address=0x1204, inlined=True))

One name costs no walk: its string is searched, then what refers to the string, then what refers to that entry; the entries in which
these numbers lie are all that is read. Patterns read the units that they may be about. Source: DWARF 5, section 3.3.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.binary import code_ranges
from probelang.dwarf.demangle import demangle, last_component, plain_name, with_parameters, without_template
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug
from probelang.dwarf.functions import is_pattern
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.ranges import entry_ranges
from probelang.dwarf.sweep import FUNCTIONS, has_code, places_of, sweep
from probelang.dwarf.types import Types, origins, own_name

MOST_NAMES = 4096
_ORIGINS = (c.AT_abstract_origin, c.AT_specification)
_MIPS_LINKAGE_NAME = 0x2007  # DW_AT_MIPS_linkage_name, before DWARF 4
_OF_SECTION = frozenset((c.FORM_ref_addr,))

Found: TypeAlias = "tuple[Entry, Entry | None]"


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
        return next((n for e in origins(self.entry) if (n := e.number(c.AT_decl_line))), 0)

    @property
    def file(self) -> str:
        """The source file of the declaration; empty where that is not known."""
        from probelang.dwarf.lines import source_files

        for entry in origins(self.entry):
            number = entry.number(c.AT_decl_file)
            if number is not None:
                names = source_files(entry.unit)
                return names[number] if number < len(names) else ""
        return ""


def find_instances(debug: Debug, pattern: str) -> tuple[Instance, ...]:
    """Every instance of the functions of that name, by address. A name is matched as symbols are (`dwarf/functions.py`)."""
    matches = name_test(pattern)
    if is_pattern(pattern):
        found: Iterable[Found] = _every(debug, debug.info.units)
    else:
        found = _named(debug, pattern)
    return collect(debug, found, matches)


def instances_in(debug: Debug, units: Iterable[Unit], pattern: str) -> tuple[Instance, ...]:
    """Those of these units."""
    return collect(debug, _every(debug, units), name_test(pattern))


def instances_from(debug: Debug, heads: Iterable[Entry]) -> tuple[Instance, ...]:
    """The instances of a function whose entries (declaration, abstract or with code) these are."""
    entries = list({entry.key: entry for entry in heads}.values())
    seen = {entry.key for entry in entries}
    own = [(e, None) for e in entries if e.tag == c.TAG_subprogram]
    return collect(debug, [*own, *_copies(debug.info, entries, seen)], lambda name, symbol: True)


def instance_of(debug: Debug, entry: Entry, function: Entry) -> Instance:
    """The instance that an entry is. `function`: the one with code around it, or the same."""
    name, symbol, _ = _names(debug.types, entry, {}, lambda name, symbol: True)
    address = entry_address(entry)
    return Instance(entry, function, name, symbol, 0 if address is None else address)


def collect(debug: Debug, found: Iterable[Found], matches: NameTest) -> tuple[Instance, ...]:
    """Functions and copies whose code is in the file, each once. The linker keeps one of several equal functions, and debug information
    of all of them may point to it: the one of the unit that has the address counts."""
    ranges = code_ranges(debug.binary.image)
    names: dict[tuple[int, int], tuple[str, str, bool]] = {}
    best: dict[tuple[int, str, bool, tuple[tuple[int, int], ...]], Instance] = {}
    for entry, function in found:
        if not has_code(entry):
            continue
        name, symbol, is_match = _names(debug.types, entry, names, matches)
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
    return tuple(sorted(best.values(), key=lambda i: (i.address, i.inlined, i.offset)))


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


def _names(
    types: Types, entry: Entry, known: dict[tuple[int, int], tuple[str, str, bool]], matches: NameTest
) -> tuple[str, str, bool]:
    """Display name, symbol, and whether they match."""
    trail = list(origins(entry))
    last = trail[-1]
    key = last.key
    # a copy of a constructor and the constructor share the declaration: what they are called is the same
    row = known.get(key)
    if row is None:
        symbol = next(
            (s for e in trail if (s := e.text(c.AT_linkage_name) or e.text(_MIPS_LINKAGE_NAME))), ""
        )
        if symbol.startswith("_Z"):
            name = plain_name(demangle(symbol.encode("utf-8", "surrogateescape")))
        elif any(e.flag(c.AT_external) for e in trail):
            name = own_name(entry)  # extern "C": a name of its own in whatever namespace it stands
        else:
            name = types.qualified_name(last) or own_name(entry)
        row = known[key] = name, symbol, matches(name, symbol)
    return row


NameTest: TypeAlias = "Callable[[str, str], bool]"


def name_test(pattern: str) -> NameTest:
    """Does a function of this display name and symbol match a name or glob?"""
    if pattern == "*":
        return lambda name, symbol: True
    if is_pattern(pattern):
        fits = re.compile(fnmatch.translate(pattern)).match
        test: Callable[[str], bool] = lambda text: fits(text) is not None
    else:
        wanted = pattern.replace(" ", "")
        test = lambda text: text.replace(" ", "") == wanted
    qualified = "::" in pattern

    def matches(name: str, symbol: str) -> bool:
        if test(name) or (symbol and test(symbol)):
            return True
        short = without_template(name)
        if test(short) or (not qualified and test(last_component(short))):
            return True
        if not symbol.startswith("_Z"):
            return False
        return test(with_parameters(demangle(symbol.encode("utf-8", "surrogateescape"))))

    return matches


# ------------------------------------------------------------------------------------------------ all of a unit


def _every(debug: Debug, units: Iterable[Unit]) -> Iterator[Found]:
    for unit in units:
        if unit.kind != "type":
            yield from sweep(unit.full, FUNCTIONS)


# ----------------------------------------------------------------------------------------------------- one name


def _named(debug: Debug, pattern: str) -> Iterator[Found]:
    plain = plain_name(pattern) if "(" in pattern else pattern
    last = last_component(plain)
    heads: list[Entry] = []
    seen: set[tuple[int, int]] = set()
    for name in _spellings(debug.info, last.encode("utf-8", "surrogateescape")):
        for unit in debug.info.units_naming(name):
            for entry, function in _called(unit, name):
                if entry.key not in seen:
                    seen.add(entry.key)
                    heads.append(entry)
                    yield entry, function
    yield from _copies(debug.info, heads, seen)


def _copies(info: DebugInfo, heads: list[Entry], seen: set[tuple[int, int]]) -> Iterator[Found]:
    """What has one of these as its origin, over any number of steps."""
    across = _refers_across(info)
    while heads:
        found = list(_referring(info, heads, across))
        heads = []
        for entry, function in found:
            if entry.key not in seen:
                seen.add(entry.key)
                heads.append(entry)
                yield entry, function


def _spellings(info: DebugInfo, name: bytes) -> list[bytes]:
    """The name, and with template arguments as the compiler wrote them."""
    found = {name: None}
    if b"<" not in name:
        strings = info.section(".debug_str")
        position = strings.data.find(name + b"<")
        while position >= 0 and len(found) < MOST_NAMES:
            text = strings.text(position)
            if b"::" not in text.split(b"<")[0]:
                found[text] = None
            position = strings.data.find(name + b"<", position + 1)
    return list(found)


def _called(unit: Unit, name: bytes) -> Iterator[Found]:
    """The functions of this very name (DW_AT_name)."""
    tags = frozenset((c.TAG_subprogram,))
    positions = None if _has_indexed_names(unit) else _name_places(unit, name)
    if positions == []:
        return
    for entry, function in sweep(unit, tags, positions) if positions else _all(unit):
        if entry.tag == c.TAG_subprogram and entry.raw_text(c.AT_name) == name:
            yield entry, function


def _all(unit: Unit) -> Iterator[Found]:
    """Declarations in types, too."""
    return sweep(unit, frozenset((c.TAG_subprogram,)), range(unit.size_bytes))


def _has_indexed_names(unit: Unit) -> bool:
    """DWARF 5 as LLVM writes it, and split units: a name is the number of an offset, which is too short to be searched."""
    return unit.kind == "split" or unit.root.has(c.AT_str_offsets_base)


def _name_places(unit: Unit, name: bytes) -> list[int]:
    """Where in a unit something refers to the string, or has it in place."""
    found = places_of(unit.data, name + b"\0")
    sections = [unit.info.section(".debug_str")]
    if unit.info.alternate is not None:
        sections.append(unit.info.alternate.section(".debug_str"))
    for section in sections:
        position = section.data.find(name + b"\0")
        while position >= 0:
            found += places_of(unit.data, position.to_bytes(unit.offset_size, "little"))
            position = section.data.find(name + b"\0", position + 1)
    return sorted(set(found))


def _refers_across(info: DebugInfo) -> bool:
    """Whether origins may lie in other units: what link-time optimisation and dwz make."""
    if info.alternate is not None:
        return True
    data = info.section(".debug_abbrev").data
    return any(data.find(bytes((attribute, c.FORM_ref_addr))) >= 0 for attribute in _ORIGINS)


def _has_long_references(info: DebugInfo) -> bool:
    """Origins in the same unit are numbers of four bytes, which can be searched. All compilers write them so."""
    return info.section(".debug_abbrev").data.find(bytes((c.AT_abstract_origin, c.FORM_ref4))) >= 0


def _referring(info: DebugInfo, heads: list[Entry], across: bool) -> Iterator[Found]:
    """What has one of these entries as its origin."""
    by_unit: dict[Unit, list[Entry]] = {}
    for head in heads:
        by_unit.setdefault(head.unit, []).append(head)
    for unit, entries in by_unit.items():
        wanted = {entry.position for entry in entries}
        if not _has_long_references(unit.info):
            found = sweep(unit, FUNCTIONS, range(unit.size_bytes))
        else:
            places = {p for w in wanted for p in places_of(unit.data, w.to_bytes(4, "little"))}
            found = sweep(unit, FUNCTIONS, sorted(places)) if places else iter(())
        for entry, function in found:
            if _refers(entry, wanted, forms.UNIT_REFERENCES):
                yield entry, function
    if across:
        yield from _referring_across(info, heads)


def _refers(entry: Entry, wanted: set[int], among: frozenset[int]) -> bool:
    for attribute in _ORIGINS:
        form, value = entry.get(attribute) or (0, None)
        if form in among and value in wanted:
            return True
    return False


def _referring_across(info: DebugInfo, heads: list[Entry]) -> Iterator[Found]:
    """From any unit (DW_FORM_ref_addr), and from the main file to the one that it shares with others."""
    for reader in (info, info.alternate):
        if reader is None:
            continue
        for owner, among in ((reader, _OF_SECTION), (reader.alternate, forms.SHARED_REFERENCES)):
            offsets = {h.offset for h in heads if owner is not None and h.unit.info is owner}
            for unit, positions in _places_in(reader, offsets).items():
                for entry, function in sweep(unit, FUNCTIONS, positions):
                    if _refers(entry, offsets, among):
                        yield entry, function


def _places_in(info: DebugInfo, offsets: set[int]) -> dict[Unit, list[int]]:
    """Where in which unit one of these numbers stands."""
    data = info.section(".debug_info").data
    found: dict[Unit, set[int]] = {}
    for offset in offsets:
        needle = offset.to_bytes(4, "little")
        position = data.find(needle)
        while position >= 0:
            unit = info.unit_with(position)
            if unit is not None:
                found.setdefault(unit, set()).add(position - unit.offset)
            position = data.find(needle, position + 1)
    return {unit: sorted(places) for unit, places in found.items()}
