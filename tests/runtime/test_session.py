"""Sessions over real probes: exact counts, order of events, what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from probelang.artifact import code
from probelang.artifact.code import LocalVariable, Type
from probelang.artifact.limits import Limits
from probelang.artifact.points import BinaryFile, FunctionPoint, Site
from probelang.diag import CompileError
from tests.runtime.conftest import RunSession, Target
from tests.runtime.objects import (
    BY_THREAD,
    EXIT,
    SHOW_N,
    N,
    function,
    handler,
    lifecycle,
    manifest,
    show,
    timer,
)

pytestmark = pytest.mark.kernel


def command(target: Target, *words: str) -> tuple[str, ...]:
    return (target.path, *words)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_every_call_counts_once(run_session: RunSession, counter: Target, threads: int) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), lifecycle("end", SHOW_N))
    ran = run_session(m, command=command(counter, "-t", str(threads), "-n", "2000"))
    assert ran.value("n") == threads * 2000
    assert ran.status == 0


def test_children_of_the_command_count_too(run_session: RunSession, counter: Target) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), lifecycle("end", SHOW_N))
    # the command ends only after its children
    assert run_session(m, command=command(counter, "-n", "300", "-f", "4")).value("n") == 5 * 300


def test_other_processes_do_not_count(run_session: RunSession, counter: Target) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), lifecycle("end", SHOW_N))
    stranger = subprocess.Popen([counter.path, "-w", "200", "-n", "5000"], stdout=subprocess.DEVNULL)
    assert run_session(m, command=("sleep", "0.6")).value("n") == 0
    assert stranger.wait() == 0


def test_a_library_that_is_opened_later(
    run_session: RunSession, counter: Target, late_library: Target
) -> None:
    m = manifest(function(late_library.path, late_library.offsets["loaded_work"]), lifecycle("end", SHOW_N))
    assert run_session(m, command=command(counter, "-n", "77", "-d", late_library.path)).value("n") == 77


def test_a_process_that_is_running_with_its_children(run_session: RunSession, counter: Target) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), lifecycle("end", SHOW_N))
    process = subprocess.Popen([counter.path, "-w", "300", "-n", "200", "-f", "2"], stdout=subprocess.DEVNULL)
    ran = run_session(m, pid=process.pid, duration_s=0.9)
    assert process.wait() == 0
    assert ran.value("n") == 3 * 200


def test_a_program_started_while_the_session_runs(run_session: RunSession, counter: Target) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), lifecycle("end", SHOW_N))
    processes: list[subprocess.Popen[bytes]] = []
    late = threading.Timer(
        0.3,
        lambda: processes.append(subprocess.Popen([counter.path, "-n", "123"], stdout=subprocess.DEVNULL)),
    )
    late.start()
    assert run_session(m, duration_s=0.8).value("n") == 123
    assert processes[0].wait() == 0


def test_begin_comes_first_in_order_of_priority_and_end_last(
    run_session: RunSession, counter: Target
) -> None:
    m = manifest(
        function(counter.path, counter.offsets["only_once"]),
        lifecycle("end", show(("last=", code.Number(3)))),
        lifecycle("begin", show(("second=", code.Number(2))), priority=5),
        lifecycle("begin", show(("first=", code.Number(1))), priority=-5),
        records=True,
    )
    ran = run_session(m, command=command(counter, "-n", "1"))
    assert ran.output == "first=1\nsecond=2\n0 0\nlast=3\n"


def test_cookies_tell_the_sites_of_one_probe_apart(run_session: RunSession, counter: Target) -> None:
    sites = (counter.offsets["only_once"], counter.offsets["eight"])
    m = manifest(function(counter.path, *sites), records=True)
    assert run_session(m, command=command(counter, "-n", "1")).output == "0 0\n1 1\n"


def test_returns(run_session: RunSession, counter: Target) -> None:
    m = manifest(
        function(counter.path, counter.offsets["factorial"], is_return=True), lifecycle("end", SHOW_N)
    )
    assert run_session(m, command=command(counter, "-n", "1")).value("n") >= 1


def test_exit_in_begin_runs_no_probe_and_no_command(
    run_session: RunSession, counter: Target, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    m = manifest(
        function(counter.path, counter.offsets["work"]),
        lifecycle("begin", EXIT),
        lifecycle("begin", show(("never=", code.Number(1))), priority=1),
        lifecycle("end", SHOW_N),
    )
    ran = run_session(m, command=("touch", str(mark)))
    assert ran.output == "n=0\n"
    assert not mark.exists()


def test_the_status_of_the_command(run_session: RunSession) -> None:
    m = manifest()
    assert run_session(m, command=("sh", "-c", "exit 7")).status == 0
    assert run_session(m, command=("sh", "-c", "exit 7"), pass_status=True).status == 7
    assert run_session(m, command=("sh", "-c", "kill -9 $$"), pass_status=True).status == 137


def test_a_command_that_does_not_exist(run_session: RunSession) -> None:
    with pytest.raises(CompileError, match="cannot run the command `/no/such/program`"):
        run_session(manifest(), command=("/no/such/program",))


def test_an_uncaught_error_in_a_handler_ends_the_session_with_status_1(run_session: RunSession) -> None:
    division = code.Evaluate(code.Binary("/", code.Number(1), code.Number(0), 0))
    m = manifest(
        lifecycle("begin", division),
        lifecycle("end", show(("end=", code.Number(1)))),
        lifecycle("error", show(("error=", code.Number(1)))),
    )
    ran = run_session(m)
    assert ran.status == 1
    assert ran.output == "error=1\n"
    assert ran.messages == "ERROR: division by 0 near identifier 'n' at test.probe:1:7\n"


def test_errors_can_be_survived(run_session: RunSession) -> None:
    division = code.Evaluate(code.Binary("/", code.Number(1), code.Number(0), 0))
    m = manifest(
        lifecycle("begin", division),
        lifecycle("begin", EXIT, priority=1),
        lifecycle("end", show(("end=", code.Number(1)))),
        limits=Limits(errors=1),
    )
    ran = run_session(m)
    assert (ran.status, ran.output) == (0, "end=1\n")


def test_a_timer_that_prints_and_deletes_loses_no_hit(run_session: RunSession, counter: Target) -> None:
    """The sum over all intervals is the number of hits."""
    key, total = code.Local(0, Type.LONG), code.Local(1, Type.LONG)
    element = code.Element(BY_THREAD, (key,), Type.LONG, 0)
    add = code.Evaluate(code.Assign(total, "+", element, Type.LONG, 0))
    every = code.Foreach((key,), None, BY_THREAD, None, None, None, add, 0)
    body = (every, code.Delete(BY_THREAD, None, 0), show(("sum=", total)))
    names = (LocalVariable("k", Type.LONG), LocalVariable("t", Type.LONG))
    last = lifecycle("end", SHOW_N)
    end = code.Block(body)
    m = manifest(
        function(counter.path, counter.offsets["work"]),
        timer(20, *body, locals=names),
        last,
        type(last)("end", type(last.point)("end", 1), handler=handler(end, locals=names)),  # type: ignore[call-arg]
    )
    ran = run_session(m, command=command(counter, "-t", "4", "-n", "60000"))
    sums = [int(line[4:]) for line in ran.output.splitlines() if line.startswith("sum=")]
    assert ran.value("n") == 240_000
    assert sum(sums) == 240_000
    assert len([s for s in sums if s]) > 2


def test_updates_of_both_halves_at_once_are_exact(run_session: RunSession, counter: Target) -> None:
    """`n = n + 1` in a fast timer while programs count too: nothing is lost."""
    n, turns = code.Scalar(N, Type.LONG), code.Local(0, Type.LONG)
    step = code.Evaluate(code.Step(n, 1, False, 0))
    turn = code.Evaluate(code.Step(turns, 1, True, 0))
    fifty = code.Loop(code.Compare("<", turns, code.Number(50)), None, code.Block((step, turn)), 0)
    m = manifest(
        function(counter.path, counter.offsets["work"]),
        timer(5, fifty, show(("turn=", code.Number(50))), locals=(LocalVariable("i", Type.LONG),)),
        lifecycle("end", SHOW_N),
    )
    ran = run_session(m, command=command(counter, "-t", "2", "-n", "200000"))
    turns_run = ran.output.count("turn=")
    assert turns_run >= 1
    assert ran.value("n") == 400_000 + 50 * turns_run


def test_what_is_written_and_never_read_is_shown(run_session: RunSession, counter: Target) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]))
    from dataclasses import replace

    m = replace(m, variables=(replace(m.variables[N], report=True), m.variables[BY_THREAD]))
    assert run_session(m, command=command(counter, "-n", "42")).output == "n=42\n"


@pytest.mark.parametrize("cpu", sorted(os.sched_getaffinity(0)))
def test_delivered_and_lost_records_are_all_hits(run_session: RunSession, counter: Target, cpu: int) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), lifecycle("end", SHOW_N), records=True)
    words = ("taskset", "-c", str(cpu), counter.path, "-n", "30000")
    ran = run_session(m, command=words, ring_bytes=4096)
    delivered = len(ran.output.splitlines()) - 1
    lost = int(ran.messages.split()[1]) if ran.messages else 0
    assert ran.value("n") == 30_000
    assert delivered + lost == 30_000
    assert lost > 0


def test_records_arrive_in_order_and_complete(run_session: RunSession, counter: Target) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), records=True)
    ran = run_session(m, command=command(counter, "-n", "20000"))
    assert [int(line.split()[0]) for line in ran.output.splitlines()] == list(range(20_000))
    assert ran.messages == ""


def test_a_signal_ends_the_session_with_its_end_probes(run_session: RunSession, counter: Target) -> None:
    m = manifest(function(counter.path, counter.offsets["work"]), lifecycle("end", SHOW_N))
    for number in (signal.SIGINT, signal.SIGTERM):
        late = threading.Timer(0.3, os.kill, (os.getpid(), number))
        late.start()
        assert run_session(m).output == "n=0\n"


def test_duration(run_session: RunSession) -> None:
    started = time.monotonic()
    assert run_session(manifest(lifecycle("end", SHOW_N)), duration_s=0.2).output == "n=0\n"
    assert time.monotonic() - started >= 0.2


def test_a_file_that_changed_since_the_script_was_compiled(run_session: RunSession, counter: Target) -> None:
    probe = function(counter.path, 0)
    point = FunctionPoint(BinaryFile(counter.path, "00ff"), (Site(0, 0, "f", "p"),), False)
    with pytest.raises(CompileError, match="is not the one that the script was compiled for"):
        run_session(manifest(type(probe)("p", point, ("hit",))))


def test_a_file_that_is_gone(run_session: RunSession) -> None:
    with pytest.raises(CompileError, match=r"the probed file `/no/such/file` does not exist"):
        run_session(manifest(function("/no/such/file", 16)))
