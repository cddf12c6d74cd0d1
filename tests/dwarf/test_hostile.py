"""Damaged and hostile files: an answer, or an error that names the file; never a traceback, a hang, or memory without end."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from probelang.dwarf import constants as c
from probelang.dwarf.abbrev import Abbreviations
from probelang.dwarf.ctypes import Struct, size_of, type_name
from probelang.dwarf.image import BinaryError
from probelang.dwarf.info import DebugInfo, Section
from probelang.dwarf.leb import signed, unsigned
from probelang.dwarf.ranges import entry_ranges
from probelang.dwarf.scopes import Functions, find_scope
from probelang.dwarf.types import Types, scoped_entries
from tests.dwarf.exercise import exercise
from tests.dwarf.fuzz import CORPUS, unpack
from tests.dwarf.hostile import build_bases
from tests.dwarf.made import FUNCTION, UNIT, Shape, abbreviations, elf, function, root, unit

ROOT = Path(__file__).parent.parent.parent


def fuzz(*words: str) -> None:
    command = [sys.executable, "-m", "tests.dwarf.fuzz", *words]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_damage_of_every_kind() -> None:
    fuzz("--cases", "24", "--only", "gcc-5", "--only", "gcc-4-dwp", "--only", "clang-4")


@pytest.mark.slow
def test_much_damage() -> None:
    fuzz("--cases", "600", "--first", "1000")


@pytest.mark.parametrize("archive", sorted(p.name for p in CORPUS.glob("*.tar.xz")))
def test_what_was_found_once(archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    exercise(str(unpack(CORPUS / archive, tmp_path)))


def test_what_is_whole_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exercise reaches what it is meant to reach."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base = build_bases(tmp_path, ["gcc-5"])["gcc-5"]
    answered = exercise(str(tmp_path / base.name / "program"))
    assert answered > 2000


# ------------------------------------------------------------------------------------------ circles and bombs


class Memory:
    """Sections of a file that there is not."""

    path = "memory"
    alternate = None

    def __init__(self, **sections: bytes) -> None:
        self._sections = sections

    def section(self, name: str) -> bytes:
        return self._sections.get(name.removeprefix("."), b"")

    def split(self, name: str, folder: str, identity: int) -> None:
        return None


ROOT_SHAPE: Shape = (c.TAG_compile_unit, True, ())


def info(body: bytes, *shapes: Shape, **sections: bytes) -> DebugInfo:
    return DebugInfo(
        Memory(debug_info=unit(body), debug_abbrev=abbreviations(ROOT_SHAPE, *shapes), **sections)
    )


def test_numbers_end() -> None:
    for read in (unsigned, signed):
        with pytest.raises(IndexError):
            read(b"\x80" * 1000 + b"\1", 0)
        with pytest.raises(IndexError):
            read(b"\x80", 0)
        value, end = read(b"\xff" * 12 + b"\0", 0)
        assert -(1 << 63) <= value < 1 << 64
        assert end == 13


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (c.TAG_pointer_type, "..."), (c.TAG_typedef, None), (c.TAG_const_type, "..."), (c.TAG_array_type, None), (c.TAG_subroutine_type, None),
        (c.TAG_packed_type, None), (c.TAG_enumeration_type, None),
    ],
)  # fmt: skip
def test_types_that_are_made_of_themselves(tag: int, name: str | None) -> None:
    debug = info(b"\1\2" + struct.pack("<I", 12) + b"\0", (tag, False, ((c.AT_type, c.FORM_ref4),)))
    types = Types(debug)
    entry = next(debug.units[0].root.children())
    assert entry.offset == 12
    found = types.read(entry)
    assert len(type_name(found)) < 1000
    size_of(found)
    if name:
        assert name in type_name(found)


def test_a_struct_that_signs_itself() -> None:
    shape = (c.TAG_structure_type, False, ((c.AT_signature, c.FORM_ref4),))
    debug = info(b"\1\2" + struct.pack("<I", 12) + b"\0", shape)
    assert isinstance(Types(debug).read(next(debug.units[0].root.children())), Struct)


def test_a_function_of_functions_of_functions_has_a_short_name() -> None:
    """Each has itself as its forty parameters."""
    shapes = (
        (c.TAG_subroutine_type, True, ((c.AT_type, c.FORM_ref4),)),
        (c.TAG_formal_parameter, False, ((c.AT_type, c.FORM_ref4),)),
    )
    here = struct.pack("<I", 12)
    debug = info(b"\1\2" + here + (b"\3" + here) * 40 + b"\0\0", *shapes)
    assert len(type_name(Types(debug).read(next(debug.units[0].root.children())))) < 1 << 20


def test_deep_nests() -> None:
    shapes = ((c.TAG_namespace, True, ()), (c.TAG_lexical_block, True, ()))
    for shape in b"\2", b"\3":
        debug = info(b"\1" + shape * 20_000 + b"\0" * 20_001, *shapes)
        root = debug.units[0].root
        assert sum(1 for _ in root.descendants()) == 20_000
        assert len(list(scoped_entries(debug.units[0]))) <= 20_000
        assert Functions(debug).of(debug.units[0]) == []


def test_siblings_that_lead_back_end() -> None:
    shape = (c.TAG_namespace, True, ((c.AT_sibling, c.FORM_ref4),))
    for sibling in (0, 11, 12, 13, 1 << 31):
        debug = info(b"\1\2" + struct.pack("<I", sibling) + b"\0\0", shape)
        with pytest.raises(BinaryError):
            list(debug.units[0].root.children())


def test_siblings_that_lead_into_children_cost_no_more_than_the_unit() -> None:
    """Each namespace's sibling is its own first child: walked as a tree, that is 2 to the power of their number."""
    shape = (c.TAG_namespace, True, ((c.AT_sibling, c.FORM_ref4),))
    count = 28
    body = (
        b"\1"
        + b"".join(b"\2" + struct.pack("<I", 12 + 5 * (i + 1)) for i in range(count))
        + b"\0" * (count + 1)
    )
    debug = info(body, shape)
    assert len(list(scoped_entries(debug.units[0]))) <= count * count
    assert Functions(debug).of(debug.units[0]) == []


def test_a_long_list_that_everything_refers_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is bounded by the size of the file, not by its product with the number of references."""
    monkeypatch.setattr("probelang.dwarf.info._LEAST_WORK", 1 << 18)
    rows = struct.pack("<QQ", 0x1000, 0x1010) * 2000 + bytes(16)
    shape = (c.TAG_lexical_block, False, ((c.AT_ranges, c.FORM_sec_offset),))
    debug = info(b"\1" + (b"\2" + bytes(4)) * 2000 + b"\0", shape, debug_ranges=rows)
    with pytest.raises(BinaryError, match="leads in circles"):
        for entry in debug.units[0].root.children():
            entry_ranges(entry)


def test_a_list_without_an_end() -> None:
    shape = (c.TAG_lexical_block, False, ((c.AT_ranges, c.FORM_sec_offset),))
    debug = info(b"\1\2" + bytes(4) + b"\0", shape, debug_ranges=struct.pack("<QQ", 1, 2) * 9)
    with pytest.raises(BinaryError, match=r"section `\.debug_ranges`"):
        entry_ranges(next(debug.units[0].root.children()))


def test_origins_that_lead_in_circles() -> None:
    shape = (
        c.TAG_subprogram,
        False,
        ((c.AT_abstract_origin, c.FORM_ref4), (c.AT_low_pc, c.FORM_addr), (c.AT_high_pc, c.FORM_data1)),
    )
    debug = info(b"\1\2" + struct.pack("<IQB", 12, 0x1000, 16) + b"\0", shape)
    functions = Functions(debug)
    assert len(functions.of(debug.units[0])) == 1
    scope = find_scope(functions, Types(debug), 0x1000)
    assert scope is None or scope.name == ""


@pytest.mark.parametrize(
    ("kept", "offset", "instead"),
    [
        (3, 0, b""),
        (9, 0, b""),
        (99, 0, b"\xff\xff\xff\xff"),
        (99, 0, b"\xf0\xff\xff\xff"),
        (99, 4, b"\x09\0"),
        (99, 10, b"\4"),
    ],
)
def test_headers_of_units(kept: int, offset: int, instead: bytes) -> None:
    """Cut short; too long, in both formats; of an unknown version; for another machine."""
    data = unit(b"\1\0")[:kept]
    data = data[:offset] + instead + data[offset + len(instead) :]
    with pytest.raises(BinaryError, match=r"section `\.debug_info`"):
        _ = DebugInfo(Memory(debug_info=data, debug_abbrev=abbreviations(ROOT_SHAPE))).units


def test_an_unknown_form_is_named() -> None:
    debug = info(b"\1\2\0\0", (c.TAG_variable, False, ((c.AT_name, 0x77),)))
    with pytest.raises(BinaryError, match="unknown form 0x77"):
        next(debug.units[0].root.children()).text(c.AT_name)


def test_abbreviations_with_too_many_attributes() -> None:
    data = b"\1\x11\0" + b"\3\x08" * 100_000 + b"\0\0\0"
    debug = info(b"\1\0")
    table = Abbreviations(Section("memory", ".debug_abbrev", data), 0, debug.units[0])
    with pytest.raises(BinaryError, match=r"section `\.debug_abbrev`"):
        _ = table[1]


def test_a_section_never_reads_beyond_its_end() -> None:
    section = Section("memory", ".debug_str", b"before\0inside\0behind\0", 7, 7)
    assert section.text(0) == b"inside"
    assert section.find(b"behind") == -1
    assert section.find(b"before") == -1
    assert section.find(b"side\0") == 2
    assert section.part(2, 4).take(0, 4) == b"side"
    for offset, size in ((0, 8), (7, 1), (-1, 2), (3, 1 << 70)):
        with pytest.raises(BinaryError):
            section.take(offset, size)
    with pytest.raises(BinaryError):
        Section("memory", ".debug_str", b"no end", 0, 4).text(0)


# ------------------------------------------------------------------------------- whole programs made to be hard

TYPE_AT = 11 + len(root())
NUMBERED = struct.pack("<I", TYPE_AT)
NODE: Shape = (c.TAG_structure_type, True, ((c.AT_name, c.FORM_string), (c.AT_byte_size, c.FORM_data1)))
PARAMETER: Shape = (
    c.TAG_formal_parameter,
    False,
    ((c.AT_name, c.FORM_string), (c.AT_type, c.FORM_ref4), (c.AT_location, c.FORM_exprloc)),
)
LOCAL: Shape = (c.TAG_variable, False, ((c.AT_name, c.FORM_string), (c.AT_location, c.FORM_block4)))
CODE = ((c.AT_low_pc, c.FORM_addr), (c.AT_high_pc, c.FORM_data4))
CODE_OF_F = struct.pack("<QI", 0x401000, 64)


def local(expression: bytes) -> bytes:
    """A function with one variable that is there."""
    return root() + function() + b"\3v\0" + struct.pack("<I", len(expression)) + expression + b"\0\0"


HARD: dict[str, tuple[bytes, tuple[Shape, ...]]] = {
    "namespaces in one another": (root(0x21) + b"\3" * 4000 + bytes(4001), ((c.TAG_namespace, True, ()),)),
    "blocks in one another": (root() + function() + b"\3" * 4000 + bytes(4002), ((c.TAG_lexical_block, True, ()),)),
    "blocks with code in one another": (
        root() + function() + (b"\3" + CODE_OF_F) * 600 + bytes(602), ((c.TAG_lexical_block, True, CODE),),
    ),
    "inlined copies in one another": (
        root() + function() + (b"\3" + CODE_OF_F + NUMBERED) * 3000 + bytes(3002),
        ((c.TAG_inlined_subroutine, True, (*CODE, (c.AT_abstract_origin, c.FORM_ref4))),),
    ),
    "functions in one another": (root() + function() * 3000 + bytes(3001), ()),
    "a struct whose members are itself": (
        root() + b"\3node\0\x08" + (b"\4" + NUMBERED) * 1000 + b"\0" + function() + b"\5n\0" + NUMBERED + b"\1\x50\0\0",
        (NODE, (c.TAG_member, False, ((c.AT_type, c.FORM_ref4),)), PARAMETER),
    ),
    "units that import themselves": (
        root(0x21) + (b"\3" + struct.pack("<I", 11)) * 1000 + function() + b"\0\0",
        ((c.TAG_imported_unit, False, ((c.AT_import, c.FORM_ref4),)),),
    ),
    "an expression without end": (local(b"\x31\x2f" + struct.pack("<h", -4)), (LOCAL,)),
    "an expression that doubles what it has": (local(b"\x70\0" + b"\x12\x22" * 300), (LOCAL,)),
    "an expression that forks at each step": (local(b"\x70\0" + b"\x70\0\x28\1\0\x1f" * 60 + b"\x9f"), (LOCAL,)),
    "a value in thousands of pieces": (local(b"\x50\x93\1" * 5000), (LOCAL,)),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_hard_programs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    body, shapes = HARD[name]
    path = tmp_path / "program"
    path.write_bytes(elf(debug_info=unit(body), debug_abbrev=abbreviations(UNIT, FUNCTION, *shapes)))
    assert exercise(str(path)) > 5
