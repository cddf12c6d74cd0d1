"""The generator keeps its promises: what it writes is legal in both halves."""

from __future__ import annotations

from hypothesis import given, settings

from tests.check.scripts import check_text
from tests.strategies.programs import Script, expressions, random_expressions, random_script, scripts

PROCESS = 'process("P").function("f")'


@settings(max_examples=100, deadline=None)
@given(scripts())
def test_scripts_are_legal_in_both_halves(script: Script) -> None:
    check_text(script.text("begin"))
    check_text(script.text(PROCESS))


@settings(max_examples=50, deadline=None)
@given(scripts(user_half=True))
def test_user_half_scripts_are_legal(script: Script) -> None:
    check_text(script.text("begin"))


@settings(max_examples=100, deadline=None)
@given(expressions())
def test_expressions_are_legal_in_both_halves(script: Script) -> None:
    check_text(script.text("begin"))
    check_text(script.text(PROCESS))


def test_a_seed_decides_a_script() -> None:
    assert random_script(7) == random_script(7) != random_script(8)
    for seed in range(100):
        check_text(random_script(seed).text(PROCESS))
        check_text(random_script(seed, user_half=True).text())
        check_text(random_expressions(seed, count=3).text(PROCESS))
