"""When the kernel's verifier refuses a program, that is our bug, and the message says so and where it came from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXIT = b"\x95" + bytes(7)
JUMP_TO_ITSELF = b"\x05\x00\xff\xff" + bytes(4)


@pytest.mark.kernel
def test_a_refused_program_is_named_with_its_place(tmp_path: Path, requires: Callable[..., None]) -> None:
    requires("task_pt_regs")
    script, built = tmp_path / "profile.probe", tmp_path / "profile.bpf.o"
    script.write_text("global n\nprobe timer.profile { n++ }\nprobe begin { exit() }\n")
    probelang = [sys.executable, "-m", "probelang"]
    subprocess.run([*probelang, "build", "-o", str(built), str(script)], check=True)
    code = built.read_bytes()
    assert code.count(EXIT) >= 1
    built.write_bytes(code.replace(EXIT, JUMP_TO_ITSELF))
    ran = subprocess.run(
        [*probelang, "run", str(built)], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 3
    assert (
        f"the kernel refused the code of `timer.profile` ({script}:2:1): this is a bug in probelang"
        in ran.stderr
    )
    assert "the kernel's verifier said: " in ran.stderr
    assert "Traceback" not in ran.stderr
