"""Objects are standard ones: bpftool, readelf and libbpf read them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probelang.artifact.btf import own_functions
from probelang.artifact.elf import NotAnObject, read_elf
from probelang.artifact.object import read_object
from tests.runtime.objects import HIT, PREAMBLE, compile_ir, lifecycle, manifest, object_for


@pytest.fixture
def object_file(tmp_path: Path) -> Path:
    path = tmp_path / "x.bpf.o"
    path.write_bytes(object_for(manifest(lifecycle("end"))))
    return path


@pytest.fixture
def bpffs(tmp_path: Path, requires: Callable[..., None]) -> Iterator[Path]:
    requires("root")
    folder = tmp_path / "bpffs"
    folder.mkdir()
    subprocess.run(["mount", "-t", "bpf", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_the_manifest_is_in_the_object() -> None:
    m = manifest(lifecycle("end"))
    assert read_object(object_for(m))[1] == m


def test_the_code_is_what_it_was() -> None:
    before = read_elf(compile_ir(PREAMBLE + HIT))
    after = read_elf(object_for(manifest()))
    assert after.symbols[: len(before.symbols)]
    one, two = before.section("uprobe/hit"), after.section("uprobe/hit")
    assert one is not None and two is not None
    assert one.data == two.data


@pytest.mark.parametrize("tool", [("readelf", "-aW"), ("bpftool", "btf", "dump", "file")])
def test_tools_read_it_without_complaint(object_file: Path, tool: tuple[str, ...]) -> None:
    done = subprocess.run([*tool, str(object_file)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "hit" in done.stdout


def test_maps_are_described(object_file: Path) -> None:
    text = subprocess.run(
        ["bpftool", "btf", "dump", "file", str(object_file)], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"DATASEC '\.maps' size=\d+ vlen=3", text)
    for name in ("by_thread", "targets", "events"):
        assert f"VAR '{name}'" in text


@pytest.mark.kernel
def test_libbpf_loads_it(object_file: Path, bpffs: Path) -> None:
    words = ["bpftool", "prog", "loadall", str(object_file), str(bpffs / "x")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(bpffs / "x")) == ["hit", "host", "targets_fork"]


def test_the_kernel_gets_only_types_of_functions() -> None:
    section = read_elf(object_for(manifest())).section(".BTF")
    assert section is not None
    assert len(own_functions(section.data)) < len(section.data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"#!/bin/sh", "not an ELF file"),
        (b"\x7fELF\2\1\1" + bytes(200), "not a BPF object"),
        (b"\x7fELF", "damaged"),
        (compile_ir(PREAMBLE + HIT), "not made by probelang"),
    ],
)
def test_other_files_are_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(NotAnObject, match=reason):
        read_object(data)


def test_every_cut_of_an_object_is_refused_without_a_crash() -> None:
    data = object_for(manifest())
    for size in range(0, len(data) - 1, 97):
        with pytest.raises(NotAnObject):
            read_object(data[:size])
