"""Who may import what: data flows one way, the runtime knows no compiler, a foreign library lives behind one package.

Read from the sources, imports inside functions included.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FACTS = {"source", "diag", "artifact"}

MAY_IMPORT: dict[str, set[str]] = {
    "source": set(),
    "diag": {"source"},
    "artifact": {"source"},
    "options": {"artifact"},
    "syntax": {"source"},
    "resolved": {"source", "syntax", "artifact"},
    "typed": {"source", "artifact"},
    "builtins": {"artifact"},
    "regex": {"source", "diag", "artifact"},
    "parse": {*FACTS, "options", "syntax"},
    "library": {*FACTS, "options", "syntax", "parse"},
    "dwarf": {*FACTS},
    "sites": {*FACTS, "options", "dwarf"},
    "target": {*FACTS, "options", "dwarf", "sites"},
    "resolve": {*FACTS, "options", "syntax", "parse", "library", "dwarf", "sites", "resolved", "builtins", "target"},
    "check": {*FACTS, "options", "syntax", "resolved", "typed", "builtins", "regex", "dwarf", "target"},
    "layout": {*FACTS, "options", "typed", "builtins"},
    "interpret": {"artifact", "typed"},
    "llvm": {*FACTS, "options", "typed", "builtins", "layout", "interpret"},
    "runtime": {*FACTS, "dwarf"},
    "pipeline": {*FACTS, "options", "dwarf", "syntax", "resolved", "typed", "library", "parse", "resolve", "check", "layout",
                 "interpret", "llvm", "runtime"},
    "cli": {*FACTS, "options", "pipeline", "runtime", "syntax", "resolved", "typed", "parse", "resolve", "check"},
    "__main__": {"cli"},
    "__init__": set(),
}  # fmt: skip
"""Package (or module) directly under `probelang` -> those it may use besides itself; `probelang` itself (the version) always."""

FOREIGN = {
    "lark": {"parse"},
    "elftools": {"dwarf"},
    "llvmlite": {"llvm"},
    "iced_x86": {"sites", "dwarf", "runtime"},
}
RUNTIME_MODULES = {"iced_x86": "runtime/ptrace/x86_64.py"}
"""A tracer moves instructions, so one module of the runtime decodes them, too."""


@dataclass(frozen=True, slots=True)
class Import:
    package: str
    file: str
    line: int
    name: str
    level: int


def imports_of(path: Path, package: str) -> Iterator[Import]:
    file = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_bytes(), file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(package, file, node.lineno, alias.name, 0)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                # `from probelang import syntax` names the module in the alias
                name = f"{base}.{alias.name}" if base == "probelang" else base
                yield Import(package, file, node.lineno, name, node.level)


def all_imports() -> list[Import]:
    found: list[Import] = []
    for path in sorted((ROOT / "probelang").rglob("*.py")):  # rglob does not follow the symlink to runtime/
        inside = path.relative_to(ROOT / "probelang")
        if inside.parts[0] != "runtime":
            found += imports_of(path, inside.parts[0].removesuffix(".py"))
    for path in sorted((ROOT / "runtime").rglob("*.py")):
        found += imports_of(path, "runtime")
    return found


IMPORTS = all_imports()


def test_every_package_has_its_rule() -> None:
    assert {i.package for i in IMPORTS} <= MAY_IMPORT.keys()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_only_earlier_stages(package: str) -> None:
    wrong = [
        f"{i.file}:{i.line} imports {i.name}"
        for i in IMPORTS
        if i.package == package
        and i.name.startswith("probelang.")
        and i.name not in ("probelang.__version__",)
        and i.name.split(".")[1] not in {package, *MAY_IMPORT[package]}
    ]
    assert not wrong


@pytest.mark.parametrize("library", FOREIGN)
def test_foreign_libraries_live_behind_one_package(library: str) -> None:
    users = [i for i in IMPORTS if i.name.split(".")[0] == library]
    assert {i.package for i in users} <= FOREIGN[library], [f"{i.file}:{i.line}" for i in users]


@pytest.mark.parametrize("library", RUNTIME_MODULES)
def test_of_the_runtime_one_module_may_use_them(library: str) -> None:
    users = {i.file for i in IMPORTS if i.name.split(".")[0] == library and i.package == "runtime"}
    assert users <= {RUNTIME_MODULES[library]}


def test_nothing_else_foreign_is_used() -> None:
    known = {*sys.stdlib_module_names, "probelang", *FOREIGN}
    assert not [f"{i.file}:{i.line} {i.name}" for i in IMPORTS if i.name.split(".")[0] not in known]


def test_imports_are_absolute_and_name_the_runtime_by_its_package() -> None:
    wrong = [
        f"{i.file}:{i.line}" for i in IMPORTS if i.level or i.name.split(".")[0] in ("runtime", "stdlib")
    ]
    assert not wrong


@pytest.mark.parametrize("module", ["probelang.cli.main", "probelang.cli.run", "probelang.pipeline"])
def test_the_command_line_costs_no_compiler(module: str) -> None:
    code = f"import {module}, sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not FOREIGN.keys() & set(loaded.stdout.split())
