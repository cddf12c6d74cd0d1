"""Targets that count their own calls, and sessions of the ptrace backend in processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import MISSING, Compile

TARGETS = Path(__file__).parent / "targets"
ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Ran:
    """`output`: of script and command; `messages`: on the error output."""

    status: int
    output: str
    messages: str

    def value(self, name: str) -> int:
        """The sum of all `name=NUMBER`."""
        return sum(int(n) for n in re.findall(rf"\b{name}=(-?\d+)", self.output))


Trace = Callable[..., Ran]
Start = Callable[..., subprocess.Popen[str]]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def traced(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "probelang", "run", "--backend", "ptrace", *map(str, words)]


@pytest.fixture(autouse=True)
def tracing(requires: Callable[..., None]) -> None:
    requires("ptrace")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A test run in the background ignores SIGINT, and what it starts would do so too."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """`trace(script, "-c", command)`: a session, to its end."""

    def run(script: str, *words: str | Path, binary: bool = False) -> Ran:
        path = tmp_path / "script.probe"
        path.write_text(script)
        done = subprocess.run(
            traced(*words, path),
            capture_output=True,
            text=True,
            errors="surrogateescape",
            cwd=tmp_path,
            env=environment(),
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start([words...])`: a process that is killed at the end of the test; its output goes to pipes."""
    started: list[subprocess.Popen[str]] = []

    def begin(words: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment(),
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def crowd(compile_c: Compile) -> Path:
    return compile_c(TARGETS / "crowd.c", "-O1", "-pthread", name="ptrace_crowd")


@pytest.fixture(scope="session")
def ways_out(compile_c: Compile) -> Path:
    return compile_c(TARGETS / "ways_out.cpp", "-O2", name="ptrace_ways_out")


@pytest.fixture(scope="session")
def spinner(compile_c: Compile) -> Path:
    return compile_c(TARGETS / "spinner.c", "-O1", "-pthread", name="ptrace_spinner")


@pytest.fixture
def installed(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """`installed("java")`: where it is; without it the test is skipped by that name. More words: folders to look in, as patterns."""

    def find(name: str, *folders: str) -> Path:
        found = shutil.which(name)
        places = [Path(found)] if found else []
        for pattern in folders:
            places += sorted(Path("/").glob(f"{pattern.removeprefix('/')}/{name}"))
        if not places:
            request.config.stash.setdefault(MISSING, Counter())[name] += 1
            pytest.skip(f"needs {name}")
        return places[-1]

    return find
