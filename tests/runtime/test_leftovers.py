"""However a session ends, nothing of it stays in the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.conftest import Target, own_programs

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def kernel(requires: Callable[..., None]) -> None:
    requires("root", "uprobe_multi", "ring_buffer")


SCRIPT = """
import os, sys
from probelang.runtime.features import detect
from probelang.runtime.output.sink import TextSink
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.session import run
from tests.runtime.objects import SHOW_N, function, lifecycle, manifest, object_for, show
from probelang.artifact import code
path, offset, *command = sys.argv[1:]
m = manifest(
    function(path, int(offset)), lifecycle("begin", show(("ready=", code.Number(1)))), lifecycle("end", SHOW_N),
    records=True,
)
options = RunOptions(detect(), command=tuple(command) or None)
try:
    status = run(m, object_for(m), options, TextSink(sys.stdout.buffer, sys.stderr.buffer))
except BrokenPipeError:
    os._exit(141)
sys.exit(status)
"""


def start(target: Target, *command: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, target.path, str(target.offsets["work"]), *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert process.stdout is not None
    while process.stdout.readline() not in ("ready=1\n", ""):
        pass
    return process


def wait_until_gone() -> bool:
    """The kernel frees programs a little after their last file descriptor has gone."""
    deadline = time.monotonic() + 10
    while own_programs() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not own_programs()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_runs_end_probes_and_leaves_nothing(counter: Target, number: signal.Signals) -> None:
    process = start(counter)
    subprocess.run([counter.path, "-n", "55"], check=True, stdout=subprocess.DEVNULL)
    assert "hit" in own_programs()
    process.send_signal(number)
    output, messages = process.communicate(timeout=20)
    assert output.endswith("n=55\n"), messages
    assert process.returncode == 0
    assert wait_until_gone()


def test_sigkill_leaves_nothing_and_the_command_unharmed(counter: Target, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = start(counter, "sh", "-c", f"{counter.path} -w 700 -n 10 && touch {mark}")
    process.kill()
    process.wait()
    assert wait_until_gone()
    deadline = time.monotonic() + 10
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mark.exists()


def test_a_reader_that_goes_away_ends_it_quietly(counter: Target) -> None:
    process = start(counter)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    subprocess.run([counter.path, "-n", "5000"], check=True, stdout=subprocess.DEVNULL)
    assert process.wait(timeout=20) == 141
    assert process.stderr.read() == ""
    assert wait_until_gone()


def test_the_exec_of_a_command_inherits_no_file_descriptor(counter: Target) -> None:
    process = start(counter, "ls", "-l", "/proc/self/fd")
    output, _ = process.communicate(timeout=20)
    assert "bpf" not in output and "perf_event" not in output
