"""The two halves are one language: a script prints the same, fails the same and leaves the same in its globals whether
the evaluator runs it or the kernel. And whatever the checker lets through the verifier lets through.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.agreement.halves import POINT, Target, run_kernel, run_user
from tests.strategies.programs import Script, random_expressions, random_script

EXPRESSIONS = 25  # in one script
SEEDS = st.integers(0, 2**32 - 1)  # a seed decides a script, so there is nothing to shrink
ONCE = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.fixture
def compare(
    firing: Target, kernel_features: frozenset[str], requires: Callable[..., None]
) -> Callable[[Script], None]:
    requires("root", "iterators", "for_each", "ring_buffer")

    def check(script: Script) -> None:
        user = run_user(script.text("begin"))
        kernel = run_kernel(script.text(POINT), firing, kernel_features)
        assert (kernel.data, kernel.errors) == (user.data, user.errors), script.text(POINT)

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


@pytest.mark.kernel
@pytest.mark.parametrize("body", Path(__file__).with_name("corners.txt").read_text().split("\n---\n"))
def test_corners(body: str, firing: Target, kernel_features: frozenset[str]) -> None:
    """What random scripts seldom hit; one body for each, before it whatever it declares."""
    head, _, code = body.rpartition("====\n")
    user = run_user(f"{head} probe begin {{\n{code}\n}}")
    kernel = run_kernel(f"{head} probe {POINT} {{\n{code}\n}}", firing, kernel_features)
    assert (kernel.data, kernel.errors) == (user.data, user.errors)
