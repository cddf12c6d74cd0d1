from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.diag import CompileError, Diagnostic
from probelang.library import LibrarySet
from probelang.options import Options
from probelang.parse import parse
from probelang.resolve import ResolveResult, resolve
from probelang.source import SourceFile
from tests.dwarf.targets import ASM, CPP, C, compile_target

Resolve = Callable[..., ResolveResult]
Mistakes = Callable[..., tuple[Diagnostic, ...]]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="session")
def pie(folder: Path) -> Path:
    return compile_target(folder, "pie", C, "-O1", "-g0")


@pytest.fixture(scope="session")
def cpp(folder: Path) -> Path:
    return compile_target(folder, "cpp", CPP, "-O1", suffix=".cpp")


@pytest.fixture(scope="session")
def asm(folder: Path) -> Path:
    return compile_target(folder, "asm.so", ASM, "-shared", suffix=".s")


@pytest.fixture
def resolved(tmp_path: Path, pie: Path, cpp: Path, asm: Path) -> Resolve:
    """Resolves a script; `{pie}`, `{cpp}` and `{asm}` stand for the targets' paths, `library` is a library file."""

    def run(script: str, options: Options | None = None, library: str = "") -> ResolveResult:
        for name, path in (("pie", pie), ("cpp", cpp), ("asm", asm)):
            script = script.replace(f"{{{name}}}", str(path))
        options = options or Options()
        folders: tuple[Path, ...] = ()
        if library:
            folders = (tmp_path / "lib",)
            folders[0].mkdir(exist_ok=True)
            (folders[0] / "lib.stp").write_text(library)
        libraries = LibrarySet(options, folders)
        program = parse(SourceFile("user.probe", script), options).program
        return resolve(program, libraries, options, frozenset({"exit", "pid", "println_all"}))

    return run


@pytest.fixture
def mistakes(resolved: Resolve) -> Mistakes:
    """What is wrong with a script."""

    def run(script: str, options: Options | None = None, library: str = "") -> tuple[Diagnostic, ...]:
        with pytest.raises(CompileError) as caught:
            resolved(script, options, library)
        return caught.value.diagnostics

    return run
