"""Probe points: braces in order, suffixes, conditions, names glued of words and stars."""

from __future__ import annotations

from probelang.options import Options
from probelang.parse import parse_probe_point
from probelang.syntax import Alias, Component
from tests.parse.shapes import parse_text, points, written_point


def test_braces_multiply_out_in_order() -> None:
    assert points("probe {a, b}.{c, d} { }") == ["a.c", "a.d", "b.c", "b.d"]
    assert points("probe x.{a, b.{c, d}}.y(1) { }") == ["x.a.y(1)", "x.b.c.y(1)", "x.b.d.y(1)"]
    assert points('probe process("P").{function("f"), mark("m")}.return { }') == [
        'process("P").function("f").return',
        'process("P").mark("m").return',
    ]


def test_suffixes_of_braces_hold_for_all() -> None:
    assert points("probe {a, b}? { }") == ["a ?", "b ?"]
    assert points("probe x.{a!, b} { }") == ["x.a !", "x.b"]
    assert points("probe {a!, b}? { }") == ["a ?", "b ?"]


def test_conditions_are_joined() -> None:
    assert points("probe {a if (x), b when (y)} if (z) when (w) { }") == [
        "a if (x && z) when w",
        "b if z when (y && w)",
    ]


def test_adjacent_words_and_stars_are_one_component() -> None:
    assert points("probe sys*call.*foo**2x.if*.when, a.return { }") == [
        "sys*call.*foo**2x.if*.when",
        "a.return",
    ]


def test_arguments() -> None:
    assert points('probe a("x" "y"), b(-0x10), c() { }') == ['a("xy")', "b(-16)", "c"]


def test_when_is_an_ordinary_word_elsewhere() -> None:
    assert points("probe when when (when > 1) { }") == ["when when (when > 1)"]


def test_points_alone() -> None:
    found = parse_probe_point('process("P").{function("*"), plt}', Options())
    assert [written_point(point) for point in found] == ['process("P").function("*")', 'process("P").plt']


def test_alias() -> None:
    (alias,) = parse_text("probe a.b = c = d, e ? { x = 1 }, { y = 2 }").program.declarations
    assert isinstance(alias, Alias)
    assert [tuple(part.name for part in name) for name in alias.names] == [("a", "b"), ("c",)]
    assert [written_point(point) for point in alias.points] == ["d", "e ?"]
    assert alias.op == "="
    assert alias.epilogue is not None
    assert isinstance(alias.names[0][0], Component)
