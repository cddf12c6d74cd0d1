"""Sections are read where they lie: exactly their bytes, and without becoming resident as a whole."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.dwarf.image import BinaryError
from probelang.dwarf.section import LARGE_BYTES, Section

# What a process holds of a file of 96 MB after it has searched and read all of it, in kilobytes
READS_ALL = """
import mmap, sys
from probelang.dwarf.section import Section
with open(sys.argv[1], "rb") as file:
    data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
section = Section(sys.argv[1], ".debug_info", data, 100, len(data) - 200)
before = peak()
assert section.find(b"needle") == len(data) - 4000 - 100
for offset in range(0, section.size - 8, 4096):
    section.take(offset, 8)
print(peak() - before)
"""


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_section_is_a_slice(whole: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(whole)))
    size = data.draw(st.integers(0, len(whole) - start))
    section, expected = Section("memory", ".s", whole, start, size), whole[start : start + size]
    offset = data.draw(st.integers(0, size))
    assert section.take(offset, size - offset) == expected[offset:]
    needle = data.draw(st.binary(min_size=1, max_size=2))
    first, last = data.draw(st.integers(0, size)), data.draw(st.integers(0, size))
    assert section.find(needle, first, last) == expected.find(needle, first, last)
    assert section.data == expected


def test_what_crosses_the_border_of_two_windows_is_found(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(3 * LARGE_BYTES)
        file.seek(2 * LARGE_BYTES - 3)
        file.write(b"needle")
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
    assert Section(str(path), ".s", data).find(b"needle") == 2 * LARGE_BYTES - 3
    assert Section(str(path), ".s", data).find(b"needle", 2 * LARGE_BYTES - 2) == -1
    assert Section(str(path), ".s", data, 7).find(b"needle") == 2 * LARGE_BYTES - 10
    assert Section(str(path), ".s", data, 7, 2 * LARGE_BYTES - 7).find(b"needle") == -1


def test_a_large_section_does_not_stay_resident(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(96):
            file.write(bytes(1 << 20))
        file.seek(-4000, 2)
        file.write(b"needle")
    command = [sys.executable, "-c", READS_ALL, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 40 << 10


def test_text_ends_at_its_zero_byte_or_not_at_all() -> None:
    section = Section("memory", ".debug_str", b"ab\0cd", 0)
    assert section.text(1) == b"b"
    for offset in (3, 5, -1):
        with pytest.raises(BinaryError, match=r"section `\.debug_str`"):
            section.text(offset)
