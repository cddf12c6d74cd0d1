"""Where library files are searched, first found first.

    -I folders, then the folders of PROBELANG_PATH, then the standard library; in each folder `.probe`, `.stp` and
    (macros) `.stpm` files, its subfolders included.

As in SystemTap's tapset, a file in a subfolder for this runtime (`bpf`) or architecture (`x86_64`) comes before one
of the same names above it, and those for another runtime or architecture are not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import probelang
from probelang.options import Options

SUFFIXES = (".probe", ".stp")
MACRO_SUFFIX = ".stpm"
OTHER_RUNTIMES = frozenset(("linux", "dyninst"))
ARCHITECTURES = frozenset(
    ("x86_64", "i386", "i686", "arm", "arm64", "powerpc", "ppc64", "s390", "mips", "ia64", "riscv")
)
OWN = frozenset(("bpf", "x86_64"))


def standard_folder() -> Path:
    """The standard library: package data, `probelang/stdlib`. By the package's place, since importlib.resources costs more
    time than reading what lies there."""
    return Path(probelang.__file__).parent / "stdlib"


def folders(options: Options) -> tuple[Path, ...]:
    """All search folders, in order."""
    environment = [Path(f) for f in os.environ.get("PROBELANG_PATH", "").split(":") if f]
    return (*options.include, *environment, standard_folder())


def library_files(
    folder: Path, suffixes: Iterable[str] = SUFFIXES, architecture: str = "x86_64"
) -> Iterator[Path]:
    """The library files below a folder: most specific first, then by name. A folder that is not there has none."""
    wanted = tuple(suffixes)
    foreign = OTHER_RUNTIMES | (ARCHITECTURES - {architecture})
    found: list[tuple[int, str]] = []
    for place, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(s for s in subfolders if s not in foreign and not s.startswith("."))
        depth = sum(part in OWN for part in Path(place).relative_to(folder).parts)
        found += [(-depth, os.path.join(place, name)) for name in files if name.endswith(wanted)]
    return (Path(path) for _, path in sorted(found))
