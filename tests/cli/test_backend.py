"""--backend, as an ordinary user sees it: what runs without BPF, what is said, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT_S, Compile, Result, Run, is_root
from tests.ptrace.users import open_folder

ROOT = Path(__file__).parent.parent.parent
USER = 65534
# files of the tests, and perhaps the interpreter, lie in folders of root's: to read is the one right that is kept
AS_USER = (
    "setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups",
    "--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search",
)  # fmt: skip
SOURCE = """
#include <stdio.h>
#include <unistd.h>
__attribute__((noipa)) int step(int n) { return n + 1; }
int main(int argc, char **argv)
{
    int work = 0;
    for (int i = 0; i < 10; i++) { step(i); work++; }
    if (argc > 1) { puts("ready"); fflush(stdout); for (;;) { step(0); usleep(1000); } }
    fprintf(stderr, "work=%d\\n", work);
    return 7;
}
"""
COUNTING = 'global n; probe process.function("step") { n++ } probe end { println(n) }'
NOTE = "using ptrace: only the processes of -c or -x are probed, and each hit stops its thread\n"


@pytest.fixture
def steps(compile_c: Compile) -> Generator[str]:
    """A program that counts its own work, where everybody can run it."""
    with open_folder() as folder:
        yield str(shutil.copy(compile_c(SOURCE, "-O1", name="backend_steps"), folder))


@pytest.fixture
def user_prefix(requires: Callable[..., None]) -> tuple[str, ...]:
    requires("ptrace")
    return AS_USER if is_root() else ()


@pytest.fixture
def as_user(user_prefix: tuple[str, ...], tmp_path: Path) -> Run:
    """The command line, run by somebody without any right to BPF."""

    def run(*words: str) -> Result:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        command = [*user_prefix, sys.executable, "-m", "probelang", *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@contextmanager
def running(program: str, prefix: tuple[str, ...]) -> Generator[int]:
    """A target that has begun to work and does not end."""
    with subprocess.Popen([*prefix, program, "forever"], stdout=subprocess.PIPE) as target:
        try:
            assert target.stdout is not None and target.stdout.readline() == b"ready\n"
            yield target.pid
        finally:
            target.kill()


# ------------------------------------------------------------------------------------------------ what runs


@pytest.mark.parametrize("backend", ["auto", "kernel", "ptrace"])
def test_a_script_without_process_probes_needs_no_right_and_no_word(as_user: Run, backend: str) -> None:
    script = """
        global a, n
        probe begin { a["x"] <<< 5 }
        probe timer.ms(1) { if (++n == 3) exit() }
        probe end { println(n, @sum(a["x"])) }
    """
    assert as_user("--backend", backend, "-e", script) == Result(0, "35\n", "")


def test_auto_takes_ptrace_and_says_so_in_one_line(as_user: Run, steps: str) -> None:
    result = as_user("-c", steps, "--pass-status", "-e", COUNTING)
    note, work = result.stderr.splitlines(keepends=True)
    assert note == f"probelang: note: this user may not use BPF; {NOTE}"
    assert work == f"work={result.stdout}" and result.status == 7


def test_the_note_is_no_warning_and_goes_with_them(as_user: Run, steps: str) -> None:
    assert as_user("-c", steps, "-W", "-e", COUNTING).status == 0
    assert as_user("-c", steps, "-w", "-e", COUNTING).stderr == "work=10\n"
    first = as_user("-c", steps, "--format", "json", "-e", COUNTING).stderr.splitlines()[0]
    assert json.loads(first)["severity"] == "note"


def test_nothing_is_said_where_it_was_asked_for(as_user: Run, steps: str) -> None:
    script = """
        global a
        probe process.function("step").return { a[returnval()] = 1; foreach (k- in a limit 1) println(k) }
    """
    result = as_user("--backend", "ptrace", "-c", steps, "-e", script)
    assert result.stdout.split() == [str(n) for n in range(1, 11)]
    assert result.stderr == "work=10\n"


def test_a_process_that_runs_already(as_user: Run, user_prefix: tuple[str, ...], steps: str) -> None:
    with running(steps, user_prefix) as pid:
        script = f'global n; probe process("{steps}").function("step") {{ if (++n == 20) exit() }} probe end {{ println(n) }}'
        assert as_user("-w", "-x", str(pid), "-e", script) == Result(0, "20\n", "")


def test_a_saved_object_runs_with_ptrace(as_user: Run, probelang: Run, steps: str, tmp_path: Path) -> None:
    assert probelang("build", "-o", "x.bpf.o", "-c", steps, "-e", COUNTING).status == 0
    result = as_user("-w", str(tmp_path / "x.bpf.o"), "-c", steps)
    assert result == Result(0, "10\n", "work=10\n")


def test_auto_is_the_kernel_where_this_user_may(
    probelang: Run, steps: str, requires: Callable[..., None]
) -> None:
    requires("root", "ring_buffer", "atomics", "uprobe_multi")
    by_itself = probelang("-v", "-c", steps, "-e", COUNTING)
    assert "code generation:" in by_itself.stderr and by_itself.stdout == "10\n"
    asked = probelang("-v", "--backend", "ptrace", "-c", steps, "-e", COUNTING)
    assert "code generation:" not in asked.stderr and asked.stdout == "10\n"


# ------------------------------------------------------------------------------------------ what is refused


def test_without_a_process_the_way_out_is_named(as_user: Run, steps: str) -> None:
    point = f'probe process("{steps}").function("step") {{ }}'
    for words in ((), ("--backend", "ptrace")):
        result = as_user(*words, "-e", point)
        assert result.status == 3 and result.stderr.startswith("error[E0615]: `process(")
        assert "-c COMMAND" in result.stderr and "-x PID" in result.stderr


def test_a_process_that_the_script_names_is_the_way_out(
    as_user: Run, user_prefix: tuple[str, ...], steps: str
) -> None:
    with running(steps, user_prefix) as pid:
        result = as_user("-e", f"probe process({pid}).begin, process({pid}).end {{ }}")
    assert result.status == 3 and f"-x {pid};" in result.stderr


def test_a_mistake_in_the_script_is_told_first(as_user: Run) -> None:
    result = as_user("-e", "probe process.begin { println(nosuch()) }")
    assert result.status == 1 and "E0615" not in result.stderr


def test_the_kernel_backend_tells_who_may_use_it(as_user: Run, steps: str) -> None:
    result = as_user("--backend", "kernel", "-c", steps, "-e", COUNTING)
    assert result.status == 3 and result.stderr.startswith("error[E0601]: no permission to use BPF")


def test_the_process_of_another_user(as_user: Run, steps: str, requires: Callable[..., None]) -> None:
    requires("root")
    with running(steps, ()) as pid:
        result = as_user("-w", "-x", str(pid), "-e", f'probe process("{steps}").function("step") {{ }}')
    assert result.status == 3
    assert f"process {pid} cannot be traced: it belongs to `root`" in result.stderr


def test_a_setuid_command(as_user: Run, steps: str, requires: Callable[..., None]) -> None:
    requires("root")
    os.chmod(steps, 0o4755)
    if os.statvfs(steps).f_flag & os.ST_NOSUID:
        pytest.skip("the file system of temporary files is mounted nosuid")
    result = as_user("-w", "-c", steps, "-e", COUNTING)
    assert result.status == 3 and "begins with the rights of `root`" in result.stderr
    assert "work=" not in result.stderr  # it was not started


# ------------------------------------------------------------------------------------ without running anything


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--backend", "magic", "-e", "probe begin {}"),
        ("build", "--backend", "ptrace", "-o", "x", "-e", "probe begin {}"),
        ("check", "--backend", "ptrace", "--emit", "llvm", "-e", "probe begin {}"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(probelang: Run, words: tuple[str, ...]) -> None:
    result = probelang(*words)
    assert result.status == 2 and result.stderr.startswith("probelang: ")


def test_a_check_does_not_depend_on_who_asks(as_user: Run, probelang: Run) -> None:
    script = "global a; probe process.begin { a[pid()]++; foreach (k in a-) println(k) }"
    words = ("check", "-c", "true", "-e", script)
    assert as_user(*words) == probelang(*words)
    assert "E0510" in probelang(*words).stderr
    assert probelang(*words, "--backend", "ptrace") == Result(0, "", "")


def test_the_manifest_of_either_backend_is_shown(probelang: Run) -> None:
    words = ("check", "-c", "true", "--emit", "manifest", "-e", "probe process.begin { exit() }")
    assert "programs=()," in probelang(*words, "--backend", "ptrace").stdout
    assert "programs=()," not in probelang(*words).stdout


def test_the_report_tells_what_auto_takes(as_user: Run) -> None:
    result = as_user("doctor", "--format", "json")
    findings = {f["name"]: f for f in json.loads(result.stdout)["findings"]}
    assert findings["ptrace"]["state"] in ("ok", "limited") and result.status == 0
    assert findings["backend"]["detail"].startswith("auto takes ptrace")
    assert findings["privileges"]["state"] == "missing"
    assert "with ptrace" in as_user("doctor").stdout.splitlines()[-1]
