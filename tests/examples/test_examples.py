"""Every script of examples/ is run against a real program with both backends, and what it says compared with what the program
counted."""

from __future__ import annotations

import importlib
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.demo import copy_interpreter
from probelang.dwarf.binary import open_binary
from probelang.dwarf.files import open_debug
from probelang.options import Backend
from tests.conftest import MISSING, Compile, Result, Run, only

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.probe"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the script printed, and what the program counted."""

    output: str
    counts: dict[str, int]

    def rows(self, pattern: str) -> list[tuple[str, ...]]:
        """The groups of every match; the pattern is one for a line."""
        return [match.groups() for match in re.finditer(pattern, self.output, re.MULTILINE)]


Example = Callable[..., Outcome]


@pytest.fixture(scope="session")
def shop(compile_c: Compile) -> Path:
    return compile_c(HERE / "shop.c", "-O1", "-pthread", name="shop")


@pytest.fixture(scope="session")
def allocator(compile_c: Compile) -> Path:
    return compile_c(HERE / "alloc.c", "-O1", "-shared", "-fPIC", "-fno-builtin", name="liballoc.so")


@pytest.fixture(scope="session")
def allocating(compile_c: Compile, allocator: Path) -> Path:
    flags = ("-O1", "-fno-builtin", str(allocator), f"-Wl,-rpath,{allocator.parent}")
    return compile_c(HERE / "allocating.c", *flags, name="allocating")


@pytest.fixture
def example(probelang: Run, tmp_path: Path, backend: Backend) -> Example:
    """Runs one example with -c; the script's output is kept apart from the program's."""

    def run(name: str, *arguments: str | Path, command: str | Path) -> Outcome:
        output = tmp_path / "output"
        words = [str(a) for a in arguments]
        result: Result = probelang(
            "--backend", backend, "-c", str(command), "-o", str(output), str(EXAMPLES / name), *words
        )
        assert result.status == 0, result.stderr
        assert "error" not in result.stderr and "lost" not in result.stderr, result.stderr
        counts = {k: int(v) for k, v in re.findall(r"^(\w+)=(\d+)$", result.stdout, re.MULTILINE)}
        return Outcome(output.read_text(), counts)

    return run


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_each_says_what_it_answers_and_how_it_is_called(script: Path) -> None:
    first, question, *_ = script.read_text().splitlines()
    assert first == "#!/usr/bin/env probelang"
    assert question.startswith("# ") and "?" in question
    assert f"probelang {script.name}" in script.read_text()
    assert script.stat().st_mode & 0o100


def test_each_is_tested_here() -> None:
    text = Path(__file__).read_text()
    assert [script.name for script in SCRIPTS if f'"{script.name}"' not in text] == []


def test_alloc_sizes(example: Example, allocator: Path, allocating: Path) -> None:
    found = example("alloc_sizes.probe", allocator, command=allocating)
    ((name, blocks, size, largest),) = found.rows(r"^(\w+): (\d+) blocks, (\d+) bytes, largest (\d+)$")
    assert name == "allocating"
    assert (int(blocks), int(size)) == (found.counts["allocations"], found.counts["allocated"])
    assert int(largest) >= 300
    assert sum(int(n) for (n,) in found.rows(r"\| *@* *(\d+)$")) == found.counts["allocations"]


def test_alloc_leaks(example: Example, allocator: Path, allocating: Path) -> None:
    found = example("alloc_leaks.probe", allocator, command=allocating)
    ((_, blocks),) = found.rows(r"^(\d+) bytes in (\d+) blocks were not freed$")
    assert int(blocks) == found.counts["allocations"] - found.counts["frees"]
    assert ("3000", "10") in found.rows(r"^ *(\d+) bytes +(\d+) blocks from")


def test_call_latency(example: Example, shop: Path) -> None:
    found = example("call_latency.probe", shop, "nap", command=shop)
    ((name, calls, longest),) = found.rows(r"^(\w+): (\d+) calls, .* longest (\d+) us$")
    assert (name, calls) == ("shop", "3")
    assert int(longest) >= 30000


@pytest.fixture(scope="session")
def values(compile_c: Compile) -> Path:
    return compile_c(HERE / "values.c", "-O2", "-g", name="values")


def line_of(path: Path, text: str) -> int:
    return next(i for i, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_local_values(example: Example, values: Path) -> None:
    line = line_of(HERE / "values.c", "here it lives")
    found = example("local_values.probe", values, f"collect@values.c:{line}", "$joined", command=values)
    ((count, least, _, most),) = found.rows(r"^(\d+) times, least (\d+), average (\d+), most (\d+)$")
    assert int(count) == found.counts["turns"]
    assert (int(least), int(most)) == (0, 9 * 3 + 9 * 9)


def test_show_calls(example: Example, values: Path) -> None:
    found = example("show_calls.probe", values, "*@values.c", command=values)
    calls = found.rows(r"-> join\(pair=\{\.left=(\d+), \.right=(\d+)\} n=(\d+)\)$")
    assert calls == [(str(i), str(i * i), "3") for i in range(10)]
    results = [int(n) for (n,) in found.rows(r"<- join return=(\d+)$")]
    assert results == [3 * i + i * i for i in range(10)]
    assert sum(results) == found.counts["sum"]
    assert found.rows(r"<- collect return=(\d+)$") == [(str(found.counts["sum"]),)]


def test_slow_calls(example: Example, shop: Path) -> None:
    found = example("slow_calls.probe", shop, "nap", "20000", command=shop)
    assert len(found.rows(r"^nap\(30000\) took \d+ us in shop")) == found.counts["slow"] == 1
    assert "1 of 3 calls took 20000 us or longer" in found.output


def test_top_functions(example: Example, shop: Path) -> None:
    found = example("top_functions.probe", shop, "step_*", command=shop)
    assert sum(int(n) for n, _ in found.rows(r"^ *(\d+) (step_\w+)$")) == found.counts["steps"]
    everything = example("top_functions.probe", shop, command=shop)
    calls = {name: int(n) for n, name in everything.rows(r"^ *(\d+) (\w+)$")}
    assert (calls["price"], calls["request"]) == (found.counts["prices"], found.counts["requests"])


def test_top_live(example: Example, shop: Path) -> None:
    found = example("top_live.probe", shop, "step_*", "10", command=shop)
    assert sum(int(n) for n, _ in found.rows(r"^ *(\d+) (step_\w+)$")) == found.counts["steps"]
    assert f"{found.counts['steps']} calls in all" in found.output


def test_argument_distribution(example: Example, shop: Path) -> None:
    found = example("argument_distribution.probe", shop, "price", "2", command=shop)
    assert f"{found.counts['prices']} calls, from 0 to 6" in found.output
    often = {int(v): int(n) for v, n in found.rows(r"^ *(\d+): (\d+)$")}
    assert sum(often.values()) == found.counts["prices"]
    assert sum(v * n for v, n in often.items()) == found.counts["price_sum"]


def test_return_values(example: Example, shop: Path) -> None:
    found = example("return_values.probe", shop, "request", command=shop)
    assert f"{found.counts['requests']} calls, {found.counts['failures']} failed" in found.output
    assert (str(found.counts["failures"]), "-1") in found.rows(r"^ *(\d+) times (-?\d+)$")


def test_thread_life(example: Example, shop: Path) -> None:
    found = example("thread_life.probe", shop, command=shop)
    ((ended, most),) = found.rows(r"^(\d+) threads ended, at most (\d+) at once$")
    assert int(ended) == 4  # the workers; the main thread is the process
    assert 1 <= int(most) <= 4


def test_exec_tree(example: Example, shop: Path) -> None:
    found = example("exec_tree.probe", command=f"/bin/sh -c '{shop}; {shop}; /bin/sh -c \"{shop}; :\"; :'")
    started = found.rows(r"^( *)(\w+) \((\d+)\)$")
    assert started[0][:2] == ("", "sh")
    # three processes that become the program, which says so itself, below two shells
    assert len(found.rows(r"^ *becomes (shop) ")) == found.output.count("shop") // 2 == 3
    assert [len(indent) for indent, _, _ in started] == [0, 2, 2, 2, 4]
    assert {pid for _, _, pid in started} == {
        pid for pid, _ in found.rows(r"\((\d+)\) ended after (\d+) ms$")
    }


def test_syscall_counts(example: Example) -> None:
    dd = shutil.which("dd") or "dd"
    found = example("syscall_counts.probe", command=f"{dd} if=/dev/zero of=/dev/null bs=16 count=1000")
    calls = {int(n): int(count) for n, count in found.rows(r"^ *(\d+) +(\d+) +\d+ +\d+$")}
    read, write = 0, 1
    assert 1000 <= calls[write] < 1020
    assert 1000 <= calls[read] < 1020


def test_profile(example: Example) -> None:
    found = example("profile.probe", command=f"{sys.executable} -c 'for i in range(10**7): pass'")
    ((samples,),) = found.rows(r"^(\d+) samples$")
    assert int(samples) > 10
    names = [name for _, name in found.rows(r"^ *(\d+) (\w+)$")]
    assert any(name.startswith("python") for name in names)


SPIN = """
def spin(n):
    return sum(i * i for i in range(n))

for _ in range(150):
    spin(10**5)
"""


def test_profile_stacks(example: Example, python: Python, tmp_path: Path) -> None:
    script = tmp_path / "spin.py"
    script.write_text(SPIN)
    found = example("profile_stacks.probe", command=python.runs(script))
    assert "_PyEval_EvalFrameDefault" in found.output and "Py_RunMain" in found.output


def test_call_graph(example: Example, shop: Path) -> None:
    found = example("call_graph.probe", shop, "step_read", command=shop)
    entries, returns = found.rows(r"(->) step_read$"), found.rows(r"(<-) step_read$")
    assert len(entries) == len(returns) == found.counts["requests"]


def test_callers(example: Example, shop: Path) -> None:
    found = example("callers.probe", shop, "step_write", command=shop)
    calls = str(found.counts["requests"] - found.counts["failures"])
    assert found.rows(r"^ *(\d+) from (\w+)$") == [(calls, "request")]
    ((times, path),) = found.rows(r"^ *(\d+) (request<-main<-.*)$")
    assert times == calls and path.count("<-") <= 3


@pytest.fixture(scope="session")
def paths(compile_c: Compile) -> Path:
    return compile_c(HERE / "paths.c", "-O2", "-fomit-frame-pointer", name="paths")


def test_latency_by_caller(example: Example, paths: Path) -> None:
    found = example("latency_by_caller.probe", paths, "query", command=paths)
    rows = {
        name: (int(calls), int(total), int(longest))
        for calls, name, total, longest in found.rows(
            r"^ *(\d+) calls from (\w+): (\d+) us in all, average \d+ us, longest (\d+) us$"
        )
    }
    fast = found.counts["queries"] - found.counts["slow"]
    assert {name: row[0] for name, row in rows.items()} == {"serve": fast, "backup": found.counts["backups"]}
    calls, total, longest = rows["backup"]
    assert total >= calls * 10_000 and longest >= 10_000


def test_lock_contention(example: Example, shop: Path) -> None:
    found = example("lock_contention.probe", shop, "lock", command=shop)
    ((_, taken),) = found.rows(r"^(0x[0-9a-f]+): taken (\d+) times")
    assert int(taken) == found.counts["locked"]


def test_failed_requests(example: Example, shop: Path) -> None:
    found = example("failed_requests.probe", shop, "request", "step_*", command=shop)
    assert found.output.count("  failed\n") == found.counts["failures"]
    assert [int(n) for (n,) in found.rows(r"^request\((\d+)\)$")] == [5, 10, 15, 20]
    assert "step_write" not in found.output


def test_string_arguments(example: Example, shop: Path) -> None:
    found = example("string_arguments.probe", shop, "exec_simple_query", "1", command=shop)
    seen = {text: int(n) for n, text in found.rows(r"^ *(\d+) (.+)$")}
    assert seen == {"select 1": 10, "select 2": 10, "insert into t": 10, "delete from t": 10}


def test_postgres_queries(example: Example, shop: Path) -> None:
    found = example("postgres_queries.probe", shop, command=shop)
    words = {word: int(n) for word, n in found.rows(r"^(\w+) +(\d+) statements")}
    assert words == {"select": 20, "insert": 10, "delete": 10}
    assert sum(words.values()) == found.counts["queries"]


@dataclass(frozen=True, slots=True)
class Python:
    """A private copy of the interpreter; `symbols` is the file that holds its functions."""

    interpreter: Path
    symbols: Path

    def command(self, code: str) -> str:
        environment = f"PYTHONHOME={sys.base_prefix} LD_LIBRARY_PATH={self.interpreter.parent}"
        return f"/usr/bin/env {environment} {self.interpreter} -S -c '{code}'"

    def runs(self, script: Path) -> str:
        return self.command("").removesuffix("-c ''") + str(script)


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    return Python(*copy_interpreter(tmp_path_factory.mktemp("python")))


def test_python_activity(example: Example, python: Python) -> None:
    code = "for i in range(1000): dict()"
    more = example("python_activity.probe", python.symbols, command=python.command(code))
    less = example("python_activity.probe", python.symbols, command=python.command("pass"))
    calls = [{name: int(n) for n, name in run.rows(r"^ *(\d+) (\w+)$")} for run in (more, less)]
    assert calls[1]["PyObject_Malloc"] > 1000
    assert calls[0]["PyDict_New"] >= calls[1]["PyDict_New"]


def test_python_allocations(example: Example, python: Python) -> None:
    code = "x = [bytes(200 + i % 50) for i in range(5000)]; print(len(x))"
    found = example("python_allocations.probe", python.symbols, command=python.command(code))
    ((count, _),) = found.rows(r"^(\d+) allocations of (\d+) bytes in all$")
    assert int(count) > 5000
    buckets = {int(low): int(n) for low, n in found.rows(r"^ *(\d+) \|@* *(\d+)$")}
    assert sum(buckets.values()) == int(count)
    assert buckets[128] >= 1000
    assert len(found.rows(r"^ *(\d+) times")) > 3


def test_python_big_allocations(example: Example, python: Python) -> None:
    code = "a = [bytes(2_000_000) for _ in range(7)]; b = [bytes(200) for _ in range(900)]; c = bytearray(3_000_000)"
    found = example("python_big_allocations.probe", python.symbols, command=python.command(code))
    rows = found.rows(r"^(\d+) times, (\d+) bytes in all, from$")
    assert sum(int(n) for n, _ in rows) == 8
    header = found.rows(r"^7 times, (\d+) bytes in all, from\n((?:.+\n)+)")
    ((size, stack),) = header
    assert 14_000_000 < int(size) < 14_001_000
    first, *further = stack.splitlines()
    assert "PyObject_Calloc" in first
    assert any("bytes_new" in line or "_PyBytes_FromSize" in line for line in further)
    assert any("Py_BytesMain" in line or "Py_RunMain" in line for line in further)


READING = """
import json
outside = [bytes(5000) for _ in range(700)]
text = json.dumps(["x%0300d" % i for i in range(400)])
found = json.loads(text)
print(len(found))
"""


@only("kernel", "CPython allocates thirty thousand times only to start, and each time the stack is unwound")
def test_json_allocations(example: Example, python: Python, tmp_path: Path) -> None:
    module = importlib.import_module("_json").__file__
    if module is None or b"scan_once_unicode" not in Path(module).read_bytes():
        pytest.skip("no module _json with symbols")
    copy = Path(shutil.copy(module, tmp_path))
    script = tmp_path / "reading.py"
    script.write_text(READING)
    # the folder of the script comes first where modules are searched
    found = example("json_allocations.probe", python.symbols, copy, command=python.runs(script))
    ((reading, every),) = found.rows(r"^(\d+) of (\d+) allocations, .* while JSON was read$")
    buckets = {int(low): int(n) for low, n in found.rows(r"^ *(\d+) \|@* *(\d+)$")}
    assert int(every) > int(reading) == sum(buckets.values()) >= 400
    assert buckets[256] >= 400
    assert not any(n for low, n in buckets.items() if low >= 4096), "what was not read is not counted"
    assert sum(int(n) for (n,) in found.rows(r"^ *(\d+) times")) <= int(reading)


SHOP = """
def square(n):
    return n * n

class Shop:
    def sell(self, n):
        total = 0
        for i in range(n):
            total += square(i)

        return total

shop = Shop()
for k in range(3):
    shop.sell(4)
print(sorted([3, 1, 2], key=lambda v: -v))
"""


def test_python_calls(example: Example, python: Python, tmp_path: Path) -> None:
    if open_debug(open_binary(str(python.symbols))) is None:
        pytest.skip("no CPython with debug information")
    script = tmp_path / "shop.py"
    script.write_text(SHOP)
    found = example("python_calls.probe", python.symbols, "shop.py", command=python.runs(script))
    assert found.rows(r"^ *(\d+)  ([\w.<>]+)$") == [
        ("12", "square"), ("3", "<lambda>"), ("3", "Shop.sell"), ("1", "Shop")
    ]  # fmt: skip
    places = [(n, line) for n, _, line in found.rows(r"^ *(\d+) times from (.*):(\d+)$")]
    assert places == [("12", "9"), ("3", "16"), ("3", "15"), ("1", "5")]


@pytest.fixture
def installed(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """`installed("usr/lib/jvm/*/bin/java")`: the last of those files; without it the test is skipped by that name."""

    def find(pattern: str) -> Path:
        places = sorted(Path("/").glob(pattern))
        if not places:
            name = pattern.rpartition("/")[2]
            request.config.stash.setdefault(MISSING, Counter())[name] += 1
            pytest.skip(f"needs {name}")
        return places[-1]

    return find


QUERIES = """
create table goods (number int);
insert into goods select generate_series(1, 1000);
select count(*) from nosuch;
select count(*) from goods;
select pg_sleep(0.05);
"""
CLUSTER = """
cd {folder}
{programs}/pg_ctl -s -w -p {folder}/postgres -D data -l log -o "-k {folder} -c listen_addresses=''" start
{programs}/psql -q -X -h {folder} -d postgres -f queries.sql
{programs}/pg_ctl -s -w -D data -m fast stop
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A copy of the server, and a command that starts it, asks it something and stops it."""

    server: Path
    command: str


@pytest.fixture
def cluster(
    tmp_path: Path, installed: Callable[[str], Path], requires: Callable[..., None]
) -> Iterator[Cluster]:
    """Of an ordinary user: the server's programs refuse to run as root."""
    programs = installed("usr/lib/postgresql/*/bin/postgres").parent
    folder = Path(f"/tmp/{tmp_path.parent.name}-{tmp_path.name}")  # its owner must be able to get there
    folder.mkdir(mode=0o700)
    as_user = ""
    try:
        shutil.copy(programs / "postgres", folder)
        (folder / "queries.sql").write_text(QUERIES)
        (folder / "run").write_text(CLUSTER.format(folder=folder, programs=programs))
        if os.geteuid() == 0:
            requires("root")  # not only in a user namespace of its own, where nobody else exists
            nobody = pwd.getpwnam("nobody")
            for path in (folder, *folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            as_user = f"setpriv --reuid={nobody.pw_uid} --regid={nobody.pw_gid} --clear-groups "
        make = f"{as_user}{programs}/initdb --no-sync -A trust -D {folder}/data"
        subprocess.run(make.split(), check=True, capture_output=True, cwd=folder)
        yield Cluster(folder / "postgres", f"{as_user}sh {folder}/run")
    finally:
        shutil.rmtree(folder)


def test_postgres_marks(probelang: Run, cluster: Cluster, backend: Backend, tmp_path: Path) -> None:
    output = tmp_path / "output"
    words = ("--backend", backend, "-c", cluster.command, "-o", str(output))
    result = probelang(*words, str(EXAMPLES / "postgres_marks.probe"), str(cluster.server))
    assert result.status == 0, result.stderr
    rows = re.findall(
        r"^ *(\d+) us  parse (\d+) rewrite (\d+) plan (\d+) execute (\d+)  (.*)$",
        output.read_text(),
        re.MULTILINE,
    )
    done = [line for line in QUERIES.strip().splitlines() if "nosuch" not in line]  # what fails is never done
    assert [row[5] for row in rows] == done
    assert f"\n{len(done)} queries, " in output.read_text()
    for row in rows:
        total, *phases = (int(n) for n in row[:5])
        assert sum(phases) <= total and phases[0] > 0
    sleep = rows[-1]
    assert int(sleep[0]) >= int(sleep[4]) >= 50_000


OF_ITSELF = """
global inside, counted
probe process(@1).function("CreateCheckPoint") { inside[tid()] = 1 }
probe process(@1).function("CreateCheckPoint").return { delete inside[tid()] }
probe process(@1).function("LWLockAcquire") { if (tid() in inside) counted++ }
probe end { printf("counted=%d\\n", counted) }
"""


def test_checkpoint_locks(probelang: Run, cluster: Cluster, backend: Backend, tmp_path: Path) -> None:
    """Beside a second count in the same script, the way in which it is done where there is no `within`."""
    output, script = tmp_path / "output", tmp_path / "both.probe"
    script.write_text((EXAMPLES / "checkpoint_locks.probe").read_text() + OF_ITSELF)
    words = ("--backend", backend, "-c", cluster.command, "-o", str(output))
    result = probelang(*words, str(script), str(cluster.server))
    assert result.status == 0, result.stderr
    rows = re.findall(
        r"^ *(\d+) times a lock of tranche +\d+ in (\S+): (\d+) us", output.read_text(), re.MULTILINE
    )
    (counted,) = re.findall(r"^counted=(\d+)$", output.read_text(), re.MULTILINE)
    assert sum(int(n) for n, _, _ in rows) == int(counted) > 0, output.read_text() + result.stderr
    assert "CreateCheckPoint" in {name for _, name, _ in rows}


@pytest.fixture
def java(tmp_path: Path, installed: Callable[[str], Path]) -> Path:
    """A home of Java made of symbolic links, with a virtual machine of its own."""
    library = installed("usr/lib/jvm/*/lib/server/libjvm.so")
    home, copy = library.parents[2], tmp_path / "java"
    shutil.copytree(home, copy, symlinks=True, copy_function=os.symlink, ignore_dangling_symlinks=True)
    for own in ("bin/java", "lib/server/libjvm.so"):
        (copy / own).unlink()
        shutil.copy(home / own, copy / own)
    return copy


def test_java_gc(probelang: Run, java: Path, backend: Backend, tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = f"{java}/bin/java -Xmx16m -Xmn512k -XX:+UseSerialGC -Xlog:gc --list-modules"
    words = ("--backend", backend, "-c", command, "-o", str(output))
    result = probelang(*words, str(EXAMPLES / "java_gc.probe"), f"{java}/lib/server/libjvm.so")
    assert result.status == 0, result.stderr
    young, full = (result.stdout.count(f"Pause {kind}") for kind in ("Young", "Full"))
    found = {
        kind: int(n)
        for n, kind in re.findall(r"^\d+: (\d+) (\w+) collections", output.read_text(), re.MULTILINE)
    }
    assert young > 0
    assert found == {kind: n for kind, n in (("young", young), ("full", full)) if n}
    (freed,) = re.findall(r"^\d+: (\d+) bytes less in Eden Space$", output.read_text(), re.MULTILINE)
    assert 0 < int(freed) <= young * 512 * 1024


def test_cxx_exceptions(
    example: Example, compile_c: Compile, installed: Callable[[str], Path], tmp_path: Path
) -> None:
    library = installed("usr/lib/*-linux-gnu/libstdc++.so.6")
    copy = Path(shutil.copy(library.resolve(), tmp_path / library.name))
    program = compile_c(HERE / "throwing.cpp", "-O1", "-pthread", name="throwing")
    command = f"/usr/bin/env LD_LIBRARY_PATH={tmp_path} {program}"
    found = example("cxx_exceptions.probe", copy, command=command)
    rows = {
        kind: [int(n) for n in counts]
        for *counts, kind in found.rows(
            r"^throwing: +(\d+) thrown, +(\d+) caught, +(\d+) thrown again: (.+)$"
        )
    }
    assert set(rows) == {"St13runtime_error", "N4shop7RefusalE", "i"}
    assert rows["N4shop7RefusalE"] == [20, 40, 20]
    assert [sum(column) for column in zip(*rows.values(), strict=True)] == [
        found.counts["thrown"], found.counts["caught"], found.counts["again"],
    ]  # fmt: skip
    assert "by 2 threads" in found.output
