"""-G: numbers as in a script, and what cannot be set."""

from __future__ import annotations

import pytest

from probelang.check.overrides import parse_number
from probelang.diag import CompileError
from tests.check.scripts import check_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("12", 12), ("-12", -12), ("0x1F", 31), ("-0x10", -16), ("010", 8), ("18446744073709551615", -1),
        ("", None), ("x", None), ("1x", None), ("08", None), ("1_0", None), ("18446744073709551616", None), ("+1", None),
        ("--1", None), (" 1", None),
    ],
)  # fmt: skip
def test_numbers(text: str, value: int | None) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    ("text", "override", "title"),
    [
        ("global most probe begin { println(most + 1) }", ("mots", "1"), "no global variable `mots`"),
        ("global n = 1 probe begin { println(n) }", ("n", "x"), "`n` is a number"),
        ("global a probe begin { a[1] = 1 }", ("a", "1"), "only plain variables"),
        ("global s probe begin { s <<< 1 }", ("s", "1"), "only plain variables"),
    ],
)
def test_refused(text: str, override: tuple[str, str], title: str) -> None:
    with pytest.raises(CompileError) as raised:
        check_text(text, overrides=(override,))
    (mistake,) = raised.value.diagnostics
    assert title in mistake.title()
