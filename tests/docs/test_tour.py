"""The commands of README.md are run: each ends as shown, and says the same but for the numbers. Those that run a program are so
with ptrace, too."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import TIMEOUT_S

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```console\n\$ (.*?)^```$", re.MULTILINE | re.DOTALL)


def split_block(text: str) -> tuple[str, str]:
    """A command, which ends with the first line that leaves no quote open, and what it shows."""
    lines = text.splitlines(keepends=True)
    for count in range(1, len(lines) + 1):
        command = "".join(lines[:count])
        try:
            shlex.split(command)
        except ValueError:
            continue
        return command, "".join(lines[count:])
    raise ValueError(text)


TOUR = [
    pytest.param(*split_block(block), id=f"README.md {number}")
    for number, block in enumerate(BLOCK.findall((ROOT / "README.md").read_text()))
]


def test_there_are_at_least_ten() -> None:
    assert len(TOUR) >= 10


@pytest.mark.parametrize(("command", "shown"), TOUR)
def test_a_command_says_what_is_shown(command: str, shown: str, backend: Backend, tmp_path: Path) -> None:
    if backend == "ptrace":
        if " -c " not in command:
            pytest.skip("without a program of its own")
        command = command.replace("probelang ", "probelang --backend ptrace ", 1)
    if shutil.which("sqlite3") is None:
        pytest.skip("needs sqlite3")
    tool = tmp_path / "probelang"
    tool.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m probelang "$@"\n')
    tool.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    is_mistake = shown.startswith("error[")
    assert done.returncode == (1 if is_mistake else 0), done.stderr
    said = done.stderr if is_mistake else done.stdout
    first_word = re.search(r"[a-z]{3,}", shown)
    assert first_word is not None and first_word[0] in said
