"""One handler for each place where variables are elsewhere, one for all places where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from probelang import typed
from probelang.artifact.points import FunctionPoint
from probelang.options import Options
from probelang.pipeline import type_source
from probelang.source import SourceFile
from tests.conftest import Compile

COUNT = 40
PLAIN = "".join(
    f"__attribute__((noinline, noipa)) long plain_{i}(long n, long m) {{ return n * {i} + m; }}\n"
    for i in range(COUNT)
)
OTHER = "__attribute__((noinline, noipa)) long plain_other(int m, int n) { return n - m; }\n"
CALLS = "".join(f"s += plain_{i}(s, argc);\n" for i in range(COUNT))
MAIN = f"int main(int argc, char **argv) {{ long s = plain_other(1, argc);\n{CALLS} return (int)s; }}\n"


@pytest.fixture(scope="module")
def program(compile_c: Compile) -> Path:
    return compile_c(PLAIN + OTHER + MAIN, "-O2", "-g", name="many_sites")


def probes(program: Path, script: str) -> list[tuple[list[str], typed.Probe]]:
    """Each with the functions that it stands in."""
    source = SourceFile("x", script.replace("P", f'process("{program}")'))
    found: list[tuple[list[str], typed.Probe]] = []
    for probe in type_source(source, Options()).probes:
        assert isinstance(probe.point, FunctionPoint)
        found.append((sorted(site.function for site in probe.point.sites), probe))
    return found


def test_places_with_equal_code_are_one_probe(program: Path) -> None:
    found = probes(program, 'probe P.function("plain_?") { println($n) }')
    assert [functions for functions, _ in found] == [[f"plain_{i}" for i in range(10)]]


def test_another_place_of_the_variable_is_another_probe(program: Path) -> None:
    found = probes(program, 'probe P.function("plain_*") { println($n) }')
    assert sorted(len(functions) for functions, _ in found) == [1, COUNT]
    assert ["plain_other"] in [functions for functions, _ in found]


def test_variables_in_functions_of_the_script_count_too(program: Path) -> None:
    found = probes(program, 'function value() { return $n } probe P.function("plain_*") { println(value()) }')
    assert sorted(len(functions) for functions, _ in found) == [1, COUNT]


def test_functions_that_call_functions_with_variables_are_shared_too(program: Path) -> None:
    functions = "function value() { return $n } function twice() { return value() * 2 }"
    found = probes(program, functions + ' probe P.function("plain_?") { println(twice()) }')
    assert [len(functions) for functions, _ in found] == [10]


def test_without_variables_all_places_are_one_probe(program: Path) -> None:
    assert len(probes(program, 'probe P.function("plain_*") { println(int_arg(1)) }')) == 1


def test_a_return_probe_has_one_entry_probe_for_all_equal_places(program: Path) -> None:
    found = probes(program, 'probe P.function("plain_?").return { println($n) }')
    kinds = [
        (probe.point.is_return, len(functions))
        for functions, probe in found
        if isinstance(probe.point, FunctionPoint)
    ]
    assert sorted(kinds) == [(False, 10), (True, 10)]


def test_two_probes_of_the_script_are_never_joined(program: Path) -> None:
    script = 'probe P.function("plain_1") { println($n) } probe P.function("plain_2") { println($n) }'
    assert len(probes(program, script)) == 2
