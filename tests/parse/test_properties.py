"""Whatever the text, the parser answers with a tree or with CompileError; and it keeps the structure of what was meant."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from probelang.diag import CompileError
from tests.parse.shapes import parse_text, shape

_WORDS = (
    *("probe", "global", "private", "function", "if", "else", "for", "foreach", "in", "limit", "return"),
    *("delete", "while", "break", "continue", "next", "string", "long", "try", "catch", "when", "begin"),
    *("a", "b", "f", "print", "printf", "sprintd", "$x", "$$vars", "$x$", "$", "$$", "@count", "@hist_log"),
    *("@cast", "@defined", "@define", "@m", "@a", "$1", "@1", "$2", "$#", "@#", "$9", '"s"', '"%d"', "1"),
    *("0x10", "09", "process", "kernel_v", "arch", "CONFIG_X", "%{ c %}", '"open', "/*", "//x\n", "\n", "'"),
    *("<<<", ">>>", "<<=", ">>=", "==", "!=", "<=", ">=", "=~", "!~", "+=", "-=", ".=", "&&", "||", "++"),
    *("--", "->", "<<", ">>", "%(", "%?", "%:", "%)", "-", "+", "*", "/", "%", "&", "|", "^", "~", "!"),
    *("<", ">", "=", ".", ",", ";", ":", "?", "(", ")", "{", "}", "[", "]"),
)
_soup = st.lists(st.sampled_from(_WORDS), max_size=60).flatmap(
    lambda words: st.sampled_from(("", " ")).map(lambda space: space.join(words))
)


def _parse_or_refuse(text: str) -> None:
    try:
        parse_text(text, "begin { }", "a $1")
    except CompileError as error:
        assert error.diagnostics
        for diagnostic in error.diagnostics:
            assert diagnostic.title()
            assert isinstance(diagnostic.label() + diagnostic.help(), str)
            assert diagnostic.span is not None
            diagnostic.span.line_column  # noqa: B018 - must not raise
            diagnostic.related()


@settings(max_examples=400, deadline=None)
@given(_soup)
def test_token_soup_never_crashes(text: str) -> None:
    _parse_or_refuse(text)


@settings(max_examples=300, deadline=None)
@given(_soup)
def test_soup_in_a_probe_never_crashes(text: str) -> None:
    _parse_or_refuse("probe begin { " + text + " }")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_never_crashes(text: str) -> None:
    _parse_or_refuse(text)


# --------------------------------------------------------------------------- against a second opinion

_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("<", ">", "<=", ">=", "==", "!="),
    ("<<", ">>", ">>>"),
    (".",),
    ("+", "-"),
    ("*", "/", "%"),
)
_LEVEL_OF = {op: level for level, ops in enumerate(_LEVELS) for op in ops}


@dataclass
class _Climber:
    """Precedence climbing over operands and operators: all levels associate to the left."""

    operands: list[str]
    operators: list[str]
    position: int = 0

    def climb(self, least: int) -> str:
        left = self.operands[self.position]
        while self.position < len(self.operators) and _LEVEL_OF[self.operators[self.position]] >= least:
            op = self.operators[self.position]
            self.position += 1
            left = f"({left} {op} {self.climb(_LEVEL_OF[op] + 1)})"
        return left


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(sorted(_LEVEL_OF)), min_size=1, max_size=12))
def test_operators_bind_as_the_table_says(operators: list[str]) -> None:
    operands = [f"v{number}" for number in range(len(operators) + 1)]
    text = operands[0] + "".join(f" {op} {v}" for op, v in zip(operators, operands[1:], strict=True))
    assert shape(text) == _Climber(operands, operators).climb(0)


# ------------------------------------------------------------------------- what is written is read back

_leaf = st.one_of(
    st.integers(0, 2**63 - 1).map(str),
    st.sampled_from(("a", "b", "when", "$x", "$$vars", '"s"', "@count(s)", '@cast(a, "t")->m', "$p->q[1]")),
)


def _nodes(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.sampled_from(("a", "b"))
    return st.one_of(
        st.tuples(inner, st.sampled_from(sorted(_LEVEL_OF)), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from("+-!~"), inner).map(lambda p: f"({p[0]} {p[1]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})"),
        st.tuples(names, st.sampled_from(("=", "<<<", ".=", ">>=")), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        st.tuples(names, st.lists(inner, min_size=1, max_size=3)).map(lambda p: f"{p[0]}[{', '.join(p[1])}]"),
        st.tuples(names, st.lists(inner, max_size=3)).map(lambda p: f"{p[0]}({', '.join(p[1])})"),
        st.tuples(st.lists(st.one_of(inner, st.just("*")), min_size=1, max_size=3), names).map(
            lambda p: f"([{', '.join(p[0])}] in {p[1]})"
        ),
        st.tuples(inner, st.sampled_from(("=~", "!~"))).map(lambda p: f'({p[0]} {p[1]} "r")'),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(_leaf, _nodes, max_leaves=25))
def test_written_and_read_back(text: str) -> None:
    once = shape(text)
    assert once == text
    assert shape(once) == once
