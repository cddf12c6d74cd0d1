"""Many sites, and many sessions on the same ones."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Compile, only
from tests.robustness.conftest import TIMEOUT_S, Start, Trace

pytestmark = pytest.mark.kernel

FUNCTIONS = 20_000


@pytest.fixture(scope="module")
def many(compile_c: Compile) -> Path:
    """A program that calls each of its functions f0, f1, ... once."""
    assembly = "".join(
        f".type f{i},@function\\nf{i}: nop\\nret\\n.size f{i},.-f{i}\\n" for i in range(FUNCTIONS)
    )
    calls = "".join(f"call f{i}\\n" for i in range(FUNCTIONS))
    source = f'asm(".text\\n{assembly}all: {calls}ret\\n");\nvoid all(void);\nint main(void) {{ all(); return 0; }}\n'
    return compile_c(source, "-O0", name="many")


def test_twenty_thousand_sites(trace: Trace, many: Path) -> None:
    script = (
        f'global a[30000], n probe process("{many}").function("f*") {{ n++; a[ppfunc()]++ }} '
        'probe end { foreach (k in a) { sites++; hits += a[k] } println(sites, " ", hits, " ", n) }'
    )
    ran = trace(script, "-c", str(many))
    # frame_dummy is there, too
    sites, hits, n = (int(word) for word in ran.output.split())
    assert FUNCTIONS <= sites <= FUNCTIONS + 1 and hits == n == sites


def test_three_hundred_probes(trace: Trace, many: Path) -> None:
    probes = [
        f'probe process("{many}").function("f{i}") {{ n++; if (ppfunc() != "f{i}") n += 1000 }}'
        for i in range(300)
    ]
    ran = trace("global n probe end { println(n) }\n" + "\n".join(probes), "-c", str(many))
    assert ran.output == "300\n", ran.messages


@only("kernel", "sessions that see every process; and a process has one tracer")
def test_sessions_on_the_same_function_do_not_disturb_each_other(
    start: Start, trace: Trace, flood: Path
) -> None:
    """Nor does one read the other's breakpoints for the program's instructions."""
    ready = 'probe timer.ms(1) { if (!said++) println("ready") } global said probe end { println(n) }'
    first = start(f'global n probe process("{flood}").function("hit") {{ n++ }} {ready}')
    second = start(f'global n probe process("{flood}").function("hit").return {{ n++ }} {ready}')
    others = [first, second]
    if shutil.which("bpftrace"):
        other = subprocess.Popen(
            ["bpftrace", "-B", "none", "-e", f'BEGIN {{ printf("ready\\n") }} uprobe:{flood}:hit {{ @ = count() }}'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        assert other.stdout is not None
        while other.stdout.readline() not in ("ready\n", ""):
            pass
        others.append(other)
    ran = trace(
        f'global n probe process("{flood}").function("*") {{ if (ppfunc() == "hit") n++ }} probe end {{ println(n) }}',
        "-c", f"{flood} -t 8 -n 1000",
    )  # fmt: skip
    assert (ran.output, ran.hits()) == ("8000\n", 8000), ran.messages
    for session in others:
        session.terminate()
    for session in others:
        assert "8000" in session.communicate(timeout=TIMEOUT_S)[0]


@only("kernel", "a session that sees every process; ptrace never sees its own")
def test_a_session_never_handles_its_own_hits(trace: Trace, tmp_path: Path) -> None:
    """Or every line about malloc() would cause the next."""
    maps = Path("/proc/self/maps").read_text().split()
    libc = next(word for word in maps if word.endswith("/libc.so.6"))
    shutil.copy(libc, tmp_path / "libc.so.6")
    script = (
        f'probe process("{tmp_path}/libc.so.6").function("malloc"), process("{tmp_path}/libc.so.6").function("write") '
        "{ println(ppfunc(), \" \", execname()) } probe begin { system(\"/bin/echo from echo\") } "
        "probe timer.ms(500) { exit() }"
    )  # fmt: skip
    ran = trace(script, LD_LIBRARY_PATH=str(tmp_path))
    names = {line.split()[1] for line in ran.output.splitlines() if line.startswith(("malloc ", "write "))}
    assert "echo" in names and not any(name.startswith(("python", "probelang")) for name in names)
