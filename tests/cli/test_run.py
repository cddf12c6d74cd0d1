"""Running scripts from the command line: options of a session, its endings and exit statuses, saved objects. What probes in a
process say comes out the same way with both backends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import TIMEOUT_S, Compile, Result, Run

ROOT = Path(__file__).parent.parent.parent
WITHOUT_COMPILER = (
    "import sys\n"
    "for name in NAMES: sys.modules[name] = None\n"
    "from probelang.cli.main import main\n"
    "raise SystemExit(main())\n"
)
SOURCE = """
#include <stdlib.h>
#include <unistd.h>
__attribute__((noipa)) int step(int n) { return n + 1; }
int main(int argc, char **argv)
{
    int status = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i < 10; i++) step(i);
    if (argc > 2) for (;;) { step(0); usleep(1000); }
    return status;
}
"""
COUNTING = 'global n; probe process.function("step") { n++ } probe end { println(n) }'


@pytest.fixture
def steps(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O1", name="steps")


@pytest.fixture
def run(probelang: Run, backend: Backend) -> Run:
    """The command line with either backend."""

    def with_backend(*words: str, **more: str) -> Result:
        return probelang("run", "--backend", backend, *words, **more)

    return with_backend


@pytest.fixture
def bpf(requires: Callable[..., None]) -> None:
    """For what is about objects of BPF."""
    requires("root", "ring_buffer", "uprobe_multi")


def test_a_script_as_the_first_word(probelang: Run, tmp_path: Path) -> None:
    script = tmp_path / "x.probe"
    script.write_text("#!/usr/bin/env probelang\nprobe begin { println(@1, $2 + 1) exit() }")
    assert probelang("x.probe", "a", "41").stdout == "a42\n"
    assert probelang("run", "x.probe", "a", "41").stdout == "a42\n"


def test_a_script_from_standard_input(probelang: Run) -> None:
    assert probelang("-", stdin="probe begin { println(1) exit() }").stdout == "1\n"


def test_the_command_is_probed_and_its_output_is_its_own(run: Run, steps: Path, tmp_path: Path) -> None:
    result = run("-c", str(steps), "-e", COUNTING)
    assert (result.status, result.stdout, result.stderr) == (0, "10\n", "")
    run("-c", str(steps), "-o", "out", "-e", COUNTING)
    assert (tmp_path / "out").read_text() == "10\n"


def test_the_commands_status_is_passed_on_when_asked(run: Run, steps: Path) -> None:
    assert run("-c", f"{steps} 7", "-e", COUNTING).status == 0
    assert run("-c", f"{steps} 7", "--pass-status", "-e", COUNTING).status == 7
    killed = "sh -c 'kill -9 $$'"
    assert run("-c", killed, "--pass-status", "-e", "probe process.begin {}").status == 137


def test_an_error_in_a_process_probe_is_status_1_whatever_the_command_ends_with(
    run: Run, steps: Path
) -> None:
    script = 'global n; probe process.function("step") { if (n++ == 4) error("enough") } probe error { println(n) } probe end { println("end") }'
    result = run("-c", f"{steps} 7", "--pass-status", "-e", script)
    assert (result.status, result.stdout) == (1, "5\n")
    assert result.stderr == "ERROR: enough near identifier 'error' at <command line>:1:58\n"


def test_no_hit_is_told_after_exit(run: Run, steps: Path) -> None:
    script = 'global n; probe process.function("step") { println(n); if (n++ == 4) { exit(); println("on") } } probe end { println("n=", n) }'
    assert run("-c", str(steps), "-e", script).stdout == "0\n1\n2\n3\n4\non\nn=5\n"


def test_time_ends_the_session_while_the_command_goes_on(run: Run, steps: Path) -> None:
    script = f'global n; probe process("{steps}").function("step") {{ n++ }} probe end {{ println(n > 10, " ", target()) }}'
    result = run("-c", f"sh -c 'exec {steps} 0 forever >/dev/null 2>&1'", "-T", "0.3", "-e", script)
    shown, pid = result.stdout.split()
    os.kill(int(pid), signal.SIGKILL)
    assert (result.status, shown) == (0, "1")


def test_time_ends_the_session_and_end_probes_run(probelang: Run) -> None:
    result = probelang("-T", "0.2", "-e", 'probe timer.s(100) {} probe end { println("end") }')
    assert (result.status, result.stdout) == (0, "end\n")


def test_one_process_is_probed_with_x(run: Run, steps: Path) -> None:
    with (
        subprocess.Popen([steps, "0", "forever"]) as chosen,
        subprocess.Popen([steps, "0", "forever"]) as other,
    ):
        try:
            script = (
                f'global n; probe process("{steps}").function("step") {{ n[pid()]++ }}'
                " probe end { foreach (p in n) println(p) }"
            )
            result = run("-x", str(chosen.pid), "-T", "0.5", "-e", script)
        finally:
            chosen.kill()
            other.kill()
    assert result.stdout.split() == [str(chosen.pid)], result.stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_session_and_end_probes_run(ending: signal.Signals) -> None:
    script = 'probe begin { println("begun") } probe end { println("end") } probe timer.s(100) {}'
    words = [sys.executable, "-u", "-m", "probelang", "-e", script]
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        deadline = time.monotonic() + TIMEOUT_S
        first = ""
        while not first and time.monotonic() < deadline:
            first = running.stdout.readline()
        running.send_signal(ending)
        rest, errors = running.communicate(timeout=TIMEOUT_S)
    assert (first, rest, errors) == ("begun\n", "end\n", "")
    assert running.returncode == 0


def test_an_uncaught_error_is_status_1_with_its_place(probelang: Run) -> None:
    result = probelang("-e", "global zero probe begin { println(1 / zero) } probe error { println(2) }")
    assert result.status == 1 and result.stdout == "2\n"
    assert "division by 0" in result.stderr and "<command line>:1:" in result.stderr


def test_errors_can_be_survived(probelang: Run) -> None:
    script = "global zero probe begin { println(1 / zero) } probe begin(1) { println(3) exit() }"
    assert probelang("-e", script, "-D", "MAXERRORS=1").stdout == "3\n"
    assert probelang("-e", script, "--suppress-handler-errors").stdout == "3\n"


def test_globals_from_the_command_line(probelang: Run) -> None:
    script = 'global n = 1, s = "x" probe begin { println(n, s) exit() }'
    assert probelang("-e", script, "-G", "n=5", "-G", "s=abc").stdout == "5abc\n"


def test_json_lines(probelang: Run) -> None:
    result = probelang("--format", "json", "-e", 'global a probe begin { a["k"] = 2; println("hi") exit() }')
    printed, variable = map(json.loads, result.stdout.splitlines())
    assert printed == {"type": "print", "text": "hi\n"}
    assert variable["name"] == "a" and variable["rows"] == [{"key": ["k"], "value": 2}]


def test_lines_of_json_from_a_process(run: Run, steps: Path) -> None:
    script = (
        "global n, a, s, unread\n"
        'probe process.function("step") { x = int_arg(1); n = x; a[x % 2, ppfunc()] <<< x; s <<< x; unread = "x"; if (x == 3) printf("%d\\n", x)'
        ' if (x == 4) warn("four") }'
    )
    result = run("--format", "json", "-c", str(steps), "-e", script)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    found = {line["name"]: line for line in lines if line["type"] == "variable"}
    assert {"type": "print", "text": "3\n"} in lines and any("four" in str(line) for line in lines)
    assert found["n"]["value"] == 9 and found["unread"]["value"] == "x"
    assert found["s"]["value"] == {"count": 10, "min": 0, "max": 9, "sum": 45, "avg": 4}
    rows = sorted((*row["key"], row["value"]["sum"]) for row in found["a"]["rows"])
    assert rows == [(0, "step", 20), (1, "step", 25)]


def test_globals_that_nothing_reads_are_shown(run: Run, steps: Path) -> None:
    script = 'global n, a, b%[2], s; probe process.function("step") { x = int_arg(1); n = x; a["x", x % 2]++; s .= sprint(x); b[1] <<< x }'
    result = run("-c", str(steps), "-e", script)
    assert result.stdout == (
        'n=9\na["x",0]=5\na["x",1]=5\nb[1] @count=10 @min=0 @max=9 @sum=45 @avg=4\ns="0123456789"\n'
    )


def test_output_that_cannot_be_written(probelang: Run) -> None:
    result = probelang("-o", "/nonexistent/out", "-e", "probe begin { exit() }")
    assert result.status == 1 and "cannot write `/nonexistent/out`" in result.stderr


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    command = f"{sys.executable} -m probelang -e 'probe timer.ms(1) {{ println(1) }}' | head -1"
    done = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("stage", ["resolved", "typed", "layout", "llvm", "asm", "manifest"])
def test_every_stage_can_be_shown(probelang: Run, steps: Path, bpf: None, stage: str) -> None:
    result = probelang("check", "-c", str(steps), "--emit", stage, "-e", COUNTING)
    assert result.status == 0 and len(result.stdout) > 20, result.stderr


def test_a_saved_object_runs_without_any_compiler(
    probelang: Run, backend: Backend, steps: Path, tmp_path: Path
) -> None:
    script = COUNTING.replace("process.", f'process("{steps}").')
    built = probelang("build", "-o", "x.bpf.o", "-e", script)
    assert (built.status, built.stdout, built.stderr) == (0, "", "")
    # ptrace copies instructions, and so reads them
    names = ("lark", "llvmlite", *(("iced_x86",) if backend == "kernel" else ()))
    program = WITHOUT_COMPILER.replace("NAMES", repr(names))
    words = [sys.executable, "-c", program, "run", "--backend", backend, "x.bpf.o", "-c", str(steps)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "10\n", "")


def test_building_twice_gives_the_same_bytes(probelang: Run, steps: Path, bpf: None, tmp_path: Path) -> None:
    for name in ("a.bpf.o", "b.bpf.o"):
        assert probelang("build", "-c", str(steps), "-o", name, "-e", COUNTING).status == 0
    assert (tmp_path / "a.bpf.o").read_bytes() == (tmp_path / "b.bpf.o").read_bytes()


def test_the_object_is_named_after_the_script(probelang: Run, tmp_path: Path) -> None:
    (tmp_path / "hello.probe").write_text("probe begin { exit() }")
    assert probelang("build", "hello.probe").status == 0
    assert (tmp_path / "hello.bpf.o").read_bytes()[:4] == b"\x7fELF"


def test_bpftool_takes_the_object(probelang: Run, steps: Path, bpf: None, tmp_path: Path) -> None:
    bpftool = shutil.which("bpftool") or "/usr/sbin/bpftool"
    if not os.access(bpftool, os.X_OK):
        pytest.skip("needs bpftool")
    assert probelang("build", "-c", str(steps), "-o", "x.bpf.o", "-e", COUNTING).status == 0
    pins = f"/sys/fs/bpf/probelang-test-{os.getpid()}"
    done = subprocess.run(
        [bpftool, "prog", "loadall", "x.bpf.o", pins],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(pins, ignore_errors=True)
    assert done.returncode == 0, done.stderr


def test_another_programs_object_is_refused(probelang: Run) -> None:
    result = probelang("run", sys.executable)
    assert result.status == 1
    assert "is not an object of `probelang build`" in result.stderr


def test_switch_file_goes_on_in_a_new_file(probelang: Run, tmp_path: Path) -> None:
    script = 'probe oneshot { for (i = 1; i < 4; i++) { println("part ", i); if (i < 3) switch_file() } }'
    assert probelang("run", "-o", "out", "-e", script).status == 0
    texts = {path.name: path.read_text() for path in tmp_path.glob("out*")}
    assert texts == {"out.1": "part 1\n", "out.2": "part 2\n", "out": "part 3\n"}


def test_switch_file_in_a_process_probe(run: Run, steps: Path, tmp_path: Path) -> None:
    script = 'probe process.function("step") { if (int_arg(1) % 4 == 3) switch_file(); print(int_arg(1)) }'
    assert run("-c", str(steps), "-o", "out", "-e", script).status == 0
    texts = {path.name: path.read_text() for path in tmp_path.glob("out*")}
    assert texts == {"out.1": "012", "out.2": "3456", "out": "789"}


def test_switch_file_without_a_file_changes_nothing(probelang: Run) -> None:
    ran = probelang("run", "-e", 'probe oneshot { print("a"); switch_file(); print("b") }')
    assert (ran.status, ran.stdout) == (0, "ab")
