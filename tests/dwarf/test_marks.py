"""Notes of marks: what binutils reads in them, in programs of this machine and of the tests, and damaged ones built in memory."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.image import BinaryError
from probelang.dwarf.marks import Mark, find_marks, split_arguments
from tests.conftest import Compile

HEADER = Path(__file__).parents[1] / "exec" / "targets" / "mark.h"
SOURCE = f"""
#include "{HEADER}"
SEMAPHORE(shop, sold);
int main(int argc, char **argv) {{
  MARK0(shop, opened);
  for (int i = 0; i < argc; i++) {{
    if (ENABLED(shop, sold)) MARK2_WITH(shop, sold, i, argv[i]);
    MARK1(other, sold, (short)i);
    MARK1(shop, twice, i);
  }}
  MARK1(shop, twice, -1L);
  MARK_TEXT(shop, far, "8@-8(%rbp, %rcx,8) -4@$-1");
}}
"""
INSTALLED = [
    *Path("/usr/lib/postgresql").glob("*/bin/postgres"),
    *Path("/usr/lib/jvm").glob("*/lib/server/libjvm.so"),
    *Path("/usr/bin").glob("python3.[0-9]*[0-9]"),
    *Path("/usr/lib/x86_64-linux-gnu").glob("libstdc++.so.6"),
    *Path("/usr/lib/x86_64-linux-gnu").glob("libc.so.6"),
]


@pytest.fixture(scope="module")
def shop(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O2", name="marked_shop")


def by_readelf(path: Path) -> list[tuple[str, str, int, int, str]]:
    """Provider, name, address, semaphore, arguments."""
    text = subprocess.run(
        ["readelf", "-n", "-W", str(path)], capture_output=True, text=True, check=False
    ).stdout
    found = re.findall(
        r"Provider: (.*)\n *Name: (.*)\n *Location: (\w+), Base: \w+, Semaphore: (\w+)\n *Arguments: ?(.*)",
        text,
    )
    return [(p, n, int(a, 16), int(s, 16), args.strip()) for p, n, a, s, args in found]


def rows(marks: tuple[Mark, ...]) -> list[tuple[str, str, int, int, str]]:
    return [(m.provider, m.name, m.address, m.semaphore, " ".join(m.arguments)) for m in marks]


def test_marks_are_those_that_readelf_shows(shop: Path) -> None:
    found = find_marks(open_binary(str(shop)))
    assert rows(found) == by_readelf(shop)
    assert {(m.provider, m.name) for m in found} == {
        ("shop", "opened"), ("shop", "sold"), ("other", "sold"), ("shop", "twice"), ("shop", "far"),
    }  # fmt: skip
    assert len([m for m in found if m.name == "twice"]) == 2
    assert {m.provider: m.semaphore != 0 for m in found if m.name == "sold"} == {"shop": True, "other": False}
    assert next(m.arguments for m in found if m.name == "far") == ("8@-8(%rbp, %rcx,8)", "-4@$-1")


@pytest.mark.parametrize("path", INSTALLED, ids=lambda p: f"{p.name} of {p.parts[3]}")
def test_marks_of_installed_programs(path: Path) -> None:
    expected = by_readelf(path)
    found = find_marks(open_binary(str(path)))
    # where a note is there twice it counts once
    assert rows(found) == list(dict.fromkeys(expected))
    if path.name == "postgres":
        assert {"query__start", "query__done"} <= {m.name for m in found if m.provider == "postgresql"}
    if path.name == "libjvm.so":
        assert {"gc__begin", "gc__end"} <= {m.name for m in found if m.provider == "hotspot"}
        assert len(found) > 400


def test_a_stripped_program_keeps_its_marks(shop: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-s", "-o", str(stripped), str(shop)], check=True)
    assert find_marks(open_binary(str(stripped))) == find_marks(open_binary(str(shop)))


def test_a_file_without_marks(compile_c: Compile) -> None:
    path = compile_c("int main(void) { return 0; }", name="markless")
    assert find_marks(open_binary(str(path))) == ()


def changed(shop: Path, tmp_path: Path, change: dict[str, bytes], at: int = 0) -> Binary:
    """The program with other bytes at the beginning of sections."""
    binary = open_binary(str(shop))
    data = bytearray(shop.read_bytes())
    for name, new in change.items():
        section = binary.image.section(name)
        assert section is not None
        data[section.offset + at : section.offset + at + len(new)] = new
    path = tmp_path / "changed"
    path.write_bytes(bytes(data))
    return open_binary(str(path))


def note(description: bytes, owner: bytes = b"stapsdt\0", kind: int = 3) -> bytes:
    return (
        struct.pack("<III", len(owner), len(description), kind)
        + owner
        + description
        + bytes(-len(description) % 4)
    )


def test_notes_of_others_are_passed_over(shop: Path, tmp_path: Path) -> None:
    before = find_marks(open_binary(str(shop)))
    other = changed(shop, tmp_path, {".note.stapsdt": struct.pack("<I", 9)}, at=8)  # the type of the first
    assert find_marks(other) == before[1:]


def test_marks_move_with_their_base(shop: Path, tmp_path: Path) -> None:
    """As after prelink, which moves sections and leaves notes that are not loaded."""
    before = find_marks(open_binary(str(shop)))
    data = bytearray(shop.read_bytes())
    binary = open_binary(str(shop))
    base = binary.image.section(".stapsdt.base")
    assert base is not None
    (table,) = struct.unpack_from("<Q", data, 40)
    index = binary.image.sections.index(base)
    struct.pack_into("<Q", data, table + index * 64 + 16, base.address + 0x1000)
    path = tmp_path / "moved"
    path.write_bytes(bytes(data))
    after = find_marks(open_binary(str(path)))
    assert [m.address for m in after] == [m.address + 0x1000 for m in before]
    assert [m.semaphore for m in after] == [m.semaphore and m.semaphore + 0x1000 for m in before]


def test_names_need_not_be_text(shop: Path, tmp_path: Path) -> None:
    binary = changed(shop, tmp_path, {".note.stapsdt": b"\xff"}, at=12 + 8 + 24)
    assert find_marks(binary)[0].provider == "\udcffhop"


@pytest.mark.parametrize(
    "damage",
    [
        struct.pack("<III", 8, 0x7FFFFFFF, 3),
        struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, 3),
        note(b""),
        note(bytes(24)),
        note(bytes(24) + b"p\0name\0"),
        note(bytes(24) + b"no end at all..."),
    ],
)  # fmt: skip
def test_damaged_notes_are_told(shop: Path, tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(BinaryError) as caught:
        find_marks(changed(shop, tmp_path, {".note.stapsdt": damage}))
    assert "section `.note.stapsdt`" in caught.value.diagnostic.title()


def test_a_section_that_is_cut_off_is_told(shop: Path, tmp_path: Path) -> None:
    binary = open_binary(str(shop))
    section = binary.image.section(".note.stapsdt")
    assert section is not None
    data = bytearray(shop.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<Q", data, table + binary.image.sections.index(section) * 64 + 32, 1 << 40)
    path = tmp_path / "cut"
    path.write_bytes(bytes(data))
    with pytest.raises(BinaryError):
        find_marks(open_binary(str(path)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("   ", ()),
        ("-4@%eax", ("-4@%eax",)),
        ("-4@%eax  8@16(%rsp) 8f@%xmm0", ("-4@%eax", "8@16(%rsp)", "8f@%xmm0")),
        ("8@8(%rsp, %rax, 8) 1@$5", ("8@8(%rsp, %rax, 8)", "1@$5")),
        ("-4@DWORD PTR [rbp-4] 8@rdi", ("-4@DWORD PTR [rbp-4]", "8@rdi")),
        ("%rax $5", ("%rax", "$5")),
        ("-4@%fs:4+x@tpoff 8@$1", ("-4@%fs:4+x@tpoff", "8@$1")),
    ],
)
def test_operands_are_told_apart(text: str, expected: tuple[str, ...]) -> None:
    assert split_arguments(text) == expected


def test_a_hostile_operand_takes_no_time() -> None:
    assert len(split_arguments("1@" + " " * 1_000_000 + "x" * 1_000_000)) == 1
