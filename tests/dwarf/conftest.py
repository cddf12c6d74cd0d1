from __future__ import annotations

from pathlib import Path

import pytest

from tests.dwarf.targets import CPP, C, compile_target


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="session")
def pie(folder: Path) -> Path:
    return compile_target(folder, "pie", C, "-O1", "-g0")


@pytest.fixture(scope="session")
def cpp(folder: Path) -> Path:
    return compile_target(folder, "cpp", CPP, "-O1", suffix=".cpp")
