"""The semaphores of marks: raised in every process that has one while it is probed, and 0 again in all of them afterwards.

The numbers are read where the program reads them, in its memory.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, only

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TIMEOUT_S = 60


@pytest.fixture(scope="session")
def lender(compile_c: Compile) -> Path:
    return compile_c(HERE / "targets" / "lender.c", "-O1", "-shared", "-fPIC", name="liblender.so")


@pytest.fixture(scope="session")
def marked(compile_c: Compile) -> Path:
    return compile_c(HERE / "targets" / "marked.c", "-O1", "-pthread", name="marked")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Target:
    """A program that runs and sells; `counter`: where its semaphore is."""

    process: subprocess.Popen[str]
    pid: int
    counter: int

    def semaphore(self, pid: int | None = None, address: int | None = None) -> int:
        with open(f"/proc/{pid or self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address or self.counter)
            (value,) = struct.unpack("<H", memory.read(2))
            return int(value)

    def say(self, line: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Processes that are killed at the end of the test, with what they have started."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=environment(), start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def target(start: Start, marked: Path) -> Target:
    process = start(str(marked))
    assert process.stdout is not None
    pid, counter = process.stdout.readline().split()
    found = Target(process, int(pid), int(counter, 16))
    assert found.semaphore() == 0
    return found


def command(backend: Backend, *words: str) -> list[str]:
    return [sys.executable, "-m", "probelang", "run", "-w", "--backend", backend, *words]


Session = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def session(start: Start, target: Target, marked: Path, backend: Backend) -> Session:
    """Of the target's mark, and of `more` probes; it counts when this returns."""

    def begin(more: str = "") -> subprocess.Popen[str]:
        script = (
            f'global n; probe process("{marked}").mark("sold") {{ if (n++ == 3) println("counting") }} {more}'
            ' probe end { printf("n=%d\\n", n) }'
        )
        words = command(backend, "-e", script, *(["-x", str(target.pid)] if backend == "ptrace" else []))
        process = start(*words)
        assert process.stdout is not None
        assert process.stdout.readline() == "counting\n", process.communicate()
        return process

    return begin


# ------------------------------------------------------------------------------------------------ whole runs


def count_family(marked: Path, lender: Path, output: Path, backend: Backend, *options: str) -> None:
    script = (
        f'global n; probe process("{marked}").mark("sold"), process("{lender}").provider("library").mark("lent") {{ n++ }}'
        ' probe end { printf("n=%d\\n", n) }'
    )
    words = ["-o", str(output), "-e", script, "-c", f"{marked} family {lender}", *options]
    done = subprocess.run(
        command(backend, *words),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "failures" not in done.stdout
    hits = sum(int(n) for n in re.findall(r"hits=(\d+)", done.stdout))
    assert hits == 100 + 100 + 3 * 50 + 70 + 60
    assert output.read_text() == f"n={hits}\n"


def test_every_process_of_a_command_sees_its_marks_probed(
    marked: Path, lender: Path, tmp_path: Path, backend: Backend
) -> None:
    count_family(marked, lender, tmp_path / "output", backend)


@only("kernel", "features of the kernel")
@pytest.mark.parametrize("missing", [["uprobe_multi"], ["uprobe_multi", "perf_link"]], ids=len)
def test_on_older_kernels(
    marked: Path, lender: Path, tmp_path: Path, backend: Backend, missing: list[str]
) -> None:
    without = [word for name in missing for word in ("--without", name)]
    count_family(marked, lender, tmp_path / "output", backend, *without)


def test_without_a_probe_nothing_is_raised(
    marked: Path, lender: Path, tmp_path: Path, backend: Backend
) -> None:
    script = f'global n; probe process("{marked}").function("sell") {{ n++ }} probe end {{ println(n > 0) }}'
    done = subprocess.run(
        command(backend, "-e", script, "-c", f"{marked} family {lender}"),
        capture_output=True, text=True, env=environment(), timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert "1\n" in done.stdout
    assert set(re.findall(r"hits=(\d+)", done.stdout)) == {"0"}


# ------------------------------------------------------------------------------- programs that run already

ENDS: dict[str, Callable[[subprocess.Popen[str]], None]] = {
    "SIGINT": lambda session: session.send_signal(signal.SIGINT),
    "SIGKILL": lambda session: session.kill(),
}


@pytest.mark.parametrize("end", ENDS)
def test_raised_while_a_session_lasts(target: Target, session: Session, end: str) -> None:
    running = session()
    assert target.semaphore() == 1
    ENDS[end](running)
    wait_until(lambda: target.semaphore() == 0)
    hits = int(target.say("end").removeprefix("hits="))
    found = re.search(r"n=(\d+)", running.communicate(timeout=20)[0])
    if found is not None:  # of a session of the kernel backend that was killed nobody is left to tell
        # handlers end before the semaphore goes down
        assert 0 < int(found[1]) <= hits
    else:
        assert end == "SIGKILL"


@pytest.mark.parametrize("end", ENDS)
def test_children_by_fork_have_it_raised_and_lowered(target: Target, session: Session, end: str) -> None:
    before = int(target.say("fork"))
    running = session()
    after = int(target.say("fork"))
    family = [target.pid, before, after]
    wait_until(lambda: [target.semaphore(pid) for pid in family] == [1, 1, 1])
    ENDS[end](running)
    wait_until(lambda: [target.semaphore(pid) for pid in family] == [0, 0, 0])
    assert int(target.say("end").removeprefix("hits=")) > 0


def test_a_session_that_ends_itself_lowers_it(target: Target, session: Session) -> None:
    running = session(
        f'probe process("{os.readlink(f"/proc/{target.pid}/exe")}").mark("sold") {{ if (n > 20) exit() }}'
    )
    running.communicate(timeout=20)
    assert running.returncode == 0
    assert target.semaphore() == 0


def test_a_library_that_comes_later(target: Target, session: Session, lender: Path) -> None:
    running = session(f'probe process("{lender}").mark("lent") {{ n++ }}')
    counter = int(target.say(f"load {lender}"), 16)
    wait_until(lambda: target.semaphore(address=counter) == 1)
    child = int(target.say("fork"))
    assert target.semaphore(child, counter) == 1
    assert target.say("unload") == "gone"
    counter = int(target.say(f"load {lender}"), 16)
    wait_until(lambda: target.semaphore(address=counter) == 1)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert [target.semaphore(), target.semaphore(address=counter), target.semaphore(child)] == [0, 0, 0]


def test_a_library_that_is_loaded_already(target: Target, session: Session, lender: Path) -> None:
    counter = int(target.say(f"load {lender}"), 16)
    running = session(f'probe process("{lender}").mark("lent") {{ n++ }}')
    assert target.semaphore(address=counter) == 1
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert target.semaphore(address=counter) == 0


@only("kernel", "a process has one tracer")
def test_several_sessions_at_once(target: Target, session: Session) -> None:
    first, second = session(), session()
    assert target.semaphore() >= 1
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=20)
    assert target.semaphore() >= 1
    second.kill()
    wait_until(lambda: target.semaphore() == 0)


@only("kernel", "processes that are not its children")
def test_processes_that_start_later(target: Target, session: Session, marked: Path, start: Start) -> None:
    running = session()
    later = start(str(marked))
    assert later.stdout is not None
    pid, counter = later.stdout.readline().split()
    assert target.semaphore(int(pid), int(counter, 16)) == 1
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert target.semaphore(int(pid), int(counter, 16)) == 0


def test_another_probe_at_the_same_place(
    marked: Path, lender: Path, tmp_path: Path, backend: Backend
) -> None:
    """The kernel takes only probes that agree on the counter, and this one knows nothing of a mark."""
    notes = subprocess.run(["readelf", "-nW", str(marked)], capture_output=True, text=True, check=True).stdout
    (address,) = re.findall(r"Location: (0x\w+)", notes)
    output = tmp_path / "output"
    script = (
        f'global n, m; probe process("{marked}").statement({int(address, 16)}) {{ m++ }}'
        f' probe process("{marked}").mark("sold") {{ n++ }} probe end {{ printf("%d %d\\n", n, m) }}'
    )
    done = subprocess.run(
        command(backend, "-o", str(output), "-e", script, "-c", f"{marked} sell 25"),
        capture_output=True, text=True, env=environment(), timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "hits=25\n", "")
    assert output.read_text() == "25 25\n"


def test_the_marks_of_one_process_only(target: Target, marked: Path, start: Start, backend: Backend) -> None:
    other = start(str(marked))
    assert other.stdout is not None
    pid, counter = (int(word, 0) for word in other.stdout.readline().split())
    script = f'global n; probe process({target.pid}).mark("sold") {{ if (n++ == 3) println("counting") }}'
    running = start(
        *command(backend, "-e", script, *(["-x", str(target.pid)] if backend == "ptrace" else []))
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "counting\n", running.communicate()
    assert (target.semaphore(), target.semaphore(pid, counter)) == (1, 0)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert target.semaphore() == 0
