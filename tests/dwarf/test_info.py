"""Units, entries, ranges, locations and names of debug information, beside pyelftools; and the same in every form it can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.enums import ENUM_DW_AT
from elftools.dwarf.locationlists import BaseAddressEntry as LocationBase
from elftools.dwarf.locationlists import LocationEntry
from elftools.dwarf.ranges import BaseAddressEntry as RangeBase
from elftools.dwarf.ranges import RangeEntry
from elftools.elf.elffile import ELFFile

from probelang.dwarf import constants as c
from probelang.dwarf.binary import open_binary
from probelang.dwarf.ctypes import Enum, Struct, bare, size_of, type_name
from probelang.dwarf.debugfile import find_debug_file
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug, open_debug
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.ranges import entry_locations, entry_ranges
from probelang.dwarf.types import own_name
from tests.dwarf.variants import FEW, VARIANTS


def some(names: list[str]) -> list[ParameterSet]:
    return [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in names]


PLAIN = [v.name for v in VARIANTS if not v.tools and "split" not in v.name and v.name != "gcc-zlib-gnu"]
ELSEWHERE = [v.name for v in VARIANTS if v.name not in PLAIN]
Build = Callable[[str], Path]


def debug(path: Path) -> Debug:
    found = open_debug(open_binary(str(path)))
    assert found is not None
    return found


@pytest.fixture(params=some(PLAIN))
def both(request: pytest.FixtureRequest, variant: Build) -> Iterator[tuple[DebugInfo, DWARFInfo]]:
    path = variant(request.param)
    file = find_debug_file(open_binary(str(path)))
    assert file is not None
    with path.open("rb") as stream:
        yield DebugInfo(file), ELFFile(stream).get_dwarf_info()


def pairs(info: DebugInfo, oracle: DWARFInfo) -> Iterator[tuple[Unit, CompileUnit]]:
    theirs = list(oracle.iter_CUs())
    assert [u.offset for u in info.units] == [u.cu_offset for u in theirs]
    yield from zip(info.units, theirs, strict=True)


def entries(unit: Unit) -> list[Entry]:
    return [unit.root, *unit.root.descendants()]


def dies(unit: CompileUnit) -> list[DIE]:
    return [die for die in unit.iter_DIEs() if not die.is_null()]


def test_units(both: tuple[DebugInfo, DWARFInfo]) -> None:
    for unit, other in pairs(*both):
        assert (unit.version, unit.size_bytes) == (other["version"], other.size)
        assert unit.root.offset == other.get_top_DIE().offset


def test_entries_and_what_stands_in_them(both: tuple[DebugInfo, DWARFInfo]) -> None:
    for unit, other in pairs(*both):
        found, expected = entries(unit), dies(other)
        assert [e.offset for e in found] == [d.offset for d in expected]
        for entry, die in zip(found, expected, strict=True):
            assert f"DW_TAG_{tag_name(entry.tag)}" == die.tag
            assert {attribute_name(a): plain(v) for a, (_, v) in entry.values().items()} == {
                usual(name): 1 if a.form == "DW_FORM_flag_present" else plain(a.raw_value)
                for name, a in die.attributes.items()
            }


def test_text(both: tuple[DebugInfo, DWARFInfo]) -> None:
    for unit, other in pairs(*both):
        for entry, die in zip(entries(unit), dies(other), strict=True):
            name = die.attributes.get("DW_AT_name")
            assert entry.raw_text(c.AT_name) == (name.value if name else b"")


def test_the_children_of_an_entry(both: tuple[DebugInfo, DWARFInfo]) -> None:
    for unit, other in pairs(*both):
        for entry, die in zip(entries(unit), dies(other), strict=True):
            assert [e.offset for e in entry.children()] == [d.offset for d in die.iter_children()]


def test_one_attribute_reads_as_all_do(both: tuple[DebugInfo, DWARFInfo]) -> None:
    for unit in both[0].units:
        for entry in entries(unit):
            fresh = unit.entry(entry.position)
            assert {a: fresh.get(a) for a in entry.values()} == entry.values()


def test_references(both: tuple[DebugInfo, DWARFInfo]) -> None:
    info, oracle = both
    seen = 0
    for unit, other in pairs(info, oracle):
        for entry, die in zip(entries(unit), dies(other), strict=True):
            for attribute in (c.AT_type, c.AT_abstract_origin, c.AT_specification):
                name = attribute_name(attribute)
                if name in die.attributes and die.attributes[name].form != "DW_FORM_ref_sig8":
                    target = entry.reference(attribute)
                    assert target is not None
                    assert target.offset == die.get_DIE_from_attribute(name).offset
                    seen += 1
    if info.units[0].root.has(c.AT_producer) and any(e.tag == c.TAG_variable for e in entries(info.units[0])):
        assert seen


def test_ranges(both: tuple[DebugInfo, DWARFInfo]) -> None:
    info, oracle = both
    for unit, other in pairs(info, oracle):
        for entry, die in zip(entries(unit), dies(other), strict=True):
            assert entry_ranges(entry) == expected_ranges(oracle, other, die)


def test_locations(both: tuple[DebugInfo, DWARFInfo]) -> None:
    info, oracle = both
    for unit, other in pairs(info, oracle):
        for entry, die in zip(entries(unit), dies(other), strict=True):
            assert entry_locations(entry) == expected_locations(oracle, other, die)


def test_every_name_leads_to_its_unit(both: tuple[DebugInfo, DWARFInfo]) -> None:
    info, oracle = both
    for unit, other in pairs(info, oracle):
        named = [d for d in dies(other)[1:] if "DW_AT_name" in d.attributes]
        for name in {d.attributes["DW_AT_name"].value for d in named}:
            assert unit in info.units_naming(name), name


def test_a_name_that_nothing_has_leads_nowhere(both: tuple[DebugInfo, DWARFInfo]) -> None:
    assert both[0].units_naming(b"no_such_name_at_all") == ()


def test_every_address_leads_to_its_unit(both: tuple[DebugInfo, DWARFInfo]) -> None:
    info, oracle = both
    for unit, other in pairs(info, oracle):
        for low, high in expected_ranges(oracle, other, other.get_top_DIE()):
            assert info.unit_at(low) is unit
            assert info.unit_at(high - 1) is unit
    assert info.unit_at(0x7FFF_0000_0000) is None


# ------------------------------------------------------------------------------------------ forms of the same


def shape_of(found: Debug) -> dict[str, list[tuple[object, ...]]]:
    """Function -> what stands in it: tags, names, types, ranges, and where variables are; without what depends on the form."""
    shapes: dict[str, list[tuple[object, ...]]] = {}
    for unit in found.info.units:
        for _, _, function in found.functions.of(unit.full):
            rows = [row(found, entry) for entry in (function, *function.descendants()) if entry.tag in KEPT]
            shapes[own_name(function)] = rows
    return shapes


KEPT = (
    c.TAG_subprogram,
    c.TAG_lexical_block,
    c.TAG_formal_parameter,
    c.TAG_variable,
    c.TAG_inlined_subroutine,
)


def row(found: Debug, entry: Entry) -> tuple[object, ...]:
    locations = entry_locations(entry)
    if isinstance(locations, list):
        shown: object = [(low, high, shown_expression(e)) for low, high, e in locations if low < high]
    else:
        shown = shown_expression(locations or b"")
    return (entry.tag, own_name(entry), type_name(found.types.of(entry)), entry_ranges(entry), shown)


def shown_expression(expression: bytes) -> bytes | str:
    """References to other entries and addresses by index stand in each form in another way."""
    by_index = (0x03, 0xA1, 0xFB)
    if expression[:1] and expression[0] in by_index:
        return "an address"
    return "computed" if any(op in expression for op in (0xA3, 0xF3, 0xA5, 0xF5)) else expression


@pytest.mark.parametrize("name", some(ELSEWHERE))
def test_split_and_shared_information_says_the_same(name: str, variant: Build) -> None:
    compiler, version, *_ = name.split("-")
    usual = BESIDE.get(name) or f"{compiler}-{version}-types"
    there = shape_of(debug(variant(name)))
    here = shape_of(debug(variant(usual)))
    assert there == here
    assert {"main", "total"} <= here.keys()


BESIDE = {"gcc-split-zlib": "gcc-zlib", "gcc-zlib-gnu": "gcc-zlib"}


@pytest.mark.parametrize("name", some([v.name for v in VARIANTS if v.name != "clang-lines-only"]))
def test_a_type_by_name(name: str, variant: Build) -> None:
    types = debug(variant(name)).types
    node = types.find("struct node")
    assert isinstance(node, Struct)
    assert not node.declared
    assert (node.name, node.size_bytes) == ("node", 56)
    rows = [(m.name, m.offset_bytes, m.bit_size, type_name(m.type.get())) for m in node.members]
    long_name = next(n for n in ("long int", "long") if any(n in r[3] for r in rows))
    assert rows == [
        ("next", 0, 0, "struct node *"), ("id", 8, 0, "int"), (None, 12, 0, "union {...}"), ("bits", 16, 3, "int"),
        ("numbers_of_node", 24, 0, f"{long_name} [4]"),
    ]  # fmt: skip
    color = types.find("enum color")
    assert isinstance(color, Enum)
    assert color.values.get() == (("red", 0), ("green", 5))
    alias = types.find("node_t")
    assert alias is not None
    assert size_of(bare(alias)) == 56


# ------------------------------------------------------------------------------------------------- the oracle


def tag_name(tag: int) -> str:
    return TAGS[tag]


def attribute_name(attribute: int) -> str:
    return ATTRIBUTES.get(attribute) or next(n for n, value in ENUM_DW_AT.items() if value == attribute)


def usual(name: str) -> str:
    """One name for what has two."""
    return "DW_AT_linkage_name" if name == "DW_AT_MIPS_linkage_name" else name


def _names(prefix: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, value in vars(c).items():
        if name.startswith(prefix):
            found.setdefault(value, name)
    return found


TAGS = {value: name.removeprefix("TAG_") for value, name in _names("TAG_").items()}
ATTRIBUTES = {value: f"DW_{name}" for value, name in _names("AT_").items()}


def plain(value: object) -> object:
    """pyelftools gives blocks as lists, flags as booleans."""
    if isinstance(value, list):
        return bytes(value)  # pyright: ignore[reportUnknownArgumentType]
    return int(value) if isinstance(value, bool) else value


def base_address(unit: CompileUnit) -> int:
    low = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    return low.value if low else 0


def expected_ranges(oracle: DWARFInfo, unit: CompileUnit, die: DIE) -> list[tuple[int, int]]:
    if "DW_AT_ranges" in die.attributes:
        base = base_address(unit)
        found: list[tuple[int, int]] = []
        lists = oracle.range_lists()
        assert lists is not None
        for entry in lists.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, unit):
            match entry:
                case RangeBase():
                    base = entry.base_address
                case RangeEntry():
                    start = 0 if entry.is_absolute else base
                    found.append((start + entry.begin_offset, start + entry.end_offset))
        return [(low, high) for low, high in found if low < high]
    low, high = die.attributes.get("DW_AT_low_pc"), die.attributes.get("DW_AT_high_pc")
    if low is None or high is None:
        return []
    end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
    return [(low.value, end)] if low.value < end else []


def expected_locations(
    oracle: DWARFInfo, unit: CompileUnit, die: DIE
) -> bytes | list[tuple[int, int, bytes]] | None:
    found = die.attributes.get("DW_AT_location")
    if found is None:
        return None
    if isinstance(found.value, list):
        return bytes(found.value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    base = base_address(unit)
    rows: list[tuple[int, int, bytes]] = []
    lists = oracle.location_lists()
    assert lists is not None
    for entry in lists.get_location_list_at_offset(found.value, die):
        match entry:
            case LocationBase():
                base = entry.base_address
            case LocationEntry():
                start = 0 if entry.is_absolute else base
                rows.append((start + entry.begin_offset, start + entry.end_offset, bytes(entry.loc_expr)))
            case _:  # views
                pass
    return rows
