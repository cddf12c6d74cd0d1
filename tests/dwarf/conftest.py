from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dwarf.targets import CPP, C, compile_target
from tests.dwarf.variants import BY_NAME, Missing, build


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
def variant(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`variant("gcc-5-O0")`: the program of tests.dwarf.variants in this form; skips where a tool is missing."""
    folder = tmp_path_factory.mktemp("variants")
    built: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in built:
            try:
                built[name] = build(BY_NAME[name], folder / name)
            except Missing as missing:
                pytest.skip(f"needs {missing}")
        return built[name]

    return find
