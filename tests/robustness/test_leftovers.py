"""However a session ends, it ends soon, says so with its exit status, and leaves nothing in the kernel and no process. What one of
the ptrace backend leaves in a process is in tests/ptrace."""

from __future__ import annotations

import os
import random
import re
import select
import signal
import subprocess
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import only
from tests.robustness.conftest import (
    ROOT,
    TIMEOUT_S,
    Start,
    children,
    environment,
    kernel_objects,
    probelang_command,
    still_there,
)

pytestmark = pytest.mark.kernel


def script(flood: Path, more: str = "") -> str:
    return (
        f'global n, a, s probe process("{flood}").function("hit") {{ n++; a[tid()] <<< 1; s .= "x" }} '
        f'probe timer.ms(5) {{ foreach (t in a) n += 0 * @count(a[t]) delete a }} probe timer.ms(1) {{ if (!said++) println("ready") }} global said '
        f'probe end {{ println("end n=", n); s = s }} {more}'
    )


@only("kernel", "a session that sees every process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_it_in_good_order(number: signal.Signals, start: Start, flood: Path) -> None:
    session = start(script(flood))
    held = kernel_objects(session.pid)
    subprocess.run([flood, "-n", "55"], check=True, stderr=subprocess.DEVNULL)
    session.send_signal(number)
    output, messages = session.communicate(timeout=TIMEOUT_S)
    assert (session.returncode, output, messages) == (0, "end n=55\n", "")
    assert {kind for kind, _ in held} == {"prog", "map", "link"} and not still_there(held)


@pytest.mark.parametrize(
    ("more", "words", "status"),
    [
        ("probe timer.ms(50) { exit() }", (), 0),
        ("", ("-T", "0.1"), 0),
        ("probe timer.ms(50) { error(\"mine\") }", (), 1),
        ("", ("-c", "sleep 0.1"), 0),
        ("", ("--pass-status", "-c", "sh -c 'sleep 0.1; exit 5'"), 5),
        ("", ("--pass-status", "-c", "sh -c 'sleep 0.1; kill -9 $$'"), 137),
    ],
)  # fmt: skip
def test_every_other_end(
    more: str, words: tuple[str, ...], status: int, start: Start, flood: Path, backend: Backend
) -> None:
    if backend == "ptrace" and "-c" not in words:
        # nobody else can be probed; it goes on behind the session, without its pipes
        words = (*words, "-c", "sh -c 'exec sleep 60 >/dev/null 2>&1'")
    session = start(script(flood, more), *words)
    held = kernel_objects(session.pid)
    output, _ = session.communicate(timeout=TIMEOUT_S)
    assert session.returncode == status
    assert ("end n=" in output) == (status != 1), "after too many errors error probes run instead"
    assert not still_there(held)


def test_a_second_signal_ends_what_will_not_end(start: Start, flood: Path) -> None:
    endless = script(flood, "probe end(-1) { while (1) n++ }")
    session = start(endless, "-D", "MAXACTION=2000000000", "-c", "sleep 60")
    held = kernel_objects(session.pid)
    session.send_signal(signal.SIGINT)
    # the first may only just have been taken, so until it listens
    while session.poll() is None:
        try:
            session.wait(0.2)
        except subprocess.TimeoutExpired:
            session.send_signal(signal.SIGINT)
    assert session.returncode == 130
    assert not still_there(held)


@only("kernel", "SIGKILL to a tracer: tests/ptrace/test_attach.py")
def test_sigkill_leaves_nothing_and_the_command_goes_on(start: Start, flood: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    session = start(script(flood), "-c", f"sh -c 'sleep 0.5; {flood} -n 10 && touch {mark}'")
    held, (child,) = kernel_objects(session.pid), children(session.pid)
    pidfd = os.pidfd_open(child)
    session.kill()
    session.wait()
    assert not still_there(held)
    wait_for(pidfd)
    assert mark.exists()


def wait_for(pidfd: int) -> None:
    select.select([pidfd], [], [], TIMEOUT_S)
    os.close(pidfd)


def test_a_command_that_was_never_begun_ends_with_its_session(start: Start, flood: Path) -> None:
    session = start(script(flood, "probe begin { exit() }"), "-c", "sleep 100", wait=False)
    output, _ = session.communicate(timeout=TIMEOUT_S)
    assert session.returncode == 0 and "end n=0" in output


def test_what_system_started_is_no_reason_to_stay(start: Start, flood: Path) -> None:
    ends = script(flood, 'probe begin { system("sleep 30 >/dev/null 2>&1") } probe timer.ms(50) { exit() }')
    session = start(ends, "-c", "sleep 60")
    assert session.wait(timeout=20) == 0


def test_signals_at_any_moment(flood: Path, tmp_path: Path, able: Backend) -> None:
    """From the first import to the last line: no traceback of ours, no bug report, no hang, no other status."""
    choose = random.Random(4)
    started: list[subprocess.Popen[bytes]] = []
    for step in range(16):
        target = f"{flood} -n 100 -u 1000; echo status=$?"
        words = ("-c", f"sh -c '{target}'") if able == "ptrace" else ()
        command = probelang_command("-w", "-e", script(flood), "-T", "0.2", *words, backend=able)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment()
        )
        started.append(process)
        try:
            process.wait(0.03 + step * 0.04)
        except subprocess.TimeoutExpired:
            number = choose.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
            for _ in range(choose.randint(1, 2)):
                process.send_signal(number)
        output, messages = process.communicate(timeout=TIMEOUT_S)
        assert (
            process.returncode in (0, 130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
            or b"site" in messages
            or b"runpy" in messages  # in Python's own start
        )
        assert set(re.findall(rb"status=(.*)", output)) <= {b"0"}, "the target goes on unharmed"
        # before the first line of ours runs, ^C is the interpreter's
        ours = re.search(rf'File "{ROOT}/(?!probelang/__(main|init)__)', messages.decode())
        assert not ours and b"internal error" not in messages, messages.decode()
        assert process.returncode or re.search(rb"^end n=\d+$", output, re.MULTILINE)
