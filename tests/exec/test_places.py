"""Places in source code, hit as often as the program itself counts: by compiler, optimisation and version of DWARF, with both backends."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "targets"
CHOICES = [
    "gcc -O0 -gdwarf-4", "gcc -O0 -gdwarf-5", "gcc -O1 -gdwarf-5", "gcc -O2 -gdwarf-4", "gcc -O2 -gdwarf-5", "gcc -O3 -gdwarf-5",
    "gcc -Os -g -static", "gcc -O2 -g -no-pie", "gcc -O2 -g -gsplit-dwarf", "clang -O0 -g", "clang -O1 -g", "clang -O2 -g",
]  # fmt: skip
CPP_CHOICES = ["g++ -O0 -gdwarf-4", "g++ -O2 -gdwarf-5", "g++ -O3 -gdwarf-5", "clang++ -O2 -g"]
SCRIPT = """
global n
probe process("{path}").function("work") {{ n["work"]++ }}
probe process("{path}").function("inl") {{ n["inl"]++ }}
probe process("{path}").function("nested@places.c").inline {{ n["nested"]++ }}
probe process("{path}").function("*@places.c:{helper}") {{ n["helper"]++ }}
probe process("{path}").statement("*@places.c:{loop}") {{ n["line_loop"]++ }}
probe process("{path}").function("main").label("again") ? {{ n["label_again"]++ }}
probe process("{path}").statement("main@places.c:{again}") {{ n["line_again"]++ }}
probe process("{path}").statement("work@places.c:{work}") {{ n["line_work"]++ }}
probe process("{path}").statement("inl@places.c:{inl}") {{ n["line_inl"]++ }}
probe process("{path}").function("other").callee("work") {{ n["other_work"]++ }}
probe process("{path}").function("other").callee("work").return {{ n["other_work_returns"]++ }}
probe process("{path}").function("main").callee("work") {{ n["main_work"]++ }}
probe process("{path}").function("main").callees(2) {{ if (ppfunc() == "work") n["deep_work"]++ }}
probe end {{ foreach (name in n) printf("%s=%d\\n", name, n[name]) }}
"""
CPP_SCRIPT = """
global n
probe process("{path}").function("shop::Cart::add") {{ n["add"]++ }}
probe process("{path}").function("shop::twice") {{ n["twice"]++ }}
probe process("{path}").function("secret@places.cpp") {{ n["secret"]++ }}
probe process("{path}").function("area") {{ n["area"]++ }}
probe process("{path}").statement("*@places.cpp:{add}") {{ n["line_add"]++ }}
probe process("{path}").statement("*@places.cpp:{twice}") {{ n["line_twice"]++ }}
probe end {{ foreach (name in n) printf("%s=%d\\n", name, n[name]) }}
"""
GATED = pytest.mark.parametrize("backend", ["kernel", "ptrace"])


def line_of(mark: str, source: Path) -> int:
    lines = source.read_text().splitlines()
    return next(n for n, text in enumerate(lines, start=1) if text.endswith(f"// @{mark}"))


def compiled(command: str, source: Path, folder: Path) -> Path:
    compiler, *flags = command.split()
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    path = folder / re.sub(r"\W", "_", command)
    if not path.exists():
        subprocess.run([compiler, *flags, str(source), "-o", str(path)], check=True, cwd=folder)
    return path


def counts(text: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", text)}


def trace(script: str, path: Path, backend: str, folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    """What the script counted and what the program did."""
    output = folder / "output"
    words = [
        sys.executable,
        "-m",
        "probelang.cli.main",
        "run",
        "--backend",
        backend,
        "-c",
        str(path),
        "-o",
        str(output),
    ]
    done = subprocess.run([*words, "-e", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return counts(output.read_text()), counts(done.stdout)


def gate(backend: str, requires: Callable[..., None]) -> None:
    requires(*(("ring_buffer", "root") if backend == "kernel" else ("ptrace",)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("places")


@pytest.mark.kernel
@GATED
@pytest.mark.parametrize("command", CHOICES)
def test_places_in_c(
    command: str, backend: str, folder: Path, tmp_path: Path, requires: Callable[..., None]
) -> None:
    gate(backend, requires)
    source = SOURCES / "places.c"
    path = compiled(command, source, folder)
    helper = next(n for n, t in enumerate(source.read_text().splitlines(), 1) if "helper_calls++" in t)
    lines = {mark: line_of(mark, source) for mark in ("loop", "again", "work", "inl")}
    counted, told = trace(SCRIPT.format(path=path, helper=helper, **lines), path, backend, tmp_path)
    agains = told["label_again"]
    if "clang" in command and "-O0" not in command:
        told.pop("label_again")  # before the padding of the loop that begins there
    named = {name: count for name, count in counted.items() if name in told}
    assert named == {name: told[name] for name in named} and len(named) >= 5
    assert named.keys() >= {"work", "inl", "nested", "helper", "line_loop"}
    assert counted["line_again"] == agains
    assert counted["other_work"] == told["other_work"]
    assert counted["other_work_returns"] == told["other_work"]
    assert counted["main_work"] == told["main_work"]  # what is called by a pointer does not count
    assert counted["deep_work"] == told["main_work"] + told["other_work"] + told["helper"]
    assert (counted["line_work"], counted["line_inl"]) == (told["work"], told["inl"])


@pytest.mark.kernel
@GATED
@pytest.mark.parametrize("command", CPP_CHOICES)
def test_places_in_cpp(
    command: str, backend: str, folder: Path, tmp_path: Path, requires: Callable[..., None]
) -> None:
    gate(backend, requires)
    source = SOURCES / "places.cpp"
    path = compiled(command, source, folder)
    lines = {mark: line_of(mark, source) for mark in ("add", "twice")}
    counted, told = trace(CPP_SCRIPT.format(path=path, **lines), path, backend, tmp_path)
    assert {name: counted.get(name) for name in ("add", "twice", "secret", "area")} == {
        name: told[name] for name in ("add", "twice", "secret", "area")
    }
    assert (counted["line_add"], counted["line_twice"]) == (told["add"], told["twice"])
