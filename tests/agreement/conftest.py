"""The process in which the kernel half runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.agreement.halves import Target

SOURCE = r"""
#include <stdlib.h>
__attribute__((noinline)) long fire(long n) { __asm__ volatile("" ::: "memory"); return n; }
int main(int count, char **words) {
    for (long i = 0; i < atol(words[1]); i++) fire(i);
    return count != 2;
}
"""


@pytest.fixture(scope="session")
def firing(tmp_path_factory: pytest.TempPathFactory) -> Target:
    folder = tmp_path_factory.mktemp("firing")
    (folder / "fire.c").write_text(SOURCE)
    # without -static-pie and friends: an address in the file's first segment is its offset
    subprocess.run(["gcc", "-O1", "-o", folder / "fire", folder / "fire.c"], check=True)
    return Target(str(folder / "fire"), function_offset(folder / "fire", "fire"))


def function_offset(path: Path, name: str) -> int:
    """By readelf: address - start of its segment in memory + start in the file."""
    text = subprocess.run(["readelf", "-lsW", path], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^\s*\d+: (\w+)\s+\d+ FUNC .* {name}$", text, re.MULTILINE)
    assert found is not None
    address = int(found.group(1), 16)
    for offset, start, size in re.findall(r"^\s+LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", text, re.MULTILINE):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return address - int(start, 16) + int(offset, 16)
    raise AssertionError(f"{name} lies in no segment")
