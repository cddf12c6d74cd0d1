"""Entries of functions by name, and what refers to them: found by searching bytes, without a walk.

    entries_named(info, b"list_insert")   ->  declarations, abstract instances, functions, and all that have one of these as origin

The string is searched, then the numbers that refer to the string, then those that refer to the entries; only the entries in which these
numbers lie are read. Source: DWARF 5, sections 2.13, 3.3.8 and the forms of 7.5.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.naming import string_places
from probelang.dwarf.sweep import FUNCTIONS, PLAIN_C, Found, places_of, sweep, sweep_scope
from probelang.dwarf.types import own_name

MOST_SPELLINGS, MOST_HEADS = 24, 128
_ORIGINS = (c.AT_abstract_origin, c.AT_specification)
# an origin by DW_FORM_ref_addr; two zeros stand before the number of an abbreviation and its tag, which may look the same
_ACROSS = re.compile(b"(?<!\\0\\0)[%c%c]%c" % (*_ORIGINS, c.FORM_ref_addr))
_SUBPROGRAM = frozenset((c.TAG_subprogram,))
_VARIABLE = frozenset((c.TAG_variable,))
_VARIABLES = frozenset((c.TAG_variable, c.TAG_member))
_OF_SECTION = frozenset((c.FORM_ref_addr,))


def entries_named(info: DebugInfo, last: bytes) -> list[Found] | None:
    """Of functions called so (DW_AT_name), also with template arguments, each with the function with code around it. None where there
    are so many that a walk is quicker."""
    found: dict[tuple[int, int], Found] = {}
    spellings = _spellings(info, last)
    if spellings is None:
        return None
    for name in spellings:
        for unit in info.units_naming(name):
            for entry, function in _called(unit, name):
                if not _is_import(entry):
                    found.setdefault(entry.key, (entry, function))
    if len(found) > MOST_HEADS:
        return None
    heads = [entry for entry, _ in found.values()]
    return [*found.values(), *entries_from(info, heads, set(found))]


def _is_import(entry: Entry) -> bool:
    """What C code only calls, which nothing has as its origin. A method's declaration stands in its class, and its definition refers
    to that."""
    return entry.flag(c.AT_declaration) and entry.unit.language in PLAIN_C


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


def _spellings(info: DebugInfo, name: bytes) -> list[bytes] | None:
    """The name, and with template arguments as the compiler wrote them; None: too many."""
    found = {name: None}
    strings = info.section(".debug_str")
    position = strings.find(name + b"<") if b"<" not in name else -1
    while position >= 0:
        text = strings.text(position)
        if b"::" not in text.split(b"<")[0]:
            found[text] = None
        if len(found) > MOST_SPELLINGS:
            return None
        position = strings.find(name + b"<", position + 1)
    return list(found)


def _called(unit: Unit, name: bytes) -> Iterator[Found]:
    """The functions of this very name (DW_AT_name)."""
    places = name_places(unit, name)
    # the strings of a split unit are in its own file, where spellings with template arguments were not looked for
    start = name + b"<" if unit.kind == "split" else None
    for entry, function in sweep(unit, _SUBPROGRAM, places) if places else ():
        text = entry.raw_text(c.AT_name)
        if text == name or (start is not None and text.startswith(start)):
            yield entry, function


def named_in_scope(unit: Unit, name: bytes, tags: frozenset[int]) -> Iterator[tuple[Entry, str]]:
    """Entries of these tags that are called so (DW_AT_name) in the scope of the file, its namespaces and classes, with what these put
    before the name. Raises BinaryError."""
    places = name_places(unit, name)
    for entry, prefix in sweep_scope(unit, tags, places) if places else ():
        if entry.raw_text(c.AT_name) == name:
            yield entry, prefix


def variables_named(unit: Unit, name: bytes) -> list[tuple[Entry, str]]:
    """Variables and members of this name in the scope of a unit, as `named_in_scope` has them; also definitions that have the name from
    their declaration. Raises BinaryError."""
    if _refers_across(unit.info):
        text = name.decode("utf-8", "surrogateescape")
        return [
            row for row in sweep_scope(unit, _VARIABLES, range(unit.size_bytes)) if own_name(row[0]) == text
        ]
    found = {entry.position: (entry, prefix) for entry, prefix in named_in_scope(unit, name, _VARIABLES)}
    heads = set(found)
    while heads:
        rows = {
            e.position: (e, prefix) for e, prefix in _variables_from(unit, heads) if e.position not in found
        }
        found |= rows
        heads = set(rows)
    return [found[position] for position in sorted(found)]


def _variables_from(unit: Unit, heads: set[int]) -> Iterator[tuple[Entry, str]]:
    """Variables that have one of these entries of the unit as their origin."""
    places: Sequence[int] = range(unit.size_bytes)
    if _has_long_references(unit.info):
        places = sorted({p for head in heads for p in places_of(unit.data, head.to_bytes(4, "little"))})
    for entry, prefix in sweep_scope(unit, _VARIABLE, places) if places else ():
        if _refers(entry, heads, forms.UNIT_REFERENCES):
            yield entry, prefix


def _has_indexed_names(unit: Unit) -> bool:
    """DWARF 5 as LLVM writes it, and split units: a name is the number of an offset, which is too short to be searched."""
    return unit.section.name.endswith(".dwo") or unit.root.has(c.AT_str_offsets_base)


def name_places(unit: Unit, name: bytes) -> Sequence[int]:
    """Where in a unit something refers to the string, or has it in place, ascending; all places where that cannot be searched."""
    if _has_indexed_names(unit):
        return range(unit.size_bytes)
    key = b"%x:%s:%s" % (unit.offset, unit.section.name.encode(), name)
    known = unit.info.answers.get("places", key)
    if known is not None:
        return known
    found = _search(unit, name)
    if found is None:
        return range(unit.size_bytes)
    unit.info.answers.put("places", key, found)
    return found


def _search(unit: Unit, name: bytes) -> list[int] | None:
    data = unit.data
    found = set(places_of(data, name + b"\0"))
    sections = [unit.info.section(".debug_str")]
    if unit.info.alternate is not None:
        sections.append(unit.info.alternate.section(".debug_str"))
    for section in sections:
        places = string_places(name, section)
        if places is None:
            return None
        for place in places:
            found.update(places_of(data, place.to_bytes(unit.offset_size, "little")))
    return sorted(found)


def _refers_across(info: DebugInfo) -> bool:
    """Whether origins may lie in other units: what link-time optimisation and dwz make."""
    if info.alternate is not None:
        return True
    known = info.answers.get("across", b"")
    if not known:
        section = info.section(".debug_abbrev")
        known = (int(_ACROSS.search(section.take(0, section.size)) is not None),)
        info.answers.put("across", b"", known)
    return known[0] != 0


def _has_long_references(info: DebugInfo) -> bool:
    """Origins in the same unit are numbers of four bytes, which can be searched. All compilers write them so."""
    return info.section(".debug_abbrev").find(bytes((c.AT_abstract_origin, c.FORM_ref4))) >= 0


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
    section = info.section(".debug_info")
    found: dict[Unit, set[int]] = {}
    for offset in offsets:
        needle = offset.to_bytes(4, "little")
        position = section.find(needle)
        while position >= 0:
            unit = info.unit_with(position)
            if unit is not None:
                found.setdefault(unit, set()).add(position - unit.offset)
            position = section.find(needle, position + 1)
    return {unit: sorted(places) for unit, places in found.items()}
