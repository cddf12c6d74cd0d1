"""Real programs do what they do without us: the same output, the same messages, the same exit status."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Compile
from tests.ptrace.conftest import TARGETS, Trace, environment, traced

Installed = Callable[..., Path]

BASH = r"""
trap 'echo caught' USR1
trap 'echo bye' EXIT
for n in 1 2 3; do echo "$n" | cat | tr 1-3 a-c; done
kill -USR1 $$
sleep 0.2 & wait $!; echo "waited $?"
(exit 5); echo "status $?"
x=$(printf 'deep %s' "$(echo er)"); echo "$x"
(set -m; sleep 30 & kill -STOP %1; kill -CONT %1; kill %1; wait %1; echo "job $?") 2>/dev/null
echo "to the other side" >&2
read -r line < <(echo substituted); echo "$line"
exit 9
"""
THREADS = """
import subprocess, sys, threading
results = []
def work(n):
    results.append(sum(i * i for i in range(2000)) + n)
    results.append(subprocess.run(["sh", "-c", f"exit {n}"]).returncode)
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results))
print("to the other side", file=sys.stderr)
sys.exit(3)
"""


def assert_unchanged(
    command: list[str], script: str, folder: Path, more: dict[str, str] | None = None
) -> int:
    """Runs a command without and with probes on it; how many hits the script told of as `hits=NUMBER`."""
    values = {**environment(), **(more or {})}
    plain = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=values, timeout=60, check=False
    )
    path, output = folder / "script.probe", folder / "output"
    path.write_text(script)
    words = traced("-w", "-o", output, "-c", shlex.join(command), "--pass-status", path)
    probed = subprocess.run(
        words, capture_output=True, text=True, cwd=folder, env=values, timeout=110, check=False
    )
    assert (probed.returncode, probed.stdout, probed.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    return int(output.read_text().rpartition("hits=")[2])


def counting(*points: str) -> str:
    return f'global n; probe {", ".join(points)} {{ n++ }} probe end {{ printf("hits=%d\\n", n) }}'


def test_bash_with_pipes_traps_and_jobs(tmp_path: Path) -> None:
    bash = str(shutil.copy("/bin/bash", tmp_path / "bash"))
    points = [
        f'process("{bash}").function("*")',
        f'process("{bash}").function("*").return',
        f'process("{bash}").syscall',
    ]
    assert assert_unchanged([bash, "-c", BASH], counting(*points), tmp_path) > 1000


def test_git(tmp_path: Path) -> None:
    git = str(shutil.copy("/usr/bin/git", tmp_path / "git"))
    libc = shutil.copy(next(Path("/lib").glob("*/libc.so.6")), tmp_path / "libc.so.6")
    source = tmp_path / "source"
    as_author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (
        ["init", "-q", source],
        ["-C", source, *as_author, "commit", "-q", "--allow-empty", "-m", "first"],
    ):
        subprocess.run([git, *map(str, words)], check=True)
    point = f'process("{libc}").function("malloc"), process("{libc}").function("malloc").return'
    commands = ["log -1 --format=%s", "status --short", "rev-parse --verify nothing"]
    for number, words in enumerate(commands):
        folder = tmp_path / str(number)
        folder.mkdir()
        command = [git, "-C", str(source), *words.split()]
        assert assert_unchanged(command, counting(point), folder, {"LD_LIBRARY_PATH": str(tmp_path)}) > 20


def test_python_with_threads_and_children(tmp_path: Path) -> None:
    point = f'process("{os.path.realpath(sys.executable)}")'
    script = f'global n; probe {point}.syscall {{ n++ }} probe {point}.thread.begin {{ n++ }} probe end {{ printf("hits=%d\\n", n) }}'
    assert assert_unchanged([sys.executable, "-S", "-c", THREADS], script, tmp_path) > 500


def test_java(tmp_path: Path, installed: Installed) -> None:
    java = installed("java").resolve()
    library = next(java.parent.parent.glob("lib/server/libjvm.so"))
    point = f'process("{library}").function("JVM_*")'
    assert assert_unchanged([str(java), "-version"], counting(point, f"{point}.return"), tmp_path) > 100


def test_go(tmp_path: Path, installed: Installed) -> None:
    program = tmp_path / "gopher"
    build = [str(installed("go")), "build", "-o", str(program), str(TARGETS / "gopher.go")]
    places = {"HOME": str(tmp_path), "GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod"}
    subprocess.run(build, env={**os.environ, **places}, cwd=tmp_path, check=True, timeout=110)
    point = f'process("{program}").function("main.work")'
    assert assert_unchanged([str(program)], counting(point), tmp_path) == 1000


def test_postgresql_makes_a_cluster(
    tmp_path: Path, installed: Installed, requires: Callable[..., None]
) -> None:
    """The server's own programs refuse to run as root."""
    if os.geteuid() == 0:
        requires("root")  # not only in a user namespace of its own, where nobody else exists
    initdb = installed("initdb", "/usr/lib/postgresql/*/bin")
    folder = Path(f"/tmp/{tmp_path.parent.name}-{tmp_path.name}")  # its owner must be able to get there
    folder.mkdir(mode=0o700)
    command = [str(initdb), "--no-sync", "-A", "trust", "-D", str(folder / "data")]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        command[:0] = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    postgres = initdb.parent / "postgres"
    points = [f'process("{postgres}").function("CreateTemplateTuple*")', f'process("{postgres}").begin']
    try:
        plain = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert plain.returncode == 0, plain.stderr
        shutil.rmtree(folder / "data")
        path = tmp_path / "script.probe"
        path.write_text(counting(*points))
        words = traced("-w", "-o", tmp_path / "output", "-c", shlex.join(command), "--pass-status", path)
        probed = subprocess.run(
            words, capture_output=True, text=True, env=environment(), timeout=110, check=False
        )
        assert (probed.returncode, probed.stdout, probed.stderr) == (0, plain.stdout, plain.stderr)
        assert int((tmp_path / "output").read_text().rpartition("hits=")[2]) > 500
        assert (folder / "data" / "PG_VERSION").exists()
    finally:
        shutil.rmtree(folder)


def test_a_program_that_dies_of_a_signal(trace: Trace, compile_c: Compile) -> None:
    """Also of SIGTRAP, which would be ours had it hit a probe."""
    target = compile_c(
        'int work(int n) { __asm__ volatile("nop"); return n; }\n'
        'int main(int c, char **v) { work(1); if (c > 1) __asm__ volatile("int3"); __builtin_trap(); }',
        "-O1", "-fno-inline", name="dies",
    )  # fmt: skip
    script = 'global n; probe process.function("work") { n++ } probe end { printf("n=%d\\n", n) }'
    for words, status in (("", 128 + 4), (" x", 128 + 5)):
        ran = trace(script, "-c", f"{target}{words}", "--pass-status")
        assert (ran.status, ran.value("n")) == (status, 1), ran.messages
