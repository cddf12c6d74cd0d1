"""--flame, --folded and --pprof of whole sessions: what is written is what the program itself has counted, however the session ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from probelang.options import Backend
from tests.conftest import TIMEOUT_S, Compile, Result, Run, only
from tests.stacks.test_pprof import names, read_profile

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 400
once = only("kernel", "what is done with the array does not depend on who filled it")
SCRIPT = 'global calls probe process.function("leaf") { calls[ubacktrace()]++ }'


@pytest.fixture
def paths(compile_c: Compile) -> Path:
    return compile_c(Path(__file__).parent / "targets/paths.c", "-O2", "-fomit-frame-pointer", name="paths")


@pytest.fixture
def run(probelang: Run, backend: Backend, paths: Path) -> Run:
    """A session over the program."""

    def with_backend(*words: str, **more: str) -> Result:
        command = f"{paths} {ROUNDS} truth"
        return probelang("run", "--backend", backend, "-c", command, *words, **more)

    return with_backend


def truth(folder: Path, value: int = 0) -> dict[str, int]:
    """What the program says: how often by each way (0), or the sum of what it passed (1)."""
    rows = [line.split() for line in (folder / "truth").read_text().splitlines()]
    return {row[0]: int(row[1 + value]) for row in rows}


def read_folded(path: Path, root: str = "") -> dict[str, int]:
    """From `main` on, and below `root` only."""
    found: dict[str, int] = {}
    for line in path.read_text().splitlines():
        way, _, weight = line.rpartition(" ")
        assert way.startswith(root), way
        way = "main" + way.partition(";main")[2] if not way.startswith("main") else way
        found[way] = found.get(way, 0) + int(weight)
    return found


def test_folded_stacks_are_what_the_program_counted(run: Run, tmp_path: Path) -> None:
    result = run("--folded", "out.txt", "-e", SCRIPT)
    assert (result.status, result.stderr) == (0, "")
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines == sorted(lines)


@once
def test_what_is_drawn_is_not_also_printed(run: Run) -> None:
    assert run("--folded", "out.txt", "-e", SCRIPT).stdout == ""


def test_all_forms_at_once_say_the_same(run: Run, tmp_path: Path) -> None:
    run("--flame", "out.svg", "--folded", "out.txt", "--pprof", "out.pb.gz", "-e", SCRIPT)
    expected = truth(tmp_path)
    assert read_folded(tmp_path / "out.txt") == expected
    read = read_profile((tmp_path / "out.pb.gz").read_bytes())
    found: dict[str, int] = {}
    for index, (_, values, _) in enumerate(read.samples):
        way = ";".join(reversed(names(read, index)))
        way = "main" + way.partition(";main")[2]
        found[way] = found.get(way, 0) + values[0]
    assert found == expected
    root = ElementTree.parse(tmp_path / "out.svg").getroot()
    leaves = [int(g.get("data-weight", "")) for g in root.iter() if g.get("data-name") == "leaf"]
    assert sum(leaves) == sum(expected.values())


def test_inlined_functions_are_frames(
    probelang: Run, backend: Backend, compile_c: Compile, tmp_path: Path
) -> None:
    source = Path(__file__).parent / "targets/paths.c"
    paths = compile_c(source, "-O2", "-g", "-fomit-frame-pointer", name="described")
    command = f"{paths} {ROUNDS} truth"
    probelang("run", "--backend", backend, "-c", command, "--folded", "out.txt", "-e", SCRIPT)
    text = (tmp_path / "out.txt").read_text()
    assert ";left;go_on;" in text
    (tmp_path / "out.txt").write_text(text.replace(";go_on", ""))
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)


@once
def test_standard_output_is_written_behind_what_the_script_prints(run: Run, tmp_path: Path) -> None:
    result = run("--folded", "-", "-e", SCRIPT + " probe end { println(1) }")
    first, _, rest = result.stdout.partition("\n")
    (tmp_path / "out.txt").write_text(rest)
    assert first == "1"
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)
    assert not (tmp_path / "-").exists()


def test_counts_and_sums_of_aggregates(run: Run, tmp_path: Path) -> None:
    script = 'global sizes probe process.function("leaf") { sizes[ubacktrace()] <<< int_arg(1) }'
    run("--folded", "count.txt", "-e", script)
    assert read_folded(tmp_path / "count.txt") == truth(tmp_path)
    run("--folded", "sum.txt", "--weight", "sum", "-e", script)
    expected = {way: value for way, value in truth(tmp_path, 1).items() if value}
    assert read_folded(tmp_path / "sum.txt") == expected


@once
def test_sums_are_kept_where_the_script_only_counts(run: Run, tmp_path: Path) -> None:
    script = (
        'global sizes probe process.function("leaf") { sizes[ubacktrace()] <<< int_arg(1) } '
        "probe end { foreach (s in sizes) n += @count(sizes[s]) println(n) }"
    )
    result = run("--folded", "sum.txt", "--weight", "sum", "-e", script)
    assert int(result.stdout) == sum(truth(tmp_path).values())
    assert sum(read_folded(tmp_path / "sum.txt").values()) == sum(truth(tmp_path, 1).values())


@once
def test_other_parts_of_the_key_are_roots(run: Run, tmp_path: Path) -> None:
    script = 'global calls probe process.function("leaf") { calls[execname(), ubacktrace()]++ }'
    run("--folded", "out.txt", "-e", script)
    assert read_folded(tmp_path / "out.txt", "paths;") == truth(tmp_path)


@once
def test_several_arrays_are_roots_and_one_can_be_chosen(run: Run, tmp_path: Path) -> None:
    script = (
        'global once, twice probe process.function("leaf") { once[ubacktrace()]++ twice[ubacktrace()] += 2 }'
    )
    run("--folded", "both.txt", "-e", script)
    lines = (tmp_path / "both.txt").read_text().splitlines()
    assert {line.partition(";")[0] for line in lines} == {"once", "twice"}
    run("--folded", "one.txt", "--stacks-of", "twice", "-e", script)
    expected = {way: 2 * count for way, count in truth(tmp_path).items()}
    assert read_folded(tmp_path / "one.txt") == expected


@once
def test_what_end_probes_delete_is_written_nevertheless(run: Run, tmp_path: Path) -> None:
    script = SCRIPT + " probe end { delete calls println(1) }"
    result = run("--folded", "out.txt", "-o", "printed", "-e", script)
    assert (result.status, result.stdout, (tmp_path / "printed").read_text()) == (0, "", "1\n")
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)


@once
def test_when_the_script_ends_the_session(run: Run, tmp_path: Path) -> None:
    script = (
        "global n "
        + SCRIPT.replace("calls[", "if (n++ < 10) calls[")
        + " probe timer.ms(20) { if (n >= 10) exit() }"
    )
    run("--folded", "out.txt", "-e", script)
    assert sum(read_folded(tmp_path / "out.txt").values()) == 10


@once
def test_after_so_many_seconds(probelang: Run, backend: Backend, paths: Path, tmp_path: Path) -> None:
    command = f"{paths} {ROUNDS} truth stay"
    probelang("run", "--backend", backend, "-c", command, "-T", "2", "--folded", "out.txt", "-e", SCRIPT)
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)


def session(
    backend: Backend, folder: Path, *words: str, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "probelang", "run", "--backend", backend, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def wait_for(path: Path) -> None:
    """Until the program has written its counts."""
    until = time.monotonic() + TIMEOUT_S
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_at_an_interrupt(backend: Backend, paths: Path, tmp_path: Path) -> None:
    command = f"{paths} {ROUNDS} truth stay"
    with session(backend, tmp_path, "-c", command, "--folded", "out.txt", "-e", SCRIPT) as running:
        wait_for(tmp_path / "truth")
        running.send_signal(signal.SIGINT)
        assert running.wait(TIMEOUT_S) == 0
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)


def test_when_nobody_reads_the_output_any_more(backend: Backend, paths: Path, tmp_path: Path) -> None:
    script = SCRIPT + " probe timer.ms(10) { println(1) }"
    command = f"{paths} {ROUNDS} truth stay"
    words = ("-c", command, "--folded", "out.txt", "-e", script)
    with session(backend, tmp_path, *words, stdout=subprocess.PIPE) as running:
        wait_for(tmp_path / "truth")
        assert running.stdout is not None
        running.stdout.close()
        assert running.wait(TIMEOUT_S) == 141
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)


def test_killed_without_a_chance_it_leaves_nothing(backend: Backend, paths: Path, tmp_path: Path) -> None:
    command = f"{paths} {ROUNDS} truth stay"
    with session(backend, tmp_path, "-c", command, "--folded", "out.txt", "-e", SCRIPT) as running:
        wait_for(tmp_path / "truth")
        running.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["truth"]


def test_a_saved_object_can_be_drawn_and_knows_what_it_keeps(
    requires: Callable[..., None], probelang: Run, paths: Path, tmp_path: Path
) -> None:
    requires("root", "ring_buffer", "uprobe_multi")
    script = (
        f'global sizes probe process("{paths}").function("leaf") {{ sizes[ubacktrace()] <<< 1 }} '
        "probe end { foreach (s in sizes) n += @count(sizes[s]) println(n) }"
    )
    assert probelang("build", "-o", "x.bpf.o", "-e", script).status == 0
    command = f"{paths} {ROUNDS} truth"
    probelang("run", "x.bpf.o", "--folded", "out.txt", "-c", command)
    assert read_folded(tmp_path / "out.txt") == truth(tmp_path)
    refused = probelang("run", "x.bpf.o", "--folded", "sum.txt", "--weight", "sum", "-c", command)
    assert refused.status == 1
    assert "keeps no sums of `sizes`" in refused.stderr


# -------------------------------------------------------------------------------------- what can be wrong with it


def test_an_empty_array_is_an_empty_file_and_a_warning(probelang: Run, tmp_path: Path) -> None:
    script = 'global calls probe process("/bin/true").begin { calls[ubacktrace()]++ } probe begin { exit() }'
    outputs = ("--flame", "out.svg", "--folded", "out.txt", "--pprof", "out.pb.gz")
    result = probelang("run", "--backend", "ptrace", *outputs, "-c", "/bin/sleep 0", "-e", script)
    assert result.status == 0
    assert "`calls` had no stacks" in result.stderr
    assert (tmp_path / "out.txt").read_bytes() == b""
    ElementTree.parse(tmp_path / "out.svg")
    assert read_profile((tmp_path / "out.pb.gz").read_bytes()).samples == []


@pytest.mark.parametrize("option", ["--flame", "--folded", "--pprof"])
def test_a_script_without_stacks(probelang: Run, tmp_path: Path, option: str) -> None:
    result = probelang("run", option, "out", "-e", "global n probe begin { n[pid()]++ exit() }")
    assert result.status == 1
    assert f"{option}: the script counts nothing by stacks" in result.stderr
    assert "calls[ubacktrace()]" in result.stderr
    assert not list(tmp_path.iterdir())


def test_an_array_of_another_name(probelang: Run) -> None:
    script = 'global calls probe process("/bin/true").begin { calls[ubacktrace()]++ }'
    result = probelang("run", "--folded", "out", "--stacks-of", "cals", "-e", script)
    assert result.status == 1
    assert "did you mean `calls`?" in result.stderr


def test_files_that_cannot_be_written_end_it_before_it_begins(probelang: Run, tmp_path: Path) -> None:
    script = (
        "global calls probe begin { println(1) exit() } "
        'probe process("/bin/true").begin { calls[ubacktrace()]++ }'
    )
    result = probelang("run", "--folded", "missing/out", "--flame", str(tmp_path), "-e", script)
    assert (result.status, result.stdout) == (1, "")
    assert "cannot write `missing/out`: no such file or directory" in result.stderr
    assert f"cannot write `{tmp_path}`: is a directory" in result.stderr


def test_choices_without_a_file(probelang: Run) -> None:
    for words in (("--weight", "sum"), ("--stacks-of", "x")):
        result = probelang("run", *words, "-e", "probe begin { exit() }")
        assert result.status == 2
        assert "--flame, --folded or --pprof" in result.stderr
    assert probelang("run", "--folded", "x", "--weight", "most", "-e", "probe begin {}").status == 2
