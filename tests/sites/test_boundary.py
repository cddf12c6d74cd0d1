"""Instruction boundaries, against objdump."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from probelang.dwarf.binary import open_binary
from probelang.dwarf.functions import find_functions
from probelang.sites import enclosing_function, find_boundary
from probelang.sites.boundary import frame_starts


def boundaries(path: Path, start: int, end: int) -> set[int]:
    command = ["objdump", "-d", f"--start-address={start}", f"--stop-address={end}", str(path)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {int(address, 16) for address in re.findall(r"^ +([0-9a-f]+):\t", shown, re.MULTILINE)}


def test_boundaries_are_those_of_objdump(pie: Path) -> None:
    binary = open_binary(str(pie))
    (main,) = find_functions(binary, "main")
    end = main.address + main.size_bytes
    accepted = {a for a in range(main.address, end) if find_boundary(binary, a) is None}
    # objdump prints the bytes of a long instruction on two lines
    assert accepted <= boundaries(pie, main.address, end)
    assert main.address in accepted
    assert len(accepted) > 10


def test_the_middle_of_an_instruction_is_named(pie: Path) -> None:
    binary = open_binary(str(pie))
    (main,) = find_functions(binary, "main")
    wrong = next(a for a in range(main.address, main.address + 50) if find_boundary(binary, a) is not None)
    refusal = find_boundary(binary, wrong)
    assert refusal is not None
    assert f"{wrong:#x} is the middle of the instruction at" in refusal.reason


def test_stripped_programs_are_decoded_from_the_unwind_table(pie: Path, tmp_path: Path) -> None:
    (main,) = find_functions(open_binary(str(pie)), "main")
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", str(stripped), str(pie)], check=True)
    binary = open_binary(str(stripped))
    assert main.address in frame_starts(binary)
    function = enclosing_function(binary, main.address + 1)
    assert function is not None
    assert (function.start, function.name) == (main.address, "")
    for address in range(main.address, main.address + main.size_bytes):
        same = find_boundary(binary, address) is None
        assert same == (find_boundary(open_binary(str(pie)), address) is None)


def test_an_address_outside_of_code_has_no_function(pie: Path) -> None:
    binary = open_binary(str(pie))
    assert enclosing_function(binary, 1) is None
    assert find_boundary(binary, 1) is not None
