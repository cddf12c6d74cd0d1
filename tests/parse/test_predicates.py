"""`caller is X`, `caller in X`, `within X`: what they are, and that their words stay ordinary names everywhere else."""

from __future__ import annotations

import pytest

from probelang.diag import CompileError, Diagnostic
from tests.parse.shapes import expression, mistakes, parse_text, points, shape, shapes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('caller is function("f*")', r'<caller function("f*")>'),
        ('caller in process("P")', r'<caller process("P")>'),
        ('caller is process("P").function("f@x.c")', r'<caller process("P").function("f@x.c")>'),
        ('caller in library("L")', r'<caller library("L")>'),
        ('caller is process("P").library("L").function("f")', r'<caller process("P").library("L").function("f")>'),
        ('caller is statement("f@x.c:12-40")', r'<caller statement("f@x.c:12-40")>'),
        ('caller is library("L").statement("*@x.c:3")', r'<caller library("L").statement("*@x.c:3")>'),
        ("caller is process(12).function(4096)", "<caller process(12).function(4096)>"),
        ('within function("f")', r'<within function("f")>'),
        ('within process.function("f")', r'<within function("f")>'),
        ('within process("P")', r'<within process("P")>'),
        ('! caller is function("f")', r'(! <caller function("f")>)'),
        (
            'caller is function("f") && !within function("g") || x',
            r'((<caller function("f")> && (! <within function("g")>)) || x)',
        ),
        ('caller is function("f") == 1', r'(<caller function("f")> == 1)'),
        ('x ? caller in library("L") : within function("g")', r'(x ? <caller library("L")> : <within function("g")>)'),
        ('f(caller is function("f"), 2)', r'f(<caller function("f")>, 2)'),
        ('x = caller is function("f")', r'(x = <caller function("f")>)'),
    ],
)  # fmt: skip
def test_predicates_are_operands(text: str, expected: str) -> None:
    assert shape(text) == expected


def test_a_predicate_ends_where_its_code_ends() -> None:
    assert shapes('x = caller is function("f") y = 3') == [r'(x = <caller function("f")>)', "(y = 3)"]
    assert shapes('within function("f") (3)') == [r'<within function("f")>', "3"]


def test_conditions_of_probe_points_may_be_predicates() -> None:
    assert points('probe process("P").function("f") when (caller is function("g")) {}') == [
        r'process("P").function("f") when <caller function("g")>'
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("caller = 3", "(caller = 3)"),
        ("caller in a", "([caller] in a)"),
        ("[caller, 1] in a", "([caller, 1] in a)"),
        ("caller in process", "([caller] in process)"),
        ("caller in within", "([caller] in within)"),
        ("caller()", "caller()"),
        ("caller(is)", "caller(is)"),
        ("within(x)", "within(x)"),
        ("within[x]", "within[x]"),
        ("within + is", "(within + is)"),
        ("is = within ? caller : is", "(is = (within ? caller : is))"),
        ("caller . is", "(caller . is)"),
        ('caller == "f"', r'(caller == "f")'),
        ("$caller->is", "$caller->is"),
    ],
)
def test_elsewhere_the_words_are_names(text: str, expected: str) -> None:
    assert shape(text) == expected


def test_variables_of_these_names_may_stand_in_front_of_a_statement() -> None:
    assert shapes("x = caller is = 3") == ["(x = caller)", "(is = 3)"]
    assert shapes("x = caller is++") == ["(x = caller)", "(is++)"]
    assert shapes('x = within y("a")') == ["(x = within)", r'y("a")']


def test_functions_and_globals_may_have_these_names() -> None:
    text = "global caller, within, is; function is(caller, within) { return caller + within } probe within.is { caller++ }"
    assert len(parse_text(text).program.declarations) == 5


def test_a_predicate_knows_where_its_code_stands() -> None:
    from probelang.syntax import CodeTest

    node = expression('caller is process("P").function("f")')
    assert isinstance(node, CodeTest)
    assert node.code_span.text == 'process("P").function("f")'


def problem(text: str) -> Diagnostic:
    with pytest.raises(CompileError) as caught:
        parse_text(f"probe begin {{ if ({text}) x = 1 }}")
    (only,) = caught.value.diagnostics
    return only


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ('caller is "f"', 'write `caller is function("f")`'),
        ("caller is f", 'write `caller is function("f")`'),
        ('caller in "f"', 'write `caller is function("f")`'),
        ("caller is not f", 'write `!(caller is function("NAME"))`'),
        ('caller is not function("f")', 'write `!(caller is function("NAME"))`'),
        ('caller == function("f")', 'write `caller is function("NAME")`'),
        ('caller != function("f")', 'write `!(caller is function("NAME"))`'),
        ('within "f"', 'write `within function("f")`'),
        ("within f", 'write `within function("f")`'),
        ('caller is functoin("f")', "did you mean `function`?"),
        ('caller is function("f").process("P")', 'known here: `statement("...")`'),
        ('caller is statement("f").function("P")', "nothing can follow `statement`"),
    ],
)
def test_what_is_nearly_right_is_put_right(text: str, help_: str) -> None:
    assert problem(text).help() == help_


def test_mistakes_have_their_places() -> None:
    assert mistakes("probe begin { x = caller is f }") == ["E0135 1:19"]
    assert mistakes('probe begin { x = caller is mark("f") }') == ["E0136 1:29"]
    assert mistakes("probe begin { x = caller in library(3) }") == ["E0137 1:29"]
    assert mistakes('probe begin { x = within process("P").function() }') == ["E0137 1:39"]
