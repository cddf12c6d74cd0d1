"""The public face of the front end: results, warnings, tokens, dumps, macro libraries, several mistakes at once."""

from __future__ import annotations

import pytest

from probelang.diag import CompileError
from probelang.options import Options
from probelang.parse import dump, format_tokens, parse, tokenize
from probelang.source import SourceFile
from probelang.syntax import Foreach, Function, GlobalVariable, Name, String
from tests.parse.shapes import body, mistakes, parse_text, written


def test_arguments_that_are_asked_for() -> None:
    result = parse_text("probe begin { println($1, @3, $#) }", "1", "two", "three")
    assert result.used_arguments == {1, 3}
    assert [warning.title() for warning in result.warnings] == ["script argument `$2` (`two`) is not used"]


def test_macro_libraries() -> None:
    library = parse_text("@define twice(e) %( (@e) * 2 %)\n@define one %( 1 %)", name="a.stpm").macros
    assert [(macro.name, macro.parameters) for macro in library] == [("twice", ("e",)), ("one", ())]
    source = SourceFile("x.probe", "global g probe begin { g = @twice(@one) }")
    program = parse(source, Options(), library).program
    assert "Binary op='*'" in dump(program)


def test_a_script_may_redefine_a_library_macro() -> None:
    library = parse_text("@define one %( 1 %)", name="a.stpm").macros
    source = SourceFile("x.probe", "@define one %( 2 %) global g = @one")
    (variable,) = parse(source, Options(), library).program.declarations
    assert isinstance(variable, GlobalVariable)
    assert variable.initial is not None
    assert written(variable.initial) == "2"


def test_tokens_are_preprocessed() -> None:
    source = SourceFile("x.probe", '@define m %( 1 %)\nprobe $1 { %( 1 == 1 %? @m %: ( %) "a" "b" }')
    assert format_tokens(tokenize(source, Options(arguments=("begin",)))) == (
        '2:1 probe\n2:7 IDENT begin\n2:10 {\n1:14 NUMBER 1\n2:36 TEXT "a"\n2:44 }\n'
    )


def test_tokens_that_are_none() -> None:
    with pytest.raises(CompileError):
        tokenize(SourceFile("x.probe", "probe ' { }"), Options())


def test_dump_shows_places() -> None:
    text = dump(parse_text("global a = 1\nprobe begin { a++ }").program)
    assert text == (
        "1:8 GlobalVariable name='a'\n"
        "  initial: 1:12 Number value=1\n"
        "2:1 Probe\n"
        "  points: 2:7 ProbePoint\n"
        "    components: 2:7 Component name='begin'\n"
        "  body: 2:13 Block\n"
        "    statements: 2:15 ExpressionStatement\n"
        "      value: 2:15 Increment op='++'\n"
        "        target: 2:15 Name name='a'\n"
    )


def test_a_mistake_in_each_declaration_is_reported() -> None:
    text = "probe begin { x = }\nprobe end { y = 0b1; z = 'c' }\nfunction f( { }\nglobal ok\nprobe a.function(1 2) { }"
    assert mistakes(text) == ["E0101 1:19", "E0105 2:17", "E0102 2:26", "E0101 3:13", "E0101 5:20"]


def test_mistakes_are_limited() -> None:
    assert len(mistakes("probe begin { x = }\n" * 100)) == 20


def test_a_mistake_in_a_macro_names_the_call() -> None:
    with pytest.raises(CompileError) as caught:
        parse_text("@define bad %( x = ) %)\nprobe begin { @bad }")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.span.line_column == (1, 20)
    assert [span.line_column for span, _ in diagnostic.related()] == [(2, 15)]


def test_the_end_names_what_is_open() -> None:
    with pytest.raises(CompileError) as caught:
        parse_text("probe begin {\n  if (x) {\n }\n")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.title() == "unexpected end of file"
    assert diagnostic.help() == "the `{` of line 1, column 13 is not closed"


def test_foreach_keeps_its_parts() -> None:
    (loop,) = body("foreach (v = [a, b-] in t[1, *] limit 3) { }")
    assert isinstance(loop, Foreach)
    assert [key.name for key in loop.keys] == ["a", "b"]
    assert (loop.key_sorts, loop.sort, loop.sort_op, loop.value_sort) == (("", "-"), "", "", "")
    assert isinstance(loop.target, Name)
    assert loop.slice is not None
    assert [part and written(part) for part in loop.slice] == ["1", None]
    (loop,) = body("foreach (k in t @sum+) { }")
    assert isinstance(loop, Foreach)
    assert (loop.sort, loop.sort_op) == ("+", "sum")


def test_functions_keep_their_parts() -> None:
    (function,) = parse_text("private function f:string(a:long, b) : 3 { return }").program.declarations
    assert isinstance(function, Function)
    assert (function.private, function.result, function.priority) == (True, "string", 3)
    assert [(p.name, p.type) for p in function.parameters] == [("a", "long"), ("b", None)]


def test_bytes_survive() -> None:
    source = SourceFile("x.probe", b'global s = "\xff\xc3\xa9"'.decode("utf-8", "surrogateescape"))
    (variable,) = parse(source, Options()).program.declarations
    assert isinstance(variable, GlobalVariable)
    assert isinstance(variable.initial, String)
    assert variable.initial.value == b"\xff\xc3\xa9"


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "+".join(["a"] * 3000),
        "x = " + "-(" * 5000 + "1" + ")" * 5000,
        "{" * 5000 + "}" * 5000,
        "x = $a" + "->b" * 5000,
        "x = " + "a[" * 5000 + "1" + "]" * 5000,
        "x = " + "a ? 1 : " * 3000 + "1",
        "if (x) " * 3000 + "x = 1",
    ],
)
def test_deep_nesting_is_a_mistake(text: str) -> None:
    assert [found.split()[0] for found in mistakes(f"probe begin {{ {text} }}")] == ["E0120"]


def test_parentheses_are_no_nesting() -> None:
    assert mistakes("probe begin { x = " + "(" * 5000 + "1" + ")" * 5000 + " }") == []


def test_macros_that_explode() -> None:
    lines = [f"@define m{n} %( @m{n - 1} @m{n - 1} %)" for n in range(1, 40)]
    text = "@define m0 %( ; %)\n" + "\n".join(lines) + "\nprobe begin { @m39 }"
    assert mistakes(text)[0].split()[0] == "E0133"


def test_braces_that_explode() -> None:
    assert mistakes("probe " + ".".join(["{a, b}"] * 40) + " { }") == ["E0126 1:7"]
