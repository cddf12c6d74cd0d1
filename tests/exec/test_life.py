"""Life of processes and threads, and system calls: the two backends learn of them in different ways and must tell the same.

Each program is run with each backend, and what the script says compared as a whole. Scripts sort what they print.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile

pytestmark = pytest.mark.kernel

CROWD = Path(__file__).parent.parent / "ptrace" / "targets" / "crowd.c"
BACKENDS: tuple[Backend, ...] = ("kernel", "ptrace")
WAYS = (
    "threads 5 10",
    "forks 5 3",
    "vforks 4 3",
    "spawns 4 3",
    "clones 3 3",
    "exec_from_thread 1 5",
    "daemon 1 5",
)

LIFE = """
global told, alive, parents, wrong
probe process.begin { told[pn(), execname(), pid() == tid(), user_mode()]++; alive[pid()] = 1; parents[pid()] = ppid() }
probe process.end { told[pn(), execname(), pid() == tid(), user_mode()]++; if (!alive[pid()] || parents[pid()] == 0) wrong++ }
probe process.thread.begin { told[pn(), execname(), pid() == tid(), user_mode()]++; alive[tid()] = pid() }
probe process.thread.end { told[pn(), execname(), pid() == tid(), user_mode()]++; if (alive[tid()] != pid()) wrong++ }
probe end { foreach ([point+, name, leader, user] in told) printf("%s %s %d %d: %d\\n", point, name, leader, user, told[point, name, leader, user])
  printf("%d wrong\\n", wrong) }
"""

# clone, fork, vfork, execve, exit, wait4, exit_group, clone3, write, pipe, setsid: how often each is called does not depend on chance
CALLS = (56, 57, 58, 59, 60, 61, 231, 435, 1, 22, 112)
SYSCALLS = (
    "global entered, left, begun\n"
    f"function counted(n) {{ return {' || '.join(f'n == {n}' for n in CALLS)} }}\n"
    + """
probe process.syscall {
  # not what leads to the command's program: the kernel half sees the process that becomes it
  if (begun && counted($syscall)) entered[$syscall, $syscall == 1 ? $arg1 : 0, $syscall == 1 ? user_string_n($arg2, 5) : "", $syscall == 1 ? $arg3 : 0]++
}
probe process.syscall.return {
  if ($syscall == 59 && $return == 0) begun = 1
  # numbers of processes differ
  if (counted($syscall)) left[$syscall, $syscall == 1 || $return < 0 ? $return : $return > 0, is_return()]++
}
probe end {
  foreach ([n+, a, text, length] in entered) printf("%d %d %s %d: %d\\n", n, a, text, length, entered[n, a, text, length])
  foreach ([n+, result, r] in left) printf("%d = %d %d: %d\\n", n, result, r, left[n, result, r])
}
"""
)


@pytest.fixture(scope="session")
def crowd(compile_c: Compile) -> Path:
    return compile_c(CROWD, "-O1", "-pthread", name="life_crowd")


def both(script: str, command: str, folder: Path) -> list[str]:
    """What the script printed, with the kernel and with ptrace."""
    shown: list[str] = []
    for backend in BACKENDS:
        output = folder / backend
        words = ["--backend", backend, "-o", str(output), "-e", script, "-c", command]
        done = subprocess.run(
            [sys.executable, "-m", "probelang", "run", *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        shown.append("".join(sorted(output.read_text().splitlines(keepends=True))))
    return shown


@pytest.fixture
def able(requires: Callable[..., None]) -> None:
    requires("root", "ring_buffer", "uprobe_multi", "raw_tracepoints", "ptrace")


@pytest.mark.parametrize("way", WAYS)
def test_processes_and_threads_begin_and_end_alike(way: str, crowd: Path, tmp_path: Path, able: None) -> None:
    kernel, ptrace = both(LIFE, f"{crowd} {way}", tmp_path)
    assert kernel == ptrace
    assert "process.begin life_crowd 1" in kernel and "\n0 wrong\n" in "\n" + kernel


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls of x86-64")
@pytest.mark.parametrize("way", WAYS)
def test_system_calls_are_told_alike(way: str, crowd: Path, tmp_path: Path, able: None) -> None:
    kernel, ptrace = both(SYSCALLS, f"{crowd} {way}", tmp_path)
    assert kernel == ptrace
    assert kernel.startswith("1 1 work= ")


EVERYTHING = """
function show() {
  printf("%s %s|%s|%s|%d %d %d|%s %s|%s", execname(), pn(), pp(), ppfunc(), user_mode(), is_return(), pid() == tid(), cmdline_str(), pexecname(),
         user_string2(16, "fault"))
  # a new thread is told in the kernel when its parent makes it: where its own stack is, only ptrace knows
  stack = pn() == "process.thread.begin" ? 0 : user_long(register("rsp")) == 0
  printf("|%d %d %d %d|%d\\n", uaddr() == register("rip"), ustack(0) == uaddr(), stack, uaddr() & 4095, int_arg(1) * 0)
}
probe process.begin, process.end, process.thread.begin, process.thread.end { show() }
probe process.syscall, process.syscall.return { if ($syscall == 231 || $syscall == 1) show() }
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="registers and system calls of x86-64")
def test_what_handlers_see_there_is_the_same(crowd: Path, tmp_path: Path, able: None) -> None:
    kernel, ptrace = both(EVERYTHING, f"{crowd} threads 1 1", tmp_path)
    assert kernel == ptrace
    points = ("process.begin", "process.end", "process.thread.begin", "process.syscall.return")
    assert all(f"life_crowd {point}|" in kernel for point in points)
