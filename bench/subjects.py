"""Programs with much debug information, fetched and built once into a cache folder; nothing is installed.

subjects(folder)  ->  [Subject("sqlite3", ...), ...], and why others are missing

CPython and a daemon of Ceph as Debian built them, each with its separate debug file where gdb looks beside a binary (`.debug/`);
SQLite from Debian's source package, with -O2 -g.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "probelang-bench"
APT = Path("/etc/apt")


@dataclass(frozen=True, slots=True)
class Subject:
    """`plain`: the same program without debug information. `symbol`: of the function, for tools that want it; `parameter`: one of its.
    `pattern`: of some functions."""

    name: str
    binary: Path
    plain: Path
    function: str
    symbol: str
    parameter: str
    pattern: str


class Missing(Exception):
    """What is not there, as a clause."""


def subjects(folder: Path = CACHE) -> tuple[list[Subject], list[str]]:
    """Those that can be had, and of the others why not."""
    found: list[Subject] = []
    missing: list[str] = []
    for name, make in MAKERS.items():
        try:
            found.append(make(folder / name))
        except (Missing, OSError, subprocess.SubprocessError) as error:
            missing.append(f"{name}: {error}")
    return found, missing


def _python(folder: Path) -> Subject:
    binary, plain = _packaged(folder, ("python3.11-minimal", "python3.11-dbg"), "usr/bin/python3.11")
    return Subject("CPython 3.11", binary, plain, "PyEval_EvalCode", "PyEval_EvalCode", "globals", "PyEval_*")


def _ceph(folder: Path) -> Subject:
    binary, plain = _packaged(folder, ("ceph-mon", "ceph-mon-dbg"), "usr/bin/ceph-mon")
    symbol = "_ZN5Paxos12handle_beginEN5boost13intrusive_ptrI12MonOpRequestEE"
    return Subject("ceph-mon (C++)", binary, plain, "Paxos::handle_begin", symbol, "this", "Paxos::*")


def _sqlite(folder: Path) -> Subject:
    binary, plain = folder / "sqlite3", folder / "plain" / "sqlite3"
    if not plain.exists():
        _need("apt-get", "gcc", "make", "tclsh", "strip")
        with _source("sqlite3", folder) as source:
            _run(["./configure", "CFLAGS=-O2 -g", "--disable-shared", "--disable-readline"], source)
            _run(["make", "sqlite3"], source)
            shutil.copy(source / "sqlite3", binary)
        plain.parent.mkdir(exist_ok=True)
        _run(["strip", "--strip-debug", "-o", str(plain), str(binary)], folder)
    return Subject(
        "SQLite, 240,000 lines in one file",
        binary,
        plain,
        "sqlite3_step",
        "sqlite3_step",
        "pStmt",
        "sqlite3_*",
    )


MAKERS: dict[str, Callable[[Path], Subject]] = {"python": _python, "sqlite": _sqlite, "ceph": _ceph}


# ----------------------------------------------------------------------------------------------------- packages


def _packaged(folder: Path, packages: Sequence[str], path: str) -> tuple[Path, Path]:
    """A program and its debug file, out of packages; and the program alone."""
    binary, plain = folder / path, folder / "plain" / Path(path).name
    if not plain.exists():
        _need("apt-get", "dpkg", "readelf")
        folder.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", *packages], folder)
        for archive in folder.glob("*.deb"):
            _run(["dpkg", "-x", str(archive), str(folder)], folder)
            archive.unlink()
        _link_debug_file(folder, binary)
        plain.parent.mkdir(exist_ok=True)
        shutil.copy(binary, plain)
    return binary, plain


def _link_debug_file(folder: Path, binary: Path) -> None:
    notes = subprocess.run(["readelf", "-n", binary], capture_output=True, text=True, check=True).stdout
    identity = re.search(r"Build ID: ([0-9a-f]+)", notes)
    if identity is None:
        raise Missing("the program has no build-id")
    head, tail = identity[1][:2], f"{identity[1][2:]}.debug"
    target = folder / "usr/lib/debug/.build-id" / head / tail
    if not target.exists():
        raise Missing("the debug package is of another build")
    link = binary.parent / ".debug" / tail
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


class _source:
    """A source package, unpacked into a temporary folder: sources are asked for where the machine gets its packages."""

    def __init__(self, package: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._package = package
        self._temporary = TemporaryDirectory(prefix="source-", dir=folder)

    def __enter__(self) -> Path:
        folder = Path(self._temporary.name)
        for name in ("parts", "lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        for name, text in _source_entries():
            (folder / "parts" / name).write_text(text)
        own = {"Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": f"{folder}/parts",
               "Dir::State::lists": f"{folder}/lists", "Dir::Cache": f"{folder}/cache"}  # fmt: skip
        apt = ["apt-get", *(word for name, value in own.items() for word in ("-o", f"{name}={value}"))]
        _run([*apt, "update"], folder)
        _run([*apt, "source", "--download-only", self._package], folder)
        archive = next(folder.glob("*.orig.tar.*"), None)
        if archive is None:
            raise Missing("the source package has no archive of its origin")
        _run(["tar", "xf", str(archive)], folder)
        return next(p for p in folder.glob(f"{self._package}*") if p.is_dir())

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()


def _source_entries() -> Iterator[tuple[str, str]]:
    """The machine's own entries, of sources in place of packages."""
    lists = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*.list"))]
    for number, path in enumerate(p for p in lists if p.exists()):
        yield f"{number}.list", re.sub(r"(?m)^deb(?=\s)", "deb-src", path.read_text())
    for path in sorted((APT / "sources.list.d").glob("*.sources")):
        yield path.name, re.sub(r"(?m)^Types:.*$", "Types: deb-src", path.read_text())


def _need(*commands: str) -> None:
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise Missing(f"there is no {' and no '.join(missing)} here")


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=1200)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Missing(f"`{' '.join(command[:3])}` failed: {' '.join(last)}")
