"""Functions and their inlined copies: what pyelftools finds by a walk over everything, found by name."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE, AttributeValue
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from probelang.dwarf.files import Debug, Files
from probelang.dwarf.instances import Instance, find_instances

SOURCES = Path(__file__).parent.parent / "exec" / "targets"
NONE: set[str] = set()
NAME = {"DW_TAG_subprogram", "DW_TAG_inlined_subroutine"}
FLAGS = [
    f"{compiler} -gdwarf-{version} -O{level}"
    for compiler in ("gcc", "g++", "clang", "clang++")
    for version in (4, 5)
    for level in (0, 2)
] + [
    "gcc -gdwarf-2 -O1",
    "g++ -gdwarf-3 -O2",
    "gcc -g -O3",
    "g++ -g -Os",
    "gcc -g -O2 -flto",
    "g++ -g -O2 -flto",
    "g++ -gdwarf-5 -gdwarf64 -O2",
]
OTHER_FORMS = [
    "gcc -g -O2 -gsplit-dwarf", "g++ -g -O2 -gsplit-dwarf", "g++ -gdwarf-4 -O2 -gsplit-dwarf", "g++ -g -O2 -fdebug-types-section", "clang -g -O2 -gsplit-dwarf",
    "gcc -g -O2 -gz",
]  # fmt: skip


def compiled(folder: Path, command: str) -> Path:
    compiler, *flags = command.split()
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    source = SOURCES / ("places.cpp" if "++" in compiler else "places.c")
    output = folder / re.sub(r"\W", "_", command)
    if not output.exists():
        # .dwo files are looked for beside
        done = subprocess.run(
            [compiler, *flags, str(source), "-o", str(output)], cwd=folder, capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"needs {command}")
    return output


def debug_of(path: Path) -> Debug:
    found = Files().debug(str(path))
    assert found is not None
    return found


def facts(instances: tuple[Instance, ...]) -> set[tuple[str, int, bool, int]]:
    """Name without namespaces and templates, address, inlined, line of the declaration."""
    return {(re.sub(r"<.*", "", i.name).split("::")[-1], i.address, i.inlined, i.line) for i in instances}


def by_walk(path: Path) -> set[tuple[str, int, bool, int]]:
    found: set[tuple[str, int, bool, int]] = set()
    with path.open("rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            for entry in unit.iter_DIEs():
                if entry.tag in NAME and (start := entry_pc(dwarf, unit, entry)) is not None:
                    name, line = declaration(entry)
                    found.add((re.sub(r"<.*", "", name), start, entry.tag != "DW_TAG_subprogram", line))
    return found


def entry_pc(dwarf: DWARFInfo, unit: CompileUnit, entry: DIE) -> int | None:
    low, pc = entry.attributes.get("DW_AT_low_pc"), entry.attributes.get("DW_AT_entry_pc")
    if low is not None:
        start = address(dwarf, unit, low)
    elif "DW_AT_ranges" in entry.attributes:
        start = first_of(dwarf, unit, entry.attributes["DW_AT_ranges"])
    else:
        return None
    if pc is None:
        return start
    return int(pc.value) if pc.form == "DW_FORM_addr" else start + int(pc.value)


def declaration(entry: DIE) -> tuple[str, int]:
    """Name and line, of the entry or its origins."""
    name, line = "", 0
    while True:
        values = entry.attributes
        if not name and "DW_AT_name" in values:
            name = bytes(values["DW_AT_name"].value).decode()
        if not line and "DW_AT_decl_line" in values:
            line = int(values["DW_AT_decl_line"].value)
        step = next((a for a in ("DW_AT_abstract_origin", "DW_AT_specification") if a in values), None)
        if step is None:
            return name, line
        entry = entry.get_DIE_from_attribute(step)


def address(dwarf: DWARFInfo, unit: CompileUnit, attribute: AttributeValue) -> int:
    if "addrx" in attribute.form:
        return int(dwarf.get_addr(unit, attribute.raw_value))
    return int(attribute.value)


def first_of(dwarf: DWARFInfo, unit: CompileUnit, attribute: AttributeValue) -> int:
    top = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    base = address(dwarf, unit, top) if top is not None else 0
    lists = dwarf.range_lists()
    assert lists is not None
    for row in lists.get_range_list_at_offset(attribute.value, unit):
        if isinstance(row, BaseAddressEntry):
            base = row.base_address
        else:
            return row.begin_offset + (0 if row.is_absolute else base)
    return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("instances")


@pytest.mark.parametrize("command", FLAGS)
def test_a_pattern_finds_what_a_walk_finds(folder: Path, command: str) -> None:
    path = compiled(folder, command)
    expected = by_walk(path)
    assert len(expected) > 4
    assert facts(find_instances(debug_of(path), "*")) == expected


@pytest.mark.parametrize("command", [*FLAGS, *OTHER_FORMS])
def test_a_name_finds_what_the_pattern_finds(folder: Path, command: str) -> None:
    debug = debug_of(compiled(folder, command))
    every = find_instances(debug, "*")
    names = {i.name for i in every}
    assert len(names) > 4
    for name in names:
        found = find_instances(debug, name)
        assert {(i.offset, i.address, i.function.offset) for i in found} == {
            (i.offset, i.address, i.function.offset) for i in every if i.name == name
        }, name


@pytest.mark.parametrize("command", OTHER_FORMS)
def test_the_form_of_the_debug_information_does_not_matter(folder: Path, command: str) -> None:
    compiler, *flags = command.split()
    plain = " ".join([compiler, *(f for f in flags if f.startswith(("-O", "-gdwarf")) or f == "-g")])
    expected = facts(find_instances(debug_of(compiled(folder, plain)), "*"))
    assert facts(find_instances(debug_of(compiled(folder, command)), "*")) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("shop::Cart::add", {"shop::Cart::add"}), ("add", {"shop::Cart::add"}), ("Cart::add", NONE),
        ("twice", {"shop::twice<long int>", "shop::twice<double>"}), ("shop::twice", {"shop::twice<long int>", "shop::twice<double>"}),
        ("shop::twice<double>", {"shop::twice<double>"}), ("Cart", {"shop::Cart::Cart"}), ("plain", {"plain"}),
        ("shop::Cart::*", {"shop::Cart::add", "shop::Cart::area", "shop::Cart::Cart", "shop::Cart::~Cart"}),
        ("secret", {"shop::(anonymous namespace)::secret"}), ("nothing", NONE), ("main", {"main"}),
    ],
)  # fmt: skip
def test_cpp_names_are_matched_as_a_whole_or_by_their_last_part(
    folder: Path, pattern: str, expected: set[str]
) -> None:
    found = find_instances(debug_of(compiled(folder, "g++ -gdwarf-5 -O0")), pattern)
    assert {i.name for i in found} == expected


def test_instances_know_where_they_are_declared(folder: Path) -> None:
    source = SOURCES / "places.c"
    text = source.read_text().splitlines()
    for instance in find_instances(debug_of(compiled(folder, "gcc -gdwarf-5 -O2")), "*"):
        assert instance.file == str(source)
        assert instance.name in text[instance.line - 1]


def test_copies_know_the_function_around_them(folder: Path) -> None:
    debug = debug_of(compiled(folder, "gcc -gdwarf-5 -O2"))
    around = {
        (debug.functions.at(i.address), i.function) for i in find_instances(debug, "nested") if i.inlined
    }
    assert len(around) >= 2
    assert all(found is not None and found.key == function.key for found, function in around)
