"""The program that counts its own calls, and sessions over objects written by hand.

These are about programs in the kernel, so there is no ptrace here; what a session does with either backend is tested in tests/exec
and tests/robustness.
"""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from probelang.artifact.manifest import Manifest
from probelang.runtime.output.sink import TextSink
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.session import run
from tests.runtime.objects import object_for

TARGETS = Path(__file__).parent.parent / "exec" / "targets"


@dataclass(frozen=True, slots=True)
class Target:
    """A compiled program or library and the file offsets of its functions."""

    path: str
    offsets: dict[str, int]


def function_offsets(path: Path) -> dict[str, int]:
    """By readelf: file offset = address - segment's address + segment's offset."""
    text = subprocess.run(["readelf", "-lsW", str(path)], capture_output=True, text=True, check=True).stdout
    segments = [
        (int(o, 16), int(a, 16), int(s, 16))
        for o, a, s in re.findall(r"^\s+LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", text, re.MULTILINE)
    ]
    found: dict[str, int] = {}
    for value, name in re.findall(r"^\s*\d+: (\w+)\s+\d+ FUNC\s+\w+\s+\w+\s+\d+ (\S+)$", text, re.MULTILINE):
        address = int(value, 16)
        for offset, start, size in segments:
            if start <= address < start + size:
                found[name] = address - start + offset
    return found


@pytest.fixture(scope="session")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Target:
    path = tmp_path_factory.mktemp("counter") / "counter"
    subprocess.run(
        ["gcc", "-O2", str(TARGETS / "counter.c"), "-o", str(path), "-lpthread", "-ldl"], check=True
    )
    return Target(str(path), function_offsets(path))


@pytest.fixture(scope="session")
def late_library(tmp_path_factory: pytest.TempPathFactory) -> Target:
    path = tmp_path_factory.mktemp("late") / "liblate.so"
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", str(TARGETS / "library.c"), "-o", str(path)], check=True
    )
    return Target(str(path), function_offsets(path))


@dataclass(frozen=True, slots=True)
class Ran:
    status: int
    output: str
    messages: str

    def value(self, name: str) -> int:
        """Of the last line that says `name=NUMBER`."""
        return int(re.findall(rf"\b{name}=(-?\d+)", self.output)[-1])


RunSession = Callable[..., Ran]


@pytest.fixture(params=["uprobe_multi", "perf events"])
def session_features(request: pytest.FixtureRequest, kernel_features: frozenset[str]) -> frozenset[str]:
    """What the kernel has, and the same without multi-uprobes."""
    missing: frozenset[str] = frozenset() if request.param == "uprobe_multi" else frozenset({"uprobe_multi"})
    return kernel_features - missing


@pytest.fixture
def run_session(session_features: frozenset[str], requires: Callable[..., None]) -> RunSession:
    """Runs a manifest to its end; options are those of RunOptions."""
    requires("root", "ring_buffer", "cookie")

    def start(manifest: Manifest, **options: object) -> Ran:
        output, messages = io.BytesIO(), io.BytesIO()
        settings = RunOptions(session_features, **options)  # type: ignore[arg-type]
        status = run(manifest, object_for(manifest), settings, TextSink(output, messages))
        return Ran(status, output.getvalue().decode(), messages.getvalue().decode())

    return start


def own_programs() -> set[str]:
    """Names of the BPF programs in the kernel that could be of these tests."""
    text = subprocess.run(["bpftool", "prog", "show"], capture_output=True, text=True, check=True).stdout
    return {n for n in re.findall(r"name (\w+)", text) if n in ("hit", "targets_fork", "host")}
