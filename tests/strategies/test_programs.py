"""The generator keeps its promises: what it writes is legal in both halves."""

from __future__ import annotations

from hypothesis import given, settings

from tests.check.scripts import check_text
from tests.strategies.programs import Script, expressions, scripts

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
