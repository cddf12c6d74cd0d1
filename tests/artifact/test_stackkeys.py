"""Which arrays are keyed by stacks, wherever the stacks have gone before they become a key."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from probelang.artifact.stackkeys import StackArray, stack_arrays
from probelang.options import Options
from probelang.pipeline import interpret_source
from probelang.source import SourceFile

POINT = 'process("/bin/true").begin'


def found(script: str) -> tuple[StackArray, ...]:
    text = script.replace("POINT", POINT)
    return stack_arrays(interpret_source(SourceFile("test", text), Options(backend="ptrace")))


def keys(script: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(array.name, array.stacks) for array in found(script)]


@pytest.mark.parametrize(
    "body",
    [
        "a[ubacktrace()]++",
        "a[ubacktrace()] += 5",
        "a[ubacktrace()] = 5",
        "s = ubacktrace(); a[s]++",
        "s = ubacktrace(); t = s; a[t]++",
        "a[t = ubacktrace()]++",
        'a[pid() > 5 ? ubacktrace() : ""]++',
        "a[callers(3)]++",
    ],
)
def test_longs_keyed_by_a_stack(body: str) -> None:
    assert keys(f"global a probe POINT {{ {body} }}") == [("a", (0,))]


@pytest.mark.parametrize(
    "script",
    [
        "global a, g probe POINT { g = ubacktrace() } probe POINT { a[g]++ }",
        "global a, by probe POINT { by[tid()] = ubacktrace() } probe POINT { a[by[tid()]]++ }",
        "global a function count(s) { a[s]++ } probe POINT { count(ubacktrace()) }",
        "global a function here() { return ubacktrace() } probe POINT { a[here()]++ }",
        "global a function same(s) { return s } probe POINT { a[same(ubacktrace())]++ }",
        'global a, b probe POINT { b[ubacktrace()] = "x" } probe POINT { foreach (s in b) a[s]++ }',
        "global a, by probe POINT { by[tid()] = ubacktrace() } probe POINT { foreach (s = t in by) a[s]++ }",
    ],
)
def test_stacks_are_followed(script: str) -> None:
    assert ("a", (0,)) in keys(script)


@pytest.mark.parametrize(
    "script",
    [
        "global n probe POINT { n++ }",
        "global a probe POINT { a[execname()]++ }",
        "global a probe POINT { a[usymname(ustack(0))]++ }",
        "global a probe POINT { a[1] = ubacktrace() }",
        'global a probe POINT { a[ubacktrace()] = "text" }',
        "global a probe POINT { s = ubacktrace(); a[strlen(s)]++ }",
        "global a, b probe POINT { a[execname()]++ b = ubacktrace() } probe end { println(b) }",
    ],
)
def test_what_is_no_stack_or_no_number(script: str) -> None:
    assert keys(script) == []


def test_a_stack_that_is_kept_from_the_entry_is_followed(tmp_path: Path) -> None:
    source, program = tmp_path / "x.c", tmp_path / "x"
    source.write_text("int main(void) { return 0; }")
    subprocess.run(["gcc", "-O1", "-o", program, source], check=True)
    point = f'process("{program}").function("main").return'
    assert keys(f"global a probe {point} {{ a[@entry(ubacktrace())]++ }}")[0] == ("a", (0,))


def test_the_parts_of_a_key_are_called_as_where_they_are_inserted() -> None:
    script = "global a probe POINT { size = 5; a[execname(), ubacktrace(), size] <<< 1 }"
    assert found(script) == (
        StackArray("a", 0, (1,), ("execname", "ubacktrace", "size"), has_count=True, has_sum=True),
    )


def test_longs_have_neither_counts_nor_sums() -> None:
    (array,) = found("global a probe POINT { a[ubacktrace()]++ }")
    assert (array.has_count, array.has_sum) == (False, False)
