"""What is read of ELF files, and what is said about those that cannot be read."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from probelang.diag import Diagnostic
from probelang.diag.target import CorruptFile, FileUnreadable, NotElf, NotProbeable, WrongArchitecture
from probelang.dwarf.binary import open_binary
from probelang.dwarf.functions import all_functions
from probelang.dwarf.image import BinaryError
from probelang.dwarf.plt import find_slots
from tests.dwarf.targets import C, compile_target


def refusal(path: Path | str) -> Diagnostic:
    with pytest.raises(BinaryError) as caught:
        open_binary(str(path))
    return caught.value.diagnostic


def test_sections_and_segments_are_those_of_pyelftools(pie: Path) -> None:
    image = open_binary(str(pie)).image
    with pie.open("rb") as file:
        elf = ELFFile(file)
        expected = [(s.name, s["sh_addr"], s["sh_offset"], s["sh_size"]) for s in elf.iter_sections()]
        loads = [(s["p_vaddr"], s["p_offset"]) for s in elf.iter_segments("PT_LOAD")]
    assert [(s.name, s.address, s.offset, s.size) for s in image.sections] == expected
    assert [(s.address, s.offset) for s in image.segments] == loads


def test_addresses_and_offsets_are_inverse(pie: Path) -> None:
    binary = open_binary(str(pie))
    for function in all_functions(binary):
        assert binary.image.offset_of(function.address) == function.offset
        assert binary.image.address_of(function.offset) == function.address


def test_an_address_outside_of_the_file_has_no_offset(pie: Path) -> None:
    assert open_binary(str(pie)).image.offset_of(0x7FFF_0000_0000) is None


def test_build_id_is_that_of_readelf(pie: Path) -> None:
    shown = subprocess.run(["readelf", "-n", str(pie)], check=True, capture_output=True, text=True).stdout
    assert f"Build ID: {open_binary(str(pie)).build_id}\n" in shown


@pytest.mark.parametrize(
    ("name", "flags", "kind"),
    [
        ("static", ("-static",), "exec"),
        ("static_pie", ("-static-pie",), "pie"),
        ("no_pie", ("-no-pie",), "exec"),
        ("default", (), "pie"),
        ("shared", ("-shared", "-fPIC"), "library"),
    ],
)
def test_kinds(folder: Path, name: str, flags: tuple[str, ...], kind: str) -> None:
    assert open_binary(str(compile_target(folder, name, C, *flags))).kind == kind


def test_libc_is_a_library_though_it_can_be_run() -> None:
    assert open_binary("/lib/x86_64-linux-gnu/libc.so.6").kind == "library"


def test_missing_file() -> None:
    assert refusal("/nonexistent/file") == FileUnreadable(
        path="/nonexistent/file", reason="no such file or directory"
    )


def test_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == FileUnreadable(path=str(tmp_path), reason="is a folder")


def test_fifo_does_not_hang(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert isinstance(refusal(fifo), NotElf)


@pytest.mark.parametrize("content", [b"", b"\x7fEL", b"#!/bin/sh\n", b"MZ" * 100])
def test_not_elf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert refusal(path) == NotElf(path=str(path))


@pytest.mark.parametrize(
    ("elf_class", "machine", "found"),
    [(1, 3, "32-bit x86"), (1, 40, "32-bit ARM"), (2, 183, "64-bit AArch64"), (1, 62, "32-bit x86-64")],
)
def test_wrong_architecture(pie: Path, tmp_path: Path, elf_class: int, machine: int, found: str) -> None:
    data = bytearray(pie.read_bytes())
    data[4] = elf_class
    struct.pack_into("<H", data, 18, machine)
    path = tmp_path / "foreign"
    path.write_bytes(data)
    assert refusal(path) == WrongArchitecture(path=str(path), found=found)


def test_object_file(folder: Path) -> None:
    path = compile_target(folder, "object.o", C, "-c")
    assert refusal(path) == NotProbeable(path=str(path), kind="an object file")


def test_debug_file(pie: Path, tmp_path: Path) -> None:
    path = tmp_path / "pie.debug"
    subprocess.run(["objcopy", "--only-keep-debug", str(pie), str(path)], check=True)
    assert refusal(path) == NotProbeable(path=str(path), kind="a file of debug information")


@pytest.mark.parametrize("size", [20, 63])
def test_truncated_header(pie: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "short"
    path.write_bytes(pie.read_bytes()[:size])
    assert refusal(path) == CorruptFile(path=str(path), part="the ELF header", reason="is cut short")


def test_truncated_file_names_the_part(pie: Path, tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(pie.read_bytes()[:-100])
    assert refusal(path) == CorruptFile(
        path=str(path), part="the section header table", reason="lies beyond the end of the file"
    )


def test_a_section_outside_of_the_file_is_named(pie: Path, tmp_path: Path) -> None:
    image = open_binary(str(pie)).image
    number = next(i for i, s in enumerate(image.sections) if s.name == ".symtab")
    data = bytearray(pie.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<Q", data, table + number * 64 + 24, 1 << 40)
    path = tmp_path / "damaged"
    path.write_bytes(data)
    assert refusal(path) == CorruptFile(
        path=str(path), part="section `.symtab`", reason="lies beyond the end of the file"
    )


def test_damaged_files_are_refused_or_read_but_never_crash(pie: Path, tmp_path: Path) -> None:
    whole = pie.read_bytes()
    choose = random.Random(5)
    path = tmp_path / "damaged"
    (table,) = struct.unpack_from("<Q", whole, 40)
    for round_number in range(400):
        data = bytearray(whole)
        if round_number % 4 == 0:
            del data[choose.randrange(len(data)) :]
        # headers and tables rather than code: that is where damage matters
        areas = [(0, 64), (64, 64 + 56 * 13), (table, len(whole)), (0, 0x1000), (0, len(whole))]
        for _ in range(choose.randrange(1, 8)):
            low, high = choose.choice(areas)
            place = choose.randrange(low, high)
            if place < len(data):
                data[place] = choose.choice((0, 0xFF, 0x7F, choose.randrange(256)))
        path.write_bytes(data)
        try:
            binary = open_binary(str(path))
            all_functions(binary)
            find_slots(binary)
        except BinaryError as error:
            assert error.diagnostic.title()
