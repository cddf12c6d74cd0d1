"""Stacks as keys: a program that writes down how it came to a place says the same as the unwinder, way by way, to the last hit."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Run

pytestmark = pytest.mark.kernel

SOURCE = Path(__file__).parent / "targets" / "walks.c"
SCRIPT = """
global ways, keys
probe process("{program}").function("end") {{ ways[ubacktrace()]++ }}
probe end {{ foreach (s in ways) {{ keys++; println("way ", ways[s], " ", s) }} println("keys ", keys) }}
"""
Build = Callable[[str], Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    made = dict[str, Path]()

    def compile_both(flags: str) -> Path:
        if flags not in made:
            folder = tmp_path_factory.mktemp("walks")
            compiler = ["g++", "-x", "c++"] if "c++" in flags else ["gcc", "-x", "c"]
            words = [*compiler, *(w for w in flags.split() if w.startswith("-")), str(SOURCE), "-pthread"]
            library, program = folder / "libwalks.so", folder / "walks"
            plain = [w for w in words if w not in ("-pie", "-no-pie", "-fPIE", "-fno-pie")]
            subprocess.run([*plain, "-fPIC", "-shared", "-DLIBRARY", "-o", library], check=True)
            link = ["-L", folder, "-lwalks", f"-Wl,-rpath,{folder}"]
            subprocess.run([*words, "-DMAIN", "-o", program, *link], check=True)
            made[flags] = program
        return made[flags]

    return compile_both


@pytest.fixture
def able(backend: Backend, requires: Callable[..., None]) -> Backend:
    if backend == "kernel":
        requires("cookie", "raw_tracepoints", "task_vma_iterator")
    return backend


def ways_told(text: str) -> Counter[str]:
    """By the program, or by the script: there with what the program leaves out, and what called its first function."""
    found = Counter[str]()
    for count, way in re.findall(r"^way (\d+) (.+)$", text, re.MULTILINE):
        names = [name.partition("(")[0] for name in way.split("<-")]
        assert "walk" in names, way
        steps = names[: names.index("walk") + 1]
        found["<-".join(name for name in steps if name not in ("end", "step"))] += int(count)
    return found


@pytest.mark.parametrize(
    "flags",
    [
        "c -O2 -fomit-frame-pointer",
        "c++ -O0 -no-pie",
        pytest.param("c -O1 -g -pie", marks=pytest.mark.slow),
        pytest.param("c -O3 -fno-omit-frame-pointer", marks=pytest.mark.slow),
        pytest.param("c -O2 -fcf-protection -fno-plt", marks=pytest.mark.slow),
        pytest.param(
            "c++ -O2 -fno-asynchronous-unwind-tables -fno-omit-frame-pointer", marks=pytest.mark.slow
        ),
    ],
)
def test_every_way_is_a_stack(
    flags: str, build: Build, probelang: Run, able: Backend, tmp_path: Path
) -> None:
    program = build(flags)
    output, script = tmp_path / "output", tmp_path / "ways.probe"
    script.write_text(SCRIPT.format(program=program))
    result = probelang("--backend", able, "-c", str(program), "-o", str(output), str(script))
    assert result.status == 0 and not re.search("cut short|lost", result.stderr), result.stderr
    assert ways_told(output.read_text()) == ways_told(result.stdout)


def test_equal_stacks_of_different_processes_are_one_key(
    build: Build, probelang: Run, able: Backend, tmp_path: Path
) -> None:
    """Both walk the same ways, at other addresses, and have ended before a name is asked for."""
    program = build("c -O2 -fomit-frame-pointer")
    output, script = tmp_path / "output", tmp_path / "ways.probe"
    script.write_text(SCRIPT.format(program=program))
    keys: list[int] = []
    for command in (f"{program} 7", f"sh -c '{program} 7; {program} 7'"):
        result = probelang("--backend", able, "-c", command, "-o", str(output), str(script))
        assert result.status == 0 and not re.search("cut short|lost", result.stderr), result.stderr
        assert ways_told(output.read_text()) == ways_told(result.stdout)
        keys += [int(n) for n in re.findall(r"^keys (\d+)$", output.read_text(), re.MULTILINE)]
    assert keys[0] == keys[1] > 100
