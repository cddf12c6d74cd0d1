"""Which writes of a global are one step of the store, and what a handler takes for itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probelang.artifact.limits import Limits
from probelang.builtins.table import ROWS
from probelang.runtime.evaluate.analysis import EFFECTS, taken_variables
from probelang.runtime.evaluate.calls import builtins
from probelang.runtime.evaluate.context import SessionContext
from probelang.runtime.evaluate.evaluator import Evaluator
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.store import Key, Value
from tests.check.scripts import check_text
from tests.evaluate.scripts import Outcome, RecordingServices, RecordingSink


class ContendedStore(MemoryStore):
    """Another writer adds 100 to every long before each atomic step is done: the step is computed twice."""

    def update_scalar(self, variable: int, change: Callable[[Value], Value]) -> tuple[Value, Value]:
        change(self.scalar(variable))
        self.set_scalar(variable, _more(self.scalar(variable)))
        return super().update_scalar(variable, change)

    def update_element(
        self, variable: int, key: Key, change: Callable[[Value], Value]
    ) -> tuple[Value, Value]:
        old = self.element(variable, key)
        change(old or 0)
        super().set_element(variable, key, _more(old or 0))
        return super().update_element(variable, key, change)


def _more(value: Value) -> Value:
    assert isinstance(value, int)
    return value + 100


def run_contended(text: str) -> str:
    program = check_text(text).program
    outcome = Outcome()
    sink = RecordingSink(outcome)
    store = ContendedStore(program.variables, 100)
    evaluator = Evaluator(
        program.variables,
        program.functions,
        program.automata,
        program.places,
        Limits(),
        store,
        sink,
        RecordingServices(outcome, sink),
    )
    for probe in program.probes:
        evaluator.prepare(probe.handler)(SessionContext(probe.name, probe.name))
    return outcome.text


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("g++", 106),
        ("--g", 104),
        ("g += 5", 110),
        ("g *= 2", 210),
        ("g = g * 2", 210),
        ("g = g > 50 ? g : 50", 105),
        ("g = double(7) + g", 119),
        ("g = other(1) + g", 107),
    ],
)
def test_what_another_writer_does_is_not_lost(statement: str, value: int) -> None:
    functions = "function double(n) { return n * 2 } function other(n) { n++; return n }"
    script = f"global g = 5, a {functions} probe begin {{ {statement}; println(g) }}"
    assert run_contended(script) == f"{value}\n"


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("a[1, i]++", 101),
        ("a[1, i] += 5", 105),
        ("a[1, i] = a[1, i] + a[1, i]", 200),
        ("a[1, 2] = a[1, 2] | 1", 101),
    ],
)
def test_neither_in_elements(statement: str, value: int) -> None:
    assert run_contended(f"global a probe begin {{ i = 2; {statement}; println(a[1, 2]) }}") == f"{value}\n"


@pytest.mark.parametrize("value", ["g + (x = 1)", "g + x++", "g + side(1)", "g + reads(1)"])
def test_what_has_effects_is_evaluated_once(value: str) -> None:
    functions = 'function side(n) { print("!"); return n } function reads(n) { return g }'
    script = f"global g = 5 {functions} probe begin {{ x = 0; g = {value}; print(x) println(g) }}"
    assert "!!" not in run_contended(script)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("foreach (k in a) println(a[k]); delete a", ["a"]),
        ("println(@count(t)); delete t", ["t"]),
        ("println(@count(t)); delete a", []),
        ("show(); delete a[1]", ["a"]),
        ("if ([1] in a) drop()", ["a"]),
        ("println(@hist_log(t)); delete t; a[1] = 2", ["t"]),
    ],
)
def test_variables_that_a_handler_takes(body: str, names: list[str]) -> None:
    functions = "function show() { foreach (k in a) println(k) } function drop() { delete a }"
    script = f"global a, t {functions} probe timer.s(1) {{ {body} }} probe begin {{ a[1] = 1; t <<< 1; println(a[1], @count(t)) }}"
    program = check_text(script).program
    taken = taken_variables(program.probes[0].handler, program.functions)
    assert [program.variables[number].name for number in taken] == names


def test_both_halves_know_the_same_builtins() -> None:
    assert {(row.name, len(row.parameters)) for row in ROWS if not row.rewritten} == set(builtins())
    assert {row.name for row in ROWS if row.effect} == EFFECTS
