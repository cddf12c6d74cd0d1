"""The version has one home, and what is built holds everything that runs: grammar, standard library, runtime."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import probelang

ROOT = Path(__file__).parent.parent.parent


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == probelang.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", probelang.__version__)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def sources(folder: str, pattern: str) -> set[str]:
    return {f"probelang/{p.relative_to(ROOT)}" for p in (ROOT / folder).rglob(pattern)}


def everything_that_runs() -> set[str]:
    data = sources("grammar", "*.lark") | sources("stdlib", "*.probe") | sources("stdlib", "*.stp*")
    modules = {
        str(p.relative_to(ROOT)) for p in (ROOT / "probelang").rglob("*.py") if "__pycache__" not in p.parts
    }
    return data | modules | sources("runtime", "*.py")


def test_the_wheel_holds_everything_that_runs_and_nothing_else(built: Path) -> None:
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    assert everything_that_runs() <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"probelang"}


def test_the_source_distribution_makes_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    for name in ("README.md", "LICENSE", "pyproject.toml", "probelang/grammar/probelang.lark"):
        assert (folder / name).is_file(), name
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")]
    subprocess.run(words, cwd=folder, capture_output=True, check=True)
    first = zipfile.ZipFile(next(built.glob("*.whl")))
    again = zipfile.ZipFile(next((tmp_path / "again").glob("*.whl")))
    assert sorted(again.namelist()) == sorted(first.namelist())


def test_the_wheel_runs_by_itself(built: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(tmp_path)
    script = "probe begin { println(1 + 2) exit() }"
    words = [sys.executable, "-m", "probelang", "check", "--stage", "syntax", "-e", script]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
