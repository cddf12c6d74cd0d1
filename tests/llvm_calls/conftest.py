"""A target program and the command line, for tests of builtins in real process probes, with both backends."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from probelang.options import Backend

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """`own`: what the target says of itself."""

    status: int
    lines: list[str]
    errors: str
    own: str = ""


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("calls") / "subject"
    options = ["-O1", "-fno-omit-frame-pointer", "-fcf-protection=none"]
    subprocess.run([compiler, *options, "-o", str(program), str(HERE / "target.c")], check=True)
    return program


def run_subject(
    target: Path, folder: Path, backend: Backend, script: str, *options: str, arguments: tuple[str, ...] = ()
) -> Outcome:
    """A script with {target} in it; the command is the target program, with more `arguments`."""
    file, own = folder / "script.probe", folder / "own"
    file.write_text(script.replace("{target}", str(target)))
    own.unlink(missing_ok=True)
    command = shlex.join((str(target), str(folder / "pages"), str(own), *arguments))
    words = [
        sys.executable,
        "-m",
        "probelang",
        "run",
        "--backend",
        backend,
        *options,
        str(file),
        "-c",
        command,
    ]
    done = subprocess.run(words, capture_output=True, timeout=120, check=False)
    output = done.stdout.decode("utf-8", "backslashreplace").splitlines()
    errors = done.stderr.decode("utf-8", "backslashreplace")
    return Outcome(done.returncode, output, errors, own.read_text() if own.exists() else "")


@pytest.fixture
def run(target: Path, tmp_path: Path, backend: Backend) -> Run:
    """Runs a script with {target} in it; the command is the target program."""

    def go(script: str, *options: str) -> Outcome:
        return run_subject(target, tmp_path, backend, script, *options)

    return go
