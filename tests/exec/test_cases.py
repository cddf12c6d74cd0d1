"""Runs every block of the `*.cases` files, with both backends: a real script against a real program."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exec.cases import Case, read_cases, variants

HERE = Path(__file__).parent
BACKENDS = ("kernel", "ptrace")
CASES = [
    pytest.param(case, backend, id=f"{path.stem}: {case.name} ({backend})")
    for path in sorted(HERE.glob("*.cases"))
    for written in read_cases(path)
    for case in variants(written)
    for backend in BACKENDS
    if case.only.partition(":")[0] in ("", backend)
]


@pytest.fixture(scope="session")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The compiled target programs, by the name that scripts use."""
    folder = tmp_path_factory.mktemp("targets")
    counter, late = folder / "counter", folder / "liblate.so"
    source = HERE / "targets"
    static, cpp, places = folder / "counter_static", folder / "cpp", folder / "places"
    for command in (
        ["gcc", "-O2", "-g", source / "counter.c", "-o", counter, "-lpthread", "-ldl"],
        ["gcc", "-O2", "-static", "-w", source / "counter.c", "-o", static, "-lpthread", "-ldl"],
        ["gcc", "-O2", "-shared", "-fPIC", source / "library.c", "-o", late],
        ["g++", "-O2", source / "names.cpp", "-o", cpp],
        ["gcc", "-O0", "-g", source / "places.c", "-o", places],
        *(
            ["gcc", f"-O{n}", "-g", source / "variables.c", "-o", folder / f"c{n}", "-lpthread", "-ldl"]
            for n in (0, 2)
        ),
        *(["g++", f"-O{n}", "-g", source / "variables.cpp", "-o", folder / f"cpp{n}"] for n in (0, 2)),
        ["gcc", "-O2", "-g", "-shared", "-fPIC", source / "varlib.c", "-o", folder / "libvar.so"],
    ):
        subprocess.run([str(word) for word in command], check=True)
    stripped = folder / "counter_stripped"
    subprocess.run(["strip", "-o", str(stripped), str(late)], check=True)
    return {
        "counter": str(counter), "late": str(late), "static": str(static), "stripped": str(stripped), "cpp": str(cpp),
        "places": str(places), "source": str(source), "libvar": str(folder / "libvar.so"),
        **{name: str(folder / name) for name in ("c0", "c2", "cpp0", "cpp2")},
    }  # fmt: skip


def fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def said(output: str) -> dict[str, str]:
    """What a program said of its own variables, in lines of "tag: text": by "said tag"."""
    lines: dict[str, list[str]] = {}
    for tag, text in re.findall(r"^(\w+): (.*)$", output, re.MULTILINE):
        lines.setdefault(f"said {tag}", []).append(text)
    return {tag: "\n".join(texts) for tag, texts in lines.items()}


def run_case(
    case: Case, backend: str, values: dict[str, str], script: Path, output: Path
) -> subprocess.CompletedProcess[str]:
    script.write_text(fill(case.prog, values))
    command = [sys.executable, "-m", "probelang.cli.main", "run", "--backend", backend]
    command += ["-o", str(output), str(script)]
    if case.command:
        command[4:4] = ["-c", fill(case.command, values)]
    command[4:4] = shlex.split(fill(case.options, values))
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.kernel
@pytest.mark.parametrize(("case", "backend"), CASES)
def test_case(
    case: Case, backend: str, targets: dict[str, str], tmp_path: Path, requires: Callable[..., None]
) -> None:
    requires(*(("ring_buffer", *case.requires.split()) if backend == "kernel" else ("ptrace",)))
    output = tmp_path / "output"
    result = run_case(case, backend, targets, tmp_path / "case.probe", output)
    shown = output.read_text() if output.exists() else ""
    assert result.returncode == int(case.status), result.stderr
    work = sum(int(n) for n in re.findall(r"^work=(\d+)$", result.stdout, re.MULTILINE))
    values = {**targets, **said(result.stdout), "work": str(work)}
    if case.expect is not None:
        assert shown == fill(case.expect, values), result.stderr
    if case.match is not None:
        assert re.search(fill(case.match.strip(), values), shown), shown + result.stderr
    if case.stderr is not None:
        assert re.search(fill(case.stderr.strip(), values), result.stderr)
