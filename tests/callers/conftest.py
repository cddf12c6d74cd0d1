"""The programs of these tests, built in every way, and the session that asks what their sources claim."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.callers.claims import read_claims, script, wrong
from tests.callers.many import source as many_functions
from tests.conftest import Run

TARGETS = Path(__file__).parent / "targets"
PIECES = {
    "shared": {"library": "-DLIBRARY", "other": "-DOTHER"},
    "plugin": {"plugin": "-DPLUGIN", "twin": "-DPLUGIN -DTWIN"},
}
"""The libraries of a program, all from its one source."""
LINKED = {"shared": ("other", "library")}


@dataclass(frozen=True, slots=True)
class Way:
    """How a program is built: "-O2 -g -pie", with `c++` for a C++ compiler."""

    text: str

    @property
    def traits(self) -> frozenset[str]:
        return frozenset(self.text.split())

    @property
    def flags(self) -> list[str]:
        words = [word for word in self.text.split() if word.startswith("-")]
        # at these levels a call at the end of a function becomes a jump
        tailed = ["-DTAILED"] if self.traits & {"-O2", "-O3"} else []
        return [*words, *tailed, "-pthread", "-Wno-infinite-recursion"]


@dataclass(frozen=True, slots=True)
class Built:
    """A program and its libraries; `values`: what `{program}`, `{library}` stand for in claims."""

    source: Path
    way: Way
    values: dict[str, str] = field(compare=False)

    @property
    def program(self) -> str:
        return self.values["program"]


Build = Callable[[str, str], Built]
Ask = Callable[..., str]


def build(folder: Path, name: str, way: Way) -> Built:
    """The program `name` of targets/ in a folder of its own, with its libraries."""
    source = _source_of(folder, name)
    compiler = ["g++", "-x", "c++"] if "c++" in way.traits or source.suffix == ".cpp" else ["gcc", "-x", "c"]
    values = {piece: str(folder / f"lib{piece}.so") for piece in PIECES.get(name, ())}
    for piece, defines in reversed(PIECES.get(name, {}).items()):
        shared = [flag for flag in way.flags if flag not in ("-pie", "-no-pie")]
        words = [*shared, "-fPIC", "-shared", *defines.split(), f"-DPIECE={piece}"]
        _compile([*compiler, *words, str(source), "-o", values[piece]])
    names = [f'-D{piece.upper()}_NAME="lib{piece}.so"' for piece in values]
    position = ["-fPIE"] if "-pie" in way.traits else ["-fno-pie"] if "-no-pie" in way.traits else []
    linked = [f"-l{piece}" for piece in LINKED.get(name, ())]
    values["program"] = str(folder / name)
    link = ["-L", str(folder), *linked, f"-Wl,-rpath,{folder}", "-Wl,--allow-shlib-undefined", "-ldl"]
    _compile(
        [*compiler, *way.flags, *position, "-DMAIN", *names, str(source), "-o", values["program"], *link]
    )
    return Built(source, way, values)


def _source_of(folder: Path, name: str) -> Path:
    """gcc finds truth.h beside the source."""
    if name == "many":
        shutil.copy(TARGETS / "truth.h", folder)
        (folder / "many.c").write_text(many_functions())
        return folder / "many.c"
    return next(TARGETS.glob(f"{name}.c*"))


def _compile(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`built("plain", "-O2 -g")`: each once."""
    made = dict[tuple[str, str], Built]()

    def get(name: str, way: str) -> Built:
        if (name, way) not in made:
            made[name, way] = build(tmp_path_factory.mktemp(name), name, Way(way))
        return made[name, way]

    return get


@pytest.fixture
def able(backend: Backend, requires: Callable[..., None]) -> Backend:
    if backend == "kernel":
        requires("cookie", "raw_tracepoints", "task_vma_iterator")
    return backend


@pytest.fixture
def check(probelang: Run, tmp_path: Path, able: Backend) -> Callable[..., None]:
    """`check(program, "{program} -n 100")`: asks all claims of its source while the command runs; every one must hold, and no hit
    be left out."""

    def run(program: Built, command: str, *words: str) -> None:
        claims = read_claims(program.source, program.way.traits | {able}, program.values)
        output, asked = tmp_path / "output", tmp_path / "asked.probe"
        asked.write_text(script(claims))
        command = command.replace("{program}", program.program)
        result = probelang("--backend", able, "-c", command, "-o", str(output), *words, str(asked))
        assert result.status == 0, result.stderr
        assert "lost" not in result.stderr and "left out" not in result.stderr, result.stderr
        assert "error" not in result.stderr, result.stderr
        assert wrong(claims, output.read_text(), result.stdout) == []

    return run
