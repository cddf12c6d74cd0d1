"""The two halves are one language, and so are the two backends: a script prints the same, fails the same and leaves the
same in its globals whether the evaluator runs it, the kernel, or the tracer of a real process. And whatever the checker lets
through the verifier lets through.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from probelang.options import Backend
from tests.agreement.halves import POINT, Target, run_kernel, run_traced, run_user
from tests.strategies.programs import Script, random_expressions, random_script

EXPRESSIONS = 25  # in one script
SEEDS = st.integers(0, 2**32 - 1)  # a seed decides a script, so there is nothing to shrink
ONCE = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.fixture
def compare(
    backend: Backend, firing: Target, kernel_features: frozenset[str], requires: Callable[..., None]
) -> Callable[[Script], None]:
    if backend == "kernel":
        requires("iterators", "for_each")

    def check(script: Script) -> None:
        user, text = run_user(script.text("begin")), script.text(POINT)
        hit = run_kernel(text, firing, kernel_features) if backend == "kernel" else run_traced(text, firing)
        assert (hit.data, hit.errors) == (user.data, user.errors), text

    return check


def agree(make: Callable[[int], Script], compare: Callable[[Script], None], examples: int) -> None:
    @settings(max_examples=examples, deadline=None, phases=ONCE, database=None)
    @given(SEEDS)
    def property_(seed: int) -> None:
        compare(make(seed))

    property_()


def many_expressions(seed: int) -> Script:
    return random_expressions(seed, count=EXPRESSIONS)


@pytest.mark.kernel
def test_500_expressions_have_one_value(compare: Callable[[Script], None]) -> None:
    agree(many_expressions, compare, 500 // EXPRESSIONS)


@pytest.mark.kernel
def test_50_statement_lists_do_one_thing(compare: Callable[[Script], None]) -> None:
    agree(random_script, compare, 50)


@pytest.mark.slow
@pytest.mark.kernel
def test_10_000_expressions_have_one_value(compare: Callable[[Script], None]) -> None:
    agree(many_expressions, compare, 10_000 // EXPRESSIONS)


@pytest.mark.slow
@pytest.mark.kernel
def test_1_000_statement_lists_do_one_thing(compare: Callable[[Script], None]) -> None:
    agree(random_script, compare, 1_000)


def what_only_the_user_half_does(seed: int) -> Script:
    return random_script(seed, user_half=True)


@pytest.fixture
def compare_traced(firing: Target, requires: Callable[..., None]) -> Callable[[Script], None]:
    requires("ptrace")

    def check(script: Script) -> None:
        user, hit = run_user(script.text("begin")), run_traced(script.text(POINT), firing)
        assert (hit.data, hit.errors) == (user.data, user.errors), script.text(POINT)

    return check


def test_with_ptrace_a_process_probe_does_all_that_the_user_half_does(
    compare_traced: Callable[[Script], None],
) -> None:
    """Sorted loops, histograms and the like: the kernel half has none of them."""
    agree(what_only_the_user_half_does, compare_traced, 50)


@pytest.mark.slow
def test_and_does_so_1_000_times(compare_traced: Callable[[Script], None]) -> None:
    agree(what_only_the_user_half_does, compare_traced, 1_000)


@pytest.mark.kernel
@pytest.mark.parametrize("body", Path(__file__).with_name("corners.txt").read_text().split("\n---\n"))
def test_corners(body: str, backend: Backend, firing: Target, kernel_features: frozenset[str]) -> None:
    """What random scripts seldom hit; one body for each, before it whatever it declares."""
    head, _, code = body.rpartition("====\n")
    user = run_user(f"{head} probe begin {{\n{code}\n}}")
    text = f"{head} probe {POINT} {{\n{code}\n}}"
    hit = run_kernel(text, firing, kernel_features) if backend == "kernel" else run_traced(text, firing)
    assert (hit.data, hit.errors) == (user.data, user.errors)
