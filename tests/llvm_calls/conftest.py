"""A target program and the command line, for tests of builtins in real process probes, with both backends."""

from __future__ import annotations

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


@pytest.fixture
def run(target: Path, tmp_path: Path, backend: Backend) -> Run:
    """Runs a script with {target} in it; the command is the target program."""

    def go(script: str, *options: str) -> Outcome:
        file = tmp_path / "script.probe"
        file.write_text(script.replace("{target}", str(target)))
        command = f"{target} {tmp_path / 'pages'} {tmp_path / 'own'}"
        words = [sys.executable, "-m", "probelang", "run", "--backend", backend, *options, str(file), "-c", command]
        done = subprocess.run(words, capture_output=True, timeout=120, check=False)
        output = done.stdout.decode("utf-8", "backslashreplace").splitlines()
        errors = done.stderr.decode("utf-8", "backslashreplace")
        return Outcome(done.returncode, output, errors, (tmp_path / "own").read_text() if output else "")

    return go
