"""Probe points other than functions: life of processes, system calls, samples; and who is meant by pid(). With both backends."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from probelang.options import Backend, Options
from probelang.pipeline import prepare_source
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.session import run as run_session
from probelang.source import SourceFile
from tests.agreement.halves import Target
from tests.evaluate.scripts import Outcome, RecordingSink

pytestmark = pytest.mark.kernel
Runner = Callable[..., Outcome]


@pytest.fixture
def run(backend: Backend, kernel_features: frozenset[str], requires: Callable[..., None]) -> Runner:
    if backend == "kernel":
        requires("raw_tracepoints")

    def runner(text: str, *command: str) -> Outcome:
        options = Options(features=kernel_features, command=command[0], backend=backend)
        artifact = prepare_source(SourceFile("test.probe", text), options)
        outcome = Outcome()
        run_options = RunOptions(kernel_features, command=command, ring_bytes=1 << 20, backend=backend)
        run_session(artifact.manifest, artifact.code, run_options, RecordingSink(outcome))
        return outcome

    return runner


THREADS = "import threading as t\nx = [t.Thread(target=int) for _ in range(3)]\nfor y in x: y.start()\nfor y in x: y.join()"
CHILD = "import os\nif os.fork() == 0: os._exit(0)\nos.wait()"


def test_begin_and_end_of_a_process(run: Runner, firing: Target) -> None:
    text = 'probe process.begin, process.end { printf("%s %s %d\\n", pn(), execname(), pid() == tid()) }'
    assert run(text, firing.path, "1").text == "process.begin fire 1\nprocess.end fire 1\n"


def test_a_forked_child_begins_and_ends_as_itself(run: Runner) -> None:
    text = (
        'probe process.begin { printf("b %d %d\\n", pid(), ppid()) }'
        'probe process.end { printf("e %d %d\\n", pid(), ppid()) }'
    )
    found = re.findall(r"([be]) (\d+) (\d+)\n", run(text, sys.executable, "-c", CHILD).text)
    parent = found[0][1]
    child = next(pid for event, pid, _ in found if event == "b" and pid != parent)
    assert [(event, pid) for event, pid, _ in found] == [
        ("b", parent),
        ("b", child),
        ("e", child),
        ("e", parent),
    ]
    assert found[1][2] == parent == found[2][2]


def test_threads_begin_and_end(run: Runner) -> None:
    text = (
        "global began, ended probe process.thread.begin { began[tid()] = pid() } "
        "probe process.thread.end { ended[tid()] = pid() } "
        "probe end { foreach (t in began) if (t != began[t] && ended[t] == began[t]) n++; println(n) }"
    )
    assert run(text, sys.executable, "-c", THREADS).text == "3\n"


def test_functions_know_the_subject_too(run: Runner) -> None:
    text = (
        'function who() { x = sprintf("%d", pid()); return x . " " . execname() } '
        'probe process.begin { printf("%d %s|%s\\n", pid(), execname(), who()) }'
    )
    lines = run(text, sys.executable, "-c", CHILD).text.splitlines()
    assert len(lines) == 2
    assert all(line.split("|")[0] == line.split("|")[1] for line in lines)


def test_system_calls_have_number_arguments_and_result(run: Runner) -> None:
    text = (
        'probe process.syscall { if ($syscall == 1) printf("%d %d\\n", $arg1, $arg3) }'
        'probe process.syscall.return { if (syscall_number() == 1) printf("-> %d\\n", $return) }'
    )
    code = "import os; os.write(2, b''); os.write(99, b'abc')"
    shown = run(text, sys.executable, "-S", "-c", code).text
    assert "2 0\n-> 0\n99 3\n-> -9\n" in shown


def test_only_the_named_program_is_meant(run: Runner, firing: Target) -> None:
    text = f'probe process("{firing.path}").begin {{ println(execname()) }} probe process.begin {{ println("any") }}'
    assert run(text, sys.executable, "-c", CHILD).text == "any\nany\n"
    assert run(text, firing.path, "1").text.splitlines().count("fire") == 1


def test_samples_see_registers_of_the_process(
    run: Runner, backend: Backend, requires: Callable[..., None]
) -> None:
    if backend == "kernel":
        requires("task_pt_regs")
    text = (
        "global hits, inside probe timer.profile { if (pid() == target()) { hits++; "
        'if (register("rsp") > 0x1000 && uaddr() > 0x1000) inside++ } } '
        "probe end { println(hits > 5, hits == inside) }"
    )
    assert run(text, sys.executable, "-c", "x = 0\nfor i in range(3000000): x += i").text == "11\n"


def test_functions_and_loops_read_registers_of_the_hit(run: Runner, firing: Target) -> None:
    text = (
        "global a, n function first() { i = 0; while (i < 2) { i++; r += int_arg(1) } return r } "
        f'probe process("{firing.path}").function("fire") {{ a[1] = 1; foreach (k in a) n += int_arg(1); n += first() }} '
        "probe end { println(n) }"
    )
    assert run(text, firing.path, "5").text == f"{3 * (0 + 1 + 2 + 3 + 4)}\n"
