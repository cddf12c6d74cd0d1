from __future__ import annotations

from pathlib import Path

import pytest

from tests.dwarf.targets import ASM, C, compile_target


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="session")
def asm(folder: Path) -> Path:
    return compile_target(folder, "asm.so", ASM, "-shared", suffix=".s")


@pytest.fixture(scope="session")
def pie(folder: Path) -> Path:
    return compile_target(folder, "pie", C, "-O1", "-g0")
