"""PLT slots in all their shapes, against objdump."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from probelang.dwarf.binary import open_binary
from probelang.dwarf.plt import find_slots
from tests.dwarf.targets import C, compile_target


def objdump_slots(path: Path) -> dict[str, set[int]]:
    shown = subprocess.run(["objdump", "-d", str(path)], check=True, capture_output=True, text=True).stdout
    found: dict[str, set[int]] = {}
    for address, name in re.findall(r"^([0-9a-f]+) <([\w.]+)(?:@@?[\w.]+)?@plt>:", shown, re.MULTILINE):
        found.setdefault(name, set()).add(int(address, 16))
    return found


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("lazy", ("-Wl,-z,lazy",)),
        ("now", ("-Wl,-z,now",)),
        ("ibt", ("-fcf-protection", "-Wl,-z,ibtplt", "-Wl,-z,lazy")),
        ("no_pie", ("-no-pie",)),
        ("shared", ("-shared", "-fPIC")),
    ],
)
def test_slots_are_those_of_objdump(folder: Path, name: str, flags: tuple[str, ...]) -> None:
    path = compile_target(folder, f"plt_{name}", C, *flags)
    binary = open_binary(str(path))
    found: dict[str, set[int]] = {}
    for slot in find_slots(binary):
        found.setdefault(slot.name, set()).add(slot.address)
        assert binary.image.offset_of(slot.address) == slot.offset
    assert {"malloc", "printf", "free"} <= set(found)
    expected = objdump_slots(path)
    for function, addresses in found.items():
        assert addresses <= expected[function]


def test_a_static_program_has_no_named_slots(folder: Path) -> None:
    assert find_slots(open_binary(str(compile_target(folder, "plt_static", C, "-static")))) == ()
