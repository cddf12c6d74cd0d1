"""Processes that come and go: every hit of the right ones, none of others."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Compile
from tests.robustness.conftest import TIMEOUT_S, Start, Trace, environment, probelang_command

pytestmark = pytest.mark.kernel


def test_a_thousand_short_children(trace: Trace, life: Path) -> None:
    script = (
        f'global n, b, e probe process("{life}").function("hit") {{ n++ }} '
        f'probe process("{life}").begin {{ b++ }} probe process("{life}").end {{ e++ }} '
        'probe end { printf("n=%d b=%d e=%d\\n", n, b, e) }'
    )
    assert trace(script, "-c", f"{life} 1000 0").output == "n=1001 b=1001 e=1001\n"


def test_children_that_begin_another_program(trace: Trace, life: Path) -> None:
    script = (
        f'global n, b, e probe process("{life}").function("hit") {{ n++ }} '
        f'probe process("{life}").begin {{ b++ }} probe process("{life}").end {{ e++ }} '
        'probe end { printf("n=%d b=%d e=%d\\n", n, b, e) }'
    )
    # each child: once as a fork, and once more as a new program
    assert trace(script, "-c", f"sh -c '{life} 100 0 exec'").output == "n=201 b=201 e=101\n"


def test_threads(trace: Trace, life: Path) -> None:
    points = {"b": "begin", "e": "end", "tb": "thread.begin", "te": "thread.end"}
    script = "global " + ", ".join(points)
    script += "".join(f' probe process("{life}").{point} {{ {name}++ }}' for name, point in points.items())
    script += ' probe end { printf("%d %d %d %d\\n", b, e, tb, te) }'
    assert trace(script, "-c", f"{life} 20 5").output == "21 21 105 105\n"


def test_a_family_that_grows_while_it_is_chosen(trace: Trace, family: Path, tmp_path: Path) -> None:
    """-x of a process whose threads fork all the time: those before, during and after attaching are all found."""
    flag = tmp_path / "flag"
    with subprocess.Popen([family, flag], stderr=subprocess.PIPE, text=True) as target:
        time.sleep(0.1)
        ran = trace(
            f'global n probe process("{family}").function("hit") {{ n++ }} '
            f'probe timer.ms(100) {{ if (!ticks++) system("touch {flag}") }} global ticks '
            f'probe process("{family}").end {{ if (pid() == target()) exit() }} '
            'probe end { printf("n=%d\\n", n) }',
            "-x", str(target.pid), "-T", "20",
        )  # fmt: skip
        assert target.stderr is not None
        assert target.stderr.read() == f"hits={ran.value('n')}\n"
    assert ran.value("n") > 40


def test_another_process_does_not_count_with_x(trace: Trace, flood: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        script = (
            f'global n probe process("{flood}").function("hit") {{ n++ }} '
            f'probe begin {{ system("{flood} -n 500") }} probe timer.ms(300) {{ exit() }} probe end {{ println(n) }}'
        )
        ran = trace(script, "-x", str(other.pid))
        other.kill()
    assert (ran.output, ran.hits()) == ("0\n", 500)


def test_a_session_outlives_the_process_of_x(start: Start, flood: Path) -> None:
    with subprocess.Popen(["sleep", "0.5"]) as target:
        session = start(
            'probe begin { println("ready") } probe end { println("end") } probe timer.ms(5) { if (ticks++ > 200) exit() } '
            "global ticks",
            "-x", str(target.pid),
        )  # fmt: skip
    output, _ = session.communicate(timeout=TIMEOUT_S)
    assert (session.returncode, output) == (0, "end\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("-c", "/nonexistent/program"), 1, "E0490"),
        (("-c", "/etc/passwd"), 1, "E0490"),
        (("-c", "/"), 1, "E0490"),
        (("-c", ""), 2, "-c needs a command"),
        (("-x", "4000000"), 1, "E0407"),
        (("-x", "0"), 2, "-x takes a number"),
        (("-x", "-3"), 2, "-x takes a number"),
    ],
)
def test_targets_that_are_none(words: tuple[str, str], status: int, message: str, trace: Trace) -> None:
    ran = trace("probe begin { exit() }", *words)
    assert ran.status == status and message in ran.messages


def test_a_program_that_cannot_begin_though_it_looks_so(trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("#!/nonexistent/interpreter\n")
    (tmp_path / "broken").chmod(0o755)
    ran = trace("probe process.begin { }", "-c", "./broken")
    assert ran.status == 3 and "cannot run the command `./broken`" in ran.messages


def test_a_command_that_goes_to_the_background_is_over(trace: Trace, flood: Path, tmp_path: Path) -> None:
    daemon = tmp_path / "daemon"
    daemon.write_text(f"#!/bin/sh\nsetsid {flood} -n 30 -u 1000 >/dev/null 2>&1 </dev/null &\nexit 4\n")
    daemon.chmod(0o755)
    ran = trace("probe process.begin { }", "--pass-status", "-c", "./daemon")
    assert ran.status == 4


def test_a_file_that_is_replaced_is_another_file(trace: Trace, flood: Path, tmp_path: Path) -> None:
    """Probes belong to the file they were set in, not to its name."""
    shutil.copy(flood, tmp_path / "program")
    shutil.copy(flood, tmp_path / "newer")
    commands = "./program -n 10 2>/dev/null; mv newer program; ./program -n 5 2>/dev/null"
    script = 'global n probe process("./program").function("hit") { n++ } probe end { println(n) }'
    assert trace(script, "-c", f"sh -c '{commands}'").output == "10\n"


def test_a_running_program_whose_file_is_gone(trace: Trace, flood: Path, tmp_path: Path) -> None:
    shutil.copy(flood, tmp_path / "program")
    with subprocess.Popen(
        [tmp_path / "program", "-n", "2000", "-u", "1000"], stderr=subprocess.DEVNULL
    ) as target:
        (tmp_path / "program").unlink()
        script = f'probe process({target.pid}).function("hit") {{ println("hit") exit() }}'
        ran = trace(script, "-x", str(target.pid), "-T", "20")
        target.kill()
    assert ran.output.startswith("hit\n"), ran.messages


LIBRARY = """
__attribute__((noinline, noipa, patchable_function_entry(1))) long work(long x) { __asm__ volatile(""); return x; }
"""
LOADER = """
#include <dlfcn.h>
int main(int argc, char **argv)
{
    void *library = dlopen(argv[argc - 1], RTLD_NOW);
    long (*work)(long) = (long (*)(long))dlsym(library, "work");
    for (long i = 0; i < 77; i++)
        work(i);
    return 0;
}
"""


def test_a_library_that_is_loaded_later_in_another_mount_namespace(
    trace: Trace, compile_c: Compile, tmp_path: Path
) -> None:
    library = compile_c(LIBRARY, "-O1", "-shared", "-fPIC", name="later.so")
    loader = compile_c(LOADER, "-O1", "-ldl", name="loader")
    (tmp_path / "elsewhere").mkdir()
    inside = f"mount --bind {library.parent} elsewhere && exec {loader} ./elsewhere/later.so"
    script = f'global n probe process("{library}").function("work") {{ n++ }} probe end {{ println(n) }}'
    command = f"unshare --mount sh -c '{inside}'"
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("needs mount namespaces")
    assert trace(script, "-c", command).output == "77\n"


def test_system_calls_like_strace(trace: Trace, life: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    wanted = {"clone3": 435, "wait4": 61, "exit": 60, "exit_group": 231, "mprotect": 10}
    script = (
        f'global k probe process("{life}").syscall {{ k[$syscall]++ }} '
        "probe end { foreach (n in k) printf(\"call%d=%d\\n\", n, k[n]) }"
    )  # fmt: skip
    ran = trace(script, "-c", f"{life} 20 5")
    calls = subprocess.run(
        ["strace", "-f", "-o", "/dev/stdout", life, "20", "5"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name, number in wanted.items():
        expected = sum(f" {name}(" in line for line in calls)
        assert ran.value(f"call{number}") == expected, name


def test_process_ids_of_a_container_are_not_taken_for_the_hosts(flood: Path, tmp_path: Path) -> None:
    """There the kernel backend refuses -c and -x, as they would count nothing, and `auto` takes ptrace for them; probes of every
    process work."""
    container = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*container, "true"], check=False).returncode:
        pytest.skip("needs pid namespaces")

    def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*container, *probelang_command("-e", script, *words)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(),
            timeout=TIMEOUT_S,
            check=False,
        )

    counts = f'global n probe process("{flood}").function("hit") {{ n++ }} probe end {{ println(n) }} '
    refused = run(counts, "--backend", "kernel", "-c", f"{flood} -n 5")
    assert refused.returncode == 3 and "process ids differ in this container" in refused.stderr
    traced = run(counts, "-c", f"{flood} -n 5")
    assert traced.stdout.splitlines()[-1] == "5" and "process ids differ in this container" in traced.stderr
    everybody = run(
        counts + f'probe begin {{ system("{flood} -n 50") }} probe timer.ms(50) {{ if (n >= 50) exit() }}'
    )
    assert everybody.stdout == "50\n"
