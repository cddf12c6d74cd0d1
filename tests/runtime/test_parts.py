"""The smaller parts: timers, kernel facts, features, symbols, targets, the held command, build ids."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.artifact.points import TimerPoint
from probelang.diag import CompileError
from probelang.runtime import features, kernelbtf, targets
from probelang.runtime.buildid import build_id
from probelang.runtime.command import start_command
from probelang.runtime.doctor import State, examine
from probelang.runtime.output.sink import TextSink
from probelang.runtime.services import SessionServices
from probelang.runtime.symbols import Symbols
from probelang.runtime.timers import TimerHeap
from tests.runtime.conftest import Target

MS = 1_000_000


def test_timers_come_due_in_order_and_keep_their_beat() -> None:
    heap = TimerHeap([(0, TimerPoint(100 * MS)), (1, TimerPoint(30 * MS))], 0)
    assert heap.next_ns() == 30 * MS
    assert heap.due(29 * MS) == []
    assert heap.due(31 * MS) == [1]
    assert heap.due(65 * MS) == [1]
    assert heap.due(101 * MS) == [1, 0]
    assert heap.next_ns() == 120 * MS


def test_a_late_timer_runs_once_and_stays_in_step() -> None:
    heap = TimerHeap([(0, TimerPoint(10 * MS))], 0)
    assert heap.due(1005 * MS) == [0]
    assert heap.next_ns() == 1010 * MS


def test_a_random_timer_stays_within_its_bounds() -> None:
    heap, at = TimerHeap([(0, TimerPoint(10 * MS, 4 * MS))], 0), 0
    seen: set[int] = set()
    for _ in range(200):
        following = heap.next_ns()
        assert following is not None and 6 * MS <= following - at <= 14 * MS
        seen.add(following - at)
        at = following
        heap.due(at)
    assert len(seen) > 50


def test_member_offsets_are_those_that_bpftool_shows() -> None:
    text = subprocess.run(
        ["bpftool", "btf", "dump", "file", str(kernelbtf.VMLINUX)], capture_output=True, text=True, check=True
    ).stdout
    block = re.search(r"STRUCT 'task_struct' size=\d+ vlen=\d+\n((?:\t.*\n)+)", text)
    assert block is not None
    expected = {
        f"btf:task_struct.{name}": int(bits) // 8
        for name, bits in re.findall(
            r"'(tgid|real_parent|comm|mm|start_time)' type_id=\d+ bits_offset=(\d+)", block[1]
        )
    }
    assert len(expected) == 5
    assert kernelbtf.kernel_facts(expected) == expected
    function = re.search(r"^\[(\d+)\] FUNC 'bpf_iter_num_new'", text, re.MULTILINE)
    if function is not None:
        assert kernelbtf.kernel_facts(["func:bpf_iter_num_new"]) == {
            "func:bpf_iter_num_new": int(function[1])
        }


def test_members_of_members_and_of_anonymous_unions_are_found() -> None:
    facts = kernelbtf.kernel_facts(["btf:task_struct.thread_info.flags", "btf:mm_struct.start_code"])
    assert facts["btf:mm_struct.start_code"] > 0


@pytest.mark.parametrize(
    "name", ["btf:task_struct.no_such_member", "btf:no_such_struct.x", "func:no_such_function"]
)
def test_what_the_kernel_does_not_have_is_named(name: str) -> None:
    with pytest.raises(kernelbtf.UnknownKernelFact, match=name):
        kernelbtf.kernel_facts([name])


def test_answers_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = kernelbtf.kernel_facts(["btf:task_struct.tgid"])
    monkeypatch.setattr(kernelbtf, "VMLINUX", Path("/no/such/file"))
    assert kernelbtf.kernel_facts(["btf:task_struct.tgid"]) == first
    detected = features.detect()
    monkeypatch.setattr(features, "FEATURES", {})
    assert features.detect() == detected
    assert features.detect(frozenset({"cookie"})) == detected - {"cookie"}


def test_a_damaged_cache_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = kernelbtf.kernel_facts(["btf:task_struct.tgid"])
    for path in (tmp_path / "probelang").iterdir():
        path.write_text("{damaged")
    assert kernelbtf.kernel_facts(["btf:task_struct.tgid"]) == expected
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no/folder")
    assert kernelbtf.kernel_facts(["btf:task_struct.tgid"]) == expected


def test_every_feature_has_an_answer(requires: Callable[..., None]) -> None:
    requires("root")
    found = {f.name: f for f in examine()}
    assert set(features.FEATURES) <= set(found)
    for name in features.detect():
        assert found[name].state is State.OK
    for finding in found.values():
        assert finding.advice or finding.state is State.OK


def test_without_privileges_every_kernel_feature_is_missing_and_nothing_fails(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    program = (
        "import os, probelang.artifact.btf\n"
        "from probelang.runtime.doctor import examine, can_run\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "found = examine(); print(can_run(found), {f.name: str(f.state) for f in found}['privileges'])\n"
    )
    if os.geteuid() == 0:
        root = Path(__file__).parents[2]
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(root), "XDG_CACHE_HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.stdout == "False missing\n", done.stderr


def test_build_ids_are_those_of_readelf(counter: Target) -> None:
    text = subprocess.run(["readelf", "-n", counter.path], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Build ID: (\w+)", text)
    assert build_id(counter.path) == (found[1] if found else "")
    assert build_id("/etc/passwd") == ""


def address_of(function: str) -> int:
    value = ctypes.cast(getattr(ctypes.CDLL(None), function), ctypes.c_void_p).value
    assert value is not None
    return value


def test_symbols_of_a_running_process() -> None:
    symbols = Symbols(os.getpid())
    address = address_of("getpid")
    for pid in (None, os.getpid()):
        name = symbols.name(address, pid)
        assert name is not None and b"getpid" in name
    data = symbols.data(address + 3, None)
    assert data is not None and data.endswith(b"+0x3 [libc.so.6]")
    assert symbols.module(address, None) == b"libc.so.6"
    assert symbols.name(1, None) is None
    assert symbols.data(1, 999_999_999) is None


def test_descendants_are_found_with_their_children() -> None:
    process = subprocess.Popen(["sh", "-c", "sh -c 'sleep 5; :' & echo; wait"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    found = targets.descendants(process.pid)
    assert process.pid in found and len(found) >= 3
    assert os.getpid() not in found
    assert targets.parent_of(process.pid) == os.getpid()
    assert targets.parent_of(2**22 + 5) == 0
    for pid in found:
        os.kill(pid, 9)
    process.wait()


def test_the_command_waits_until_it_is_released(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = start_command(["touch", str(mark)])
    time.sleep(0.1)
    assert not mark.exists() and command.poll() is None
    command.release()
    assert command.poll(wait=True) == 0
    assert mark.exists()
    command.close()


def test_a_command_that_is_never_released_never_runs(tmp_path: Path) -> None:
    command = start_command(["touch", str(tmp_path / "mark")])
    command.close()
    assert not (tmp_path / "mark").exists()
    assert command.poll() == 127


def test_a_command_that_cannot_be_executed_is_told() -> None:
    command = start_command(["/etc/passwd"])
    with pytest.raises(CompileError, match="permission denied"):
        command.release()
    command.close()


def test_system_prints_behind_what_was_printed_before(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as stream:
        services = SessionServices(TextSink(stream, sys.stderr.buffer), os.getpid())
        services.speculations.commit(0)
        services.system(b"echo said > " + str(tmp_path / "said").encode())
        services.close()
    assert (tmp_path / "said").read_text() == "said\n"
    assert services.in_target_set(os.getpid()) and not services.in_target_set(1)
