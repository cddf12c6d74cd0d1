"""Standard streams that are closed, full or gone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.robustness.conftest import TIMEOUT_S, Ran, environment, probelang_command

pytestmark = pytest.mark.kernel

SAYS_HI = 'probe begin { println("hi") exit() }'


def shell(line: str, folder: Path, *words: str) -> Ran:
    """`line` is shell text in which "$@" is the command."""
    done = subprocess.run(
        ["bash", "-c", line, "sh", *words], capture_output=True, text=True, cwd=folder, env=environment(),
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def run(line: str, folder: Path, script: str = SAYS_HI) -> Ran:
    return shell(line, folder, *probelang_command("-e", script))


@pytest.mark.parametrize("line", ['"$@" <&-', '"$@" 2>&-', '"$@" 2>/dev/full', '"$@" <&- 2>&-'])
def test_nobody_needs_input_or_the_error_output(line: str, tmp_path: Path) -> None:
    assert run(line, tmp_path) == Ran(0, "hi\n", "")


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ('"$@" >&-', 3, "cannot write the output: bad file descriptor"),
        ('"$@" >/dev/full', 3, "cannot write the output: no space left on device"),
        ('"$@" -o /dev/full', 1, "cannot write `/dev/full`: no space left on device"),
        ('"$@" -o /', 1, "cannot write `/`: is a directory"),
        ('"$@" --emit llvm >/dev/full', 3, "cannot write the output: no space left on device"),
    ],
)
def test_output_that_cannot_be_written_is_an_error(
    line: str, status: int, message: str, tmp_path: Path
) -> None:
    done = run(line, tmp_path)
    assert done.status == status and message in done.messages and "internal" not in done.messages


@pytest.mark.parametrize("line", ['"$@" <&- >&- 2>&-', '"$@" >/dev/full 2>/dev/full'])
def test_even_when_nobody_can_be_told(line: str, tmp_path: Path) -> None:
    assert run(line, tmp_path).status == 3


def test_a_file_takes_the_output_when_there_is_no_standard_output(tmp_path: Path) -> None:
    assert run('"$@" -o out >&-; cat out', tmp_path).output == "hi\n"


@pytest.mark.parametrize("more", ["", "--emit llvm"])
def test_a_reader_that_has_enough_is_no_error(more: str, tmp_path: Path) -> None:
    endless = 'probe timer.ms(1) { println("line") }'
    done = run(f'"$@" {more} | head -1; echo ${{PIPESTATUS[0]}}', tmp_path, endless)
    assert done.output.splitlines()[1] in ("0", "141") and done.messages == ""
    assert more or done.output == "line\n141\n"
