"""One program of two units in every form that its debug information can take: compilers, versions of DWARF, split, packed, shared."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MAIN = """
#include "shared.h"
static int counter_of_calls;
static __attribute__((noinline)) int walk_list(struct node *n, enum color c) {
    int sum = 0;
    counter_of_calls++;
    for (; n; n = n->next) { int here = n->id * 3; sum += here + c; }
    return sum;
}
static inline int twice(int x) { int y = x + x; return y; }
int main(int argc, char **argv) {
    struct node b = {0, argc, {7}, 1, {1}}, a = {&b, 2, {8}, -1, {2}};
    return total(&a, green) + walk_list(&a, red) + twice(argc);
}
"""
OTHER = """
#include "shared.h"
int total(node_t *n, enum color c) {
    int sum_of_ids = c;
    for (; n; n = n->next) sum_of_ids += n->id;
    return sum_of_ids;
}
"""
HEADER = """
enum color { red, green = 5 };
struct node { struct node *next; int id; union { int u; float f; }; int bits : 3; long numbers_of_node[4]; };
typedef struct node node_t;
int total(node_t *n, enum color c);
"""


@dataclass(frozen=True)
class Variant:
    """`tools`: what it needs besides the compiler."""

    name: str
    compiler: str
    flags: tuple[str, ...]
    tools: tuple[str, ...] = ()


def _all() -> list[Variant]:
    found: list[Variant] = []
    for compiler in ("gcc", "g++", "clang"):
        for version in (2, 3, 4, 5):
            for level in ("-O0", "-O2"):
                found.append(Variant(f"{compiler}-{version}{level}", compiler, (f"-gdwarf-{version}", level)))
    for compiler in ("gcc", "g++", "clang"):
        for version in (4, 5):
            split = (f"-gdwarf-{version}", "-gsplit-dwarf", "-O1")
            types = (*split, "-fdebug-types-section")
            found += [
                Variant(
                    f"{compiler}-{version}-types",
                    compiler,
                    (f"-gdwarf-{version}", "-O1", "-fdebug-types-section"),
                ),
                Variant(f"{compiler}-{version}-split", compiler, split),
                Variant(f"{compiler}-{version}-split-types", compiler, types),
                Variant(f"{compiler}-{version}-llvm-dwp", compiler, split, ("llvm-dwp",)),
                Variant(f"{compiler}-{version}-llvm-dwp-types", compiler, types, ("llvm-dwp",)),
                Variant(f"{compiler}-{version}-dwz", compiler, (f"-gdwarf-{version}", "-O1"), ("dwz",)),
            ]
            if version == 4:  # binutils' dwp knows no later one
                found.append(Variant(f"{compiler}-{version}-dwp", compiler, split, ("dwp",)))
                found.append(Variant(f"{compiler}-{version}-dwp-types", compiler, types, ("dwp",)))
    found += [
        Variant("gcc-zlib", "gcc", ("-g", "-O1", "-gz")),
        Variant("gcc-zlib-gnu", "gcc", ("-g", "-O1", "-gz=zlib-gnu")),
        Variant("gcc-split-zlib", "gcc", ("-g", "-O1", "-gsplit-dwarf", "-gz")),
        Variant("gcc-64", "gcc", ("-gdwarf-5", "-gdwarf64", "-O1")),
        Variant("gcc-relocatable-ranges", "gcc", ("-gdwarf-4", "-O1", "-ffunction-sections")),
        Variant("clang-names", "clang", ("-gdwarf-5", "-O1", "-gpubnames", "-glldb")),
        Variant("clang-lines-only", "clang", ("-gmlt", "-O1")),
    ]  # fmt: skip
    return found


VARIANTS = _all()
FEW = frozenset(
    ("gcc-2-O2", "gcc-4-O0", "gcc-4-O2", "gcc-5-O0", "gcc-5-O2", "g++-5-O2", "clang-4-O2", "clang-5-O2", "gcc-4-types", "g++-5-types",
     "gcc-4-split", "gcc-5-split-types", "gcc-4-dwp-types", "clang-5-llvm-dwp-types", "gcc-4-dwz", "gcc-5-dwz", "gcc-split-zlib",
     "gcc-zlib", "gcc-zlib-gnu", "gcc-64")
)  # fmt: skip
"""What every run of the tests looks at; the rest is slow."""
BY_NAME = {variant.name: variant for variant in VARIANTS}


class Missing(Exception):
    """A tool that is not here, or cannot do this."""


def build(variant: Variant, folder: Path) -> Path:
    """Compiles it in `folder` and gives the program."""
    if shutil.which(variant.compiler) is None:
        raise Missing(variant.compiler)
    for tool in variant.tools:
        if shutil.which(tool) is None:
            raise Missing(tool)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shared.h").write_text(HEADER)
    suffix = ".cpp" if variant.compiler == "g++" else ".c"
    for name, text in (("main", MAIN), ("other", OTHER)):
        (folder / f"{name}{suffix}").write_text(text)
        _run(variant.compiler, *variant.flags, "-c", f"{name}{suffix}", "-o", f"{name}.o", cwd=folder)
    _run(variant.compiler, *variant.flags, "main.o", "other.o", "-o", "program", cwd=folder)
    for tool in variant.tools:
        _finish(tool, folder)
    return folder / "program"


def _finish(tool: str, folder: Path) -> None:
    if tool in ("dwp", "llvm-dwp"):
        _run(tool, "-e", "program", "-o", "program.dwp", cwd=folder)
        for split in folder.glob("*.dwo"):
            split.unlink()
    elif tool == "dwz":
        shutil.copy(folder / "program", folder / "second")
        _run("dwz", "-m", "common.debug", "-r", "program", "second", cwd=folder)


def _run(*command: str, cwd: Path) -> None:
    """The tools of some releases crash, or never end, over what others wrote."""
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=20)
    except (subprocess.SubprocessError, OSError):
        if command[0] in ("dwp", "llvm-dwp", "dwz"):
            raise Missing(f"{command[0]} that can do this") from None
        raise
