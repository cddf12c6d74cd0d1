"""-x and the ends of a session: the target goes on as if nothing had been."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ptrace.conftest import Start, Trace, traced

COUNT = """
global entered, left
probe process("{spinner}").function("work") { entered++ }
probe process("{spinner}").function("work").return { left++ }
probe timer.ms(50) { if (entered > 100) printf("counting\\n") }
probe end { printf("entered=%d left=%d\\n", entered, left) }
"""


@pytest.fixture
def script(spinner: Path, tmp_path: Path) -> Path:
    path = tmp_path / "count.probe"
    path.write_text(COUNT.replace("{spinner}", str(spinner)))
    return path


@pytest.fixture
def target(start: Start, spinner: Path) -> subprocess.Popen[str]:
    process = start([str(spinner)])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def code_differs(pid: int, path: Path) -> list[int]:
    """Offsets at which the code of a process is not that of its file. System V ABI, chapter 5 (program header)."""
    data = path.read_bytes()
    table, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    maps = Path(f"/proc/{pid}/maps").read_text()
    start = next(int(line.split("-")[0], 16) for line in maps.splitlines() if line.endswith(str(path)))
    differs: list[int] = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for i in range(count):
            kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, table + i * size)
            if kind == 1 and flags & 1:
                memory.seek(start + address)
                code = memory.read(length)
                assert len(code) == length
                differs += [offset + at for at in range(length) if code[at] != data[offset + at]]
    return differs


def tracer_of(pid: int) -> int:
    found = re.search(r"^TracerPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_unharmed(target: subprocess.Popen[str], spinner: Path) -> None:
    wait_until(lambda: tracer_of(target.pid) == 0)
    assert code_differs(target.pid, spinner) == []
    output, messages = target.communicate(timeout=30)
    assert target.returncode == 5
    assert messages == ""
    assert "interrupted=0 early=0" in output


ENDS: dict[str, Callable[[subprocess.Popen[str]], None]] = {
    "SIGINT": lambda tracer: tracer.send_signal(signal.SIGINT),
    "SIGTERM": lambda tracer: tracer.send_signal(signal.SIGTERM),
    "SIGHUP": lambda tracer: tracer.send_signal(signal.SIGHUP),
    "SIGKILL": lambda tracer: tracer.kill(),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_restores_the_code(
    start: Start, target: subprocess.Popen[str], spinner: Path, script: Path, end: str
) -> None:
    tracer = start(traced("-x", str(target.pid), script))
    assert tracer.stdout is not None
    assert tracer.stdout.readline() == "counting\n"
    assert code_differs(target.pid, spinner) != []
    ENDS[end](tracer)
    assert_unharmed(target, spinner)
    output, messages = tracer.communicate(timeout=20)
    # after SIGKILL it is the tracer below that says what was counted
    found = re.search(r"entered=(\d+) left=(\d+)", output)
    assert found is not None, messages
    # the threads that were inside at the beginning or the end
    assert abs(int(found[1]) - int(found[2])) <= 2


@pytest.mark.parametrize(
    ("what", "status"), [("exit()", 0), ('error("enough")', 1), ("println(1 / (n - n))", 1)]
)
def test_an_end_from_within_restores_the_code(
    trace: Trace, target: subprocess.Popen[str], spinner: Path, what: str, status: int
) -> None:
    ran = trace(
        f'global n; probe process("{spinner}").function("work") {{ if (n++ == 500) {{ {what} }} }}'
        ' probe end, error { printf("n=%d\\n", n) }',
        "-x",
        str(target.pid),
    )
    assert ran.status == status
    assert ran.value("n") == 501  # no hit is told after it
    assert_unharmed(target, spinner)


def test_attached_for_some_time_and_again(trace: Trace, target: subprocess.Popen[str], spinner: Path) -> None:
    script = f'global n; probe process("{spinner}").function("work") {{ n++ }} probe end {{ printf("n=%d\\n", n) }}'
    for _ in range(4):
        assert trace(script, "-x", str(target.pid), "-T", "0.1").value("n") > 0
    assert_unharmed(target, spinner)


def test_threads_that_sleep_do_not_notice(trace: Trace, target: subprocess.Popen[str], spinner: Path) -> None:
    """None of them hits anything, so none has a reason to stop before the end."""
    ran = trace(
        f'global n; probe process("{spinner}").thread.begin {{ n++ }} probe process("{spinner}").begin {{ println("begin") }}'
        ' probe end { printf("n=%d\\n", n) }',
        "-x", str(target.pid), "-T", "0.3",
    )  # fmt: skip
    assert "begin\n" in ran.output
    assert ran.value("n") == 10
    assert_unharmed(target, spinner)


def test_sampling_interrupts_no_system_call(
    trace: Trace, target: subprocess.Popen[str], spinner: Path
) -> None:
    ran = trace(
        'global f; probe timer.profile.freq.hz(200) { f[usymname(uaddr())]++ } probe end { printf("n=%d\\n", f["work"] + f["spin"]) }',
        "-x", str(target.pid), "-T", "0.5",
    )  # fmt: skip
    assert ran.value("n") > 10
    assert_unharmed(target, spinner)


def test_killed_altogether_the_target_dies_too(
    start: Start, target: subprocess.Popen[str], script: Path
) -> None:
    """With breakpoints in it and nobody to answer them it could not go on."""
    tracer = start(traced("-x", str(target.pid), script))
    assert tracer.stdout is not None
    assert tracer.stdout.readline() == "counting\n"
    inner = tracer_of(target.pid)
    assert inner != tracer.pid
    os.kill(tracer.pid, signal.SIGSTOP)  # it shall not notice first
    os.kill(inner, signal.SIGKILL)
    os.kill(tracer.pid, signal.SIGKILL)
    target.wait(timeout=20)
    assert target.returncode == -signal.SIGKILL
