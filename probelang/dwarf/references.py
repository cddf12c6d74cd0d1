"""Entries of functions by name, and what refers to them: found by searching bytes, without a walk.

    entries_named(info, b"list_insert")   ->  declarations, abstract instances, functions, and all that have one of these as origin

The string is searched, then the numbers that refer to the string, then those that refer to the entries; only the entries in which these
numbers lie are read. Source: DWARF 5, sections 2.13, 3.3.8 and the forms of 7.5.6.
"""

from __future__ import annotations

from collections.abc import Iterator

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.sweep import FUNCTIONS, Found, places_of, sweep

MOST_NAMES = 4096
_ORIGINS = (c.AT_abstract_origin, c.AT_specification)
_PLAIN_C = frozenset((0x1, 0x2, 0xC, 0x1D, 0x2C))  # C89, C, C99, C11, C17
_OF_SECTION = frozenset((c.FORM_ref_addr,))


def entries_named(info: DebugInfo, last: bytes) -> Iterator[Found]:
    """Of functions called so (DW_AT_name), also with template arguments, each with the function with code around it."""
    heads: list[Entry] = []
    seen: set[tuple[int, int]] = set()
    for name in _spellings(info, last):
        for unit in info.units_naming(name):
            for entry, function in _called(unit, name):
                if entry.key not in seen:
                    seen.add(entry.key)
                    if not _is_import(entry):
                        heads.append(entry)
                        yield entry, function
    yield from entries_from(info, heads, seen)


def _is_import(entry: Entry) -> bool:
    """What C code only calls, which nothing has as its origin. A method's declaration stands in its class, and its definition refers
    to that."""
    return entry.flag(c.AT_declaration) and entry.unit.language in _PLAIN_C


def entries_from(info: DebugInfo, heads: list[Entry], seen: set[tuple[int, int]]) -> Iterator[Found]:
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
