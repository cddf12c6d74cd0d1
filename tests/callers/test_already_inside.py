"""`within` for calls that had begun when the session did: their returns were never hooked, and still they are known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.callers.claims import read_claims, script, wrong
from tests.callers.conftest import Build, Built

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60
READY = '\nglobal said\nprobe timer.ms(1) { if (!said++) println("ready") }\n'

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A test run in the background ignores SIGINT, and what it starts would do so too."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program that says `ready`; killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "ready\n", said + process.communicate()[1]
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ask_one_that_waits(
    start: Start, program: Built, backend: Backend, folder: Path, *options: str
) -> list[str]:
    claims = read_claims(program.source, program.way.traits | {backend}, program.values)
    asked = folder / "asked.probe"
    asked.write_text(script(claims) + READY)
    target = start(program.program, "100" if backend == "kernel" else "5")
    words = ("-x", str(target.pid), *options, str(asked))
    session = start(sys.executable, "-m", "probelang", "run", "--backend", backend, *words)
    said, _ = target.communicate("go on\n", timeout=TIMEOUT_S)
    session.send_signal(signal.SIGINT)
    output, messages = session.communicate(timeout=TIMEOUT_S)
    assert session.returncode == 0 and "lost" not in messages and "left out" not in messages, messages
    return wrong(claims, output, said)


@pytest.mark.parametrize(
    "way",
    [
        "c -O2 -pie -g",
        "c++ -O0 -no-pie -g",
        pytest.param("c -O3 -fomit-frame-pointer", marks=pytest.mark.slow),
    ],
)
def test_threads_that_are_inside_at_the_start(
    way: str, start: Start, built: Build, able: Backend, tmp_path: Path
) -> None:
    assert ask_one_that_waits(start, built("waiting", way), able, tmp_path) == []
