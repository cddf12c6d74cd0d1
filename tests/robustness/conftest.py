"""Real sessions in processes of their own, with both backends, and what the kernel holds of them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile

TARGETS = Path(__file__).parent / "targets"
ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Ran:
    status: int
    output: str
    messages: str

    def value(self, name: str) -> int:
        """Of the last `name=NUMBER` in the output."""
        return int(re.findall(rf"\b{name}=(-?\d+)", self.output)[-1])

    def hits(self) -> int:
        """As the target counted them."""
        return sum(int(n) for n in re.findall(r"^hits=(\d+)$", self.messages, re.MULTILINE))

    def lost(self, what: str = "records were lost") -> int:
        return sum(int(n) for n in re.findall(rf"(\d+) {what}", self.messages))


Trace = Callable[..., Ran]
Start = Callable[..., subprocess.Popen[str]]


def probelang_command(*words: str, backend: str = "auto") -> list[str]:
    return [sys.executable, "-m", "probelang", "run", "--backend", backend, *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def able(backend: Backend, requires: Callable[..., None]) -> Backend:
    """What these sessions need."""
    if backend == "kernel":
        requires("cookie", "raw_tracepoints")
    return backend


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A test run in the background ignores SIGINT, and what it starts would do so too."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.fixture(scope="session")
def flood(compile_c: Compile) -> Path:
    return compile_c(TARGETS / "flood.c", "-O1", "-pthread", name="flood")


@pytest.fixture(scope="session")
def family(compile_c: Compile) -> Path:
    return compile_c(TARGETS / "family.c", "-O1", "-pthread", name="family")


@pytest.fixture(scope="session")
def faults(compile_c: Compile) -> Path:
    return compile_c(TARGETS / "faults.c", "-O1", "-pthread", name="faults")


@pytest.fixture(scope="session")
def life(compile_c: Compile) -> Path:
    return compile_c(TARGETS / "life.c", "-O1", "-pthread", name="life")


@pytest.fixture
def trace(tmp_path: Path, able: Backend) -> Trace:
    """Runs a script to its end: `trace("probe ...", "-c", "...")`."""

    def run(script: str, *words: str, **settings: str) -> Ran:
        done = subprocess.run(
            probelang_command("-w", "-e", script, *words, backend=able), capture_output=True, text=True, cwd=tmp_path,
            env=environment() | settings, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start(tmp_path: Path, able: Backend) -> Iterator[Start]:
    """Starts a session and waits until it counts: the script says `ready` in its begin probe. Whatever lives at the
    end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(script: str, *words: str, wait: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            probelang_command("-w", "-e", script, *words, backend=able), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=tmp_path, env=environment(), start_new_session=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        while wait and process.stdout.readline() not in ("ready\n", ""):
            pass
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started, too
        process.communicate()


def kernel_objects(pid: int) -> set[tuple[str, int]]:
    """Programs, maps and links that a process holds: their kind and number."""
    found: set[tuple[str, int]] = set()
    folder = Path(f"/proc/{pid}/fdinfo")
    for entry in folder.iterdir():
        try:
            text = entry.read_text()
        except OSError:
            continue
        found |= {
            (kind, int(n)) for kind, n in re.findall(r"^(prog|map|link)_id:\s*(\d+)", text, re.MULTILINE)
        }
    return found


_GET_FD = {"prog": 13, "map": 14, "link": 30}  # commands of bpf(2)
_SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)
_libc = ctypes.CDLL(None, use_errno=True)


def still_there(objects: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those that the kernel still has after a little while: it frees them after their last file descriptor has gone."""
    deadline = time.monotonic() + 10
    while objects and time.monotonic() < deadline:
        objects = {(kind, number) for kind, number in objects if _exists(kind, number)}
        time.sleep(0.02)
    return objects


def _exists(kind: str, number: int) -> bool:
    attributes = number.to_bytes(4, "little") + bytes(12)
    fd: int = _libc.syscall(_SYS_BPF, _GET_FD[kind], attributes, len(attributes))
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]
