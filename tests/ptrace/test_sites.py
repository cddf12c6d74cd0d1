"""Probes on first instructions of every kind, also on those that the kernel cannot bear; sandboxes; static programs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Compile
from tests.ptrace.conftest import TARGETS, Trace

STARTS = (
    "push", "endbr", "load", "lock", "jump", "branch", "call", "call_memory", "vector", "notrack", "system_call",
)  # fmt: skip
SCRIPT = """
global entered, left, wrong
probe process.function("starts_*"), process.function("at_system_call") { entered[ppfunc()]++ }
probe process.function("starts_*") { last[tid()] = long_arg(1) + long_arg(2) }
probe process.function("starts_*").return { left[ppfunc()]++; if (returnval() != last[tid()]) wrong++ }
global last
probe end { printf("wrong=%d\\n", wrong) foreach (f in entered) printf("%s %d %d\\n", f, entered[f], left[f]) }
"""


@pytest.fixture(scope="session")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("entries") / "entries"
    sources = [str(TARGETS / "entries.c"), str(TARGETS / "entries.S")]
    subprocess.run(["gcc", "-O1", *sources, "-o", str(path)], check=True)
    return path


def test_every_first_instruction_does_what_it_does_unprobed(trace: Trace, entries: Path) -> None:
    plain = subprocess.run([entries], capture_output=True, text=True, check=True).stdout
    assert "right=550" in plain
    ran = trace(SCRIPT, "-c", entries)
    assert ran.output.startswith(plain), ran.messages
    rows = dict(re.findall(r"^(\w+) (\d+ \d+)$", ran.output, re.MULTILINE))
    assert rows == {f"starts_{name}": "50 50" for name in STARTS} | {"at_system_call": "50 0"}
    assert ran.value("wrong") == 0
    assert ran.messages == ""


COUNT = """
global entered, left
probe process.function("work") { entered++ }
probe process.function("work").return { left++ }
probe end { printf("entered=%d left=%d\\n", entered, left) }
"""


@pytest.mark.parametrize("flags", [(), ("-static",), ("-static-pie",), ("-O0",), ("-s", "-rdynamic")])
def test_a_program_that_would_be_killed_for_mmap_is_made_to_call_none(
    trace: Trace, compile_c: Compile, flags: tuple[str, ...]
) -> None:
    name = "sandbox" + "".join(flags).replace("-", "_")
    target = compile_c(TARGETS / "sandbox.c", "-O1", *flags, name=name)
    ran = trace(COUNT, "-c", target)
    assert ran.value("child") == 3
    assert ran.value("entered") == ran.value("left") == ran.value("work") == 200, ran.messages
