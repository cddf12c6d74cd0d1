"""How diagnostics look: excerpt, caret, related places, colours, JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, Diagnostic
from probelang.diag.render import COLOURS, render_json, render_text, shown_width
from probelang.source import SourceFile, Span, decode_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake(Diagnostic):
    code: ClassVar[str] = "E0999"
    what: str = "something is wrong with `x`"
    here: str = "this"
    advice: str = ""
    others: tuple[tuple[Span, str], ...] = ()

    def title(self) -> str:
        return self.what

    def label(self) -> str:
        return self.here

    def help(self) -> str:
        return self.advice

    def related(self) -> tuple[tuple[Span, str], ...]:
        return self.others


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint(CompileWarning):
    code: ClassVar[str] = "W0999"

    def title(self) -> str:
        return "careful"


def span(text: str, part: str, name: str = "a.probe") -> Span:
    start = text.index(part)
    return Span(SourceFile(name, text), start, start + len(part))


def test_the_place_is_underlined_and_labelled() -> None:
    text = "global n\nprobe end { println(coutn) }\n"
    shown = render_text([Mistake(span=span(text, "coutn"), advice="did you mean `count`?")])
    assert shown == (
        "error[E0999]: something is wrong with `x`\n"
        "  --> a.probe:2:21\n"
        "   |\n"
        " 2 | probe end { println(coutn) }\n"
        "   |                     ^^^^^ this\n"
        "   = help: did you mean `count`?\n\n"
    )


def test_without_a_place_only_the_message_and_help_are_shown() -> None:
    assert render_text([Mistake(advice="one\ntwo")]) == (
        "error[E0999]: something is wrong with `x`\n  = help: one\n    two\n\n"
    )


def test_related_places_of_the_same_file_share_the_excerpt() -> None:
    source = SourceFile("a.probe", 's = "a"\nt = 1\nu = 2\ns++\n')
    first, second = Span(source, 0, 1), Span(source, 20, 21)
    shown = render_text([Mistake(span=second, others=((first, "a string here"),))])
    lines = shown.splitlines()
    assert lines[1].strip() == "--> a.probe:4:1"
    assert [line.strip() for line in lines[3:8]] == [
        '1 | s = "a"',
        "| - a string here",
        "...",
        "4 | s++",
        "| ^ this",
    ]


def test_related_places_of_another_file_follow_it() -> None:
    shown = render_text(
        [Mistake(span=span("x", "x"), others=((span("ab y", "y", "lib.stp"), "declared here"),))]
    )
    assert "--> a.probe:1:1" in shown
    assert "::: lib.stp:1:4" in shown
    assert "  - declared here" in shown or "- declared here" in shown


def test_two_places_of_one_line_are_both_marked() -> None:
    source = SourceFile("a.probe", "x = 1 . y")
    shown = render_text([Mistake(span=Span(source, 4, 5), others=((Span(source, 8, 9), "a string"),))])
    assert "   |     ^ this" in shown
    assert "   |         - a string" in shown


def test_an_empty_span_at_the_end_of_the_file_gets_a_caret() -> None:
    source = SourceFile("a.probe", "probe begin {")
    assert "   |              ^ this" in render_text([Mistake(span=Span(source, 13, 13))])


def test_a_span_over_lines_is_marked_on_its_first() -> None:
    source = SourceFile("a.probe", "f(1,\n2)")
    assert "   | ^^^^ this\n" in render_text([Mistake(span=Span(source, 0, 7))])


def test_carets_stand_right_after_tabs_and_wide_characters() -> None:
    tabbed = render_text([Mistake(span=span("\tx\ty", "y"))])
    assert " 1 |     x   y\n" in tabbed
    assert "   |         ^ this\n" in tabbed
    wide = render_text([Mistake(span=span('"日本" z', "z"))])
    assert "   |        ^ this\n" in wide
    assert shown_width("日本") == 4


def test_bytes_that_are_no_text_are_replaced() -> None:
    text = decode_text(b'"\xff\x1b[31m" z')
    shown = render_text([Mistake(span=span(text, "z"))])
    assert "\x1b" not in shown
    shown.encode("utf-8")
    json.loads(render_json([Mistake(span=span(text, "z"), what=text)]))


def test_a_long_line_is_shown_around_the_caret() -> None:
    text = "x = 1; " * 500 + "zork"
    shown = render_text([Mistake(span=span(text, "zork"))])
    assert max(len(line) for line in shown.splitlines()) < 220
    code, caret = shown.splitlines()[3:5]
    assert code.index("zork") == caret.index("^^^^")


def test_colours_only_on_request() -> None:
    plain, coloured = render_text([Mistake(), Hint()]), render_text([Mistake(), Hint()], COLOURS)
    assert "\x1b" not in plain
    assert "\x1b[1;31merror" in coloured and "\x1b[1;33mwarning" in coloured


def test_json_has_one_object_a_line() -> None:
    text = "global n\nprobe end { println(coutn) }\n"
    first, second = render_json([Mistake(span=span(text, "coutn")), Hint()]).splitlines()
    assert json.loads(first) == {
        "type": "diagnostic",
        "severity": "error",
        "code": "E0999",
        "message": "something is wrong with `x`",
        "label": "this",
        "help": "",
        "span": {"file": "a.probe", "line": 2, "column": 21, "end_line": 2, "end_column": 26},
        "related": [],
    }
    assert json.loads(second)["span"] is None
