"""`caller()`, `callers(n)` and `caller_addr()`: as often as the program counted, by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.callers.claims import counted
from tests.callers.conftest import Build, Built
from tests.conftest import Result, Run

pytestmark = pytest.mark.kernel

CALLERS = {
    "alpha": ("alpha",),
    "apple": ("apple",),
    "beta": ("beta",),
    "around": ("around",),
    "host": ("inlmore", "inlmore_inl"),
    "tail": ("tail",),
    "by_pointer": ("by_pointer",),
    "recurse": ("recurse",),
    "lines": ("first", "second", "third"),
}
"""By function of plain.c what it counts where it calls."""
SCRIPT = """
global names, paths, addresses, kinds
probe process("{program}").function("callee") {{
    names[caller()]++
    paths[callers(2)]++
    addresses[caller_addr()]++
}}
probe end {{
    foreach (name in names) println("name ", names[name], " ", name)
    foreach (path in paths) println("path ", paths[path], " ", path)
    foreach (address in addresses) kinds++
    println("addresses ", kinds)
}}
"""

Ask = Callable[[Built, str], Result]


@pytest.fixture
def ask(probelang: Run, able: Backend, tmp_path: Path) -> Ask:
    """What the program said, and, in its place of messages, what the script printed."""

    def run(program: Built, script: str) -> Result:
        asked, output = tmp_path / "asked.probe", tmp_path / "output"
        asked.write_text(script)
        rounds = 1000 if able == "kernel" else 20
        command = f"{program.program} -n {rounds}"
        result = probelang("--backend", able, "-c", command, "-o", str(output), str(asked))
        assert result.status == 0 and "lost" not in result.stderr, result.stderr
        return Result(0, result.stdout, output.read_text())

    return run


def told(kind: str, text: str) -> Counter[str]:
    found = Counter[str]()
    for count, name in re.findall(rf"^{kind} (\d+) (.*)$", text, re.MULTILINE):
        found[re.sub(r"\(.*?\)", "", name)] += int(count)
    return found


@pytest.mark.parametrize("way", ["c -O2 -pie -g", pytest.param("c++ -O0 -no-pie", marks=pytest.mark.slow)])
def test_names_of_callers(way: str, built: Build, ask: Ask) -> None:
    program = built("plain", way)
    result = ask(program, SCRIPT.format(program=program.program))
    counts, names = counted(result.stdout), told("name", result.stderr)
    expected = {name: sum(counts[c] for c in parts) for name, parts in CALLERS.items()}
    assert {name: names[name] for name in CALLERS} == expected
    assert names.total() == counts["all"]
    assert not [name for name in names if name.startswith("0x")]
    paths = told("path", result.stderr)
    assert paths.total() == counts["all"]
    assert paths["alpha<-one_round"] == counts["alpha"]
    assert paths["recurse<-recurse"] + paths["recurse<-one_round"] == counts["recurse"]
    (addresses,) = re.findall(r"^addresses (\d+)$", result.stderr, re.MULTILINE)
    assert int(addresses) >= len(names)


def test_names_of_callers_in_other_files(built: Build, ask: Ask) -> None:
    program = built("shared", "c -O2 -pie -g")
    result = ask(
        program,
        f"""
        global names
        probe process("{program.values["library"]}").function("lib_callee") {{ names[caller()]++ }}
        probe end {{ foreach (name in names) println("name ", names[name], " ", name) }}
        """,
    )
    counts, names = counted(result.stdout), told("name", result.stderr)
    callers = (
        "alpha",
        "beta",
        "by_pointer",
        "cold_user",
        "lib_inner",
        "lib_hidden",
        "other_caller",
        "compare",
    )
    assert {name.removesuffix(".cold"): n for name, n in names.items()} == {
        name: counts[name] for name in callers
    }


def test_names_where_it_returns_to(built: Build, ask: Ask) -> None:
    """In a return probe the caller is where the thread is."""
    program = built("plain", "c -O2 -pie -g")
    result = ask(
        program,
        f"""
        global names
        probe process("{program.program}").function("callee").return {{ names[caller()]++ }}
        probe end {{ foreach (name in names) println("name ", names[name], " ", name) }}
        """,
    )
    counts, names = counted(result.stdout), told("name", result.stderr)
    assert {name: names[name] for name in ("alpha", "apple", "beta", "recurse")} == {
        name: counts[name] for name in ("alpha", "apple", "beta", "recurse")
    }
    assert names.total() == counts["all"]
