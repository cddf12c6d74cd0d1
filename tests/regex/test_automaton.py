"""Patterns against Python's `re`, which agrees with POSIX on whether there is a match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.artifact.code import Automaton
from probelang.regex import PatternError, TooManyStates, compile_pattern


def matches(automaton: Automaton, subject: bytes) -> bool:
    state = 0
    for byte in subject:
        if state in automaton.accepting:
            return True
        state = automaton.table[state * 256 + byte]
    return state in automaton.accepting or state in automaton.accepting_end


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (b"", [b"", b"x"], []),
        (b"abc", [b"abc", b"xxabcxx", b"ababc"], [b"", b"ab", b"abd"]),
        (b"^ab", [b"ab", b"abc"], [b"xab", b""]),
        (b"ab$", [b"ab", b"xab"], [b"abx"]),
        (b"^$", [b""], [b"a"]),
        (b"$^", [b""], [b"a"]),
        (b"a|^b|c$", [b"xa", b"bx", b"xc"], [b"xb", b"cx", b""]),
        (b"(ab)+$", [b"abab", b"xab"], [b"aba", b""]),
        (b"^a{2,3}$", [b"aa", b"aaa"], [b"a", b"aaaa"]),
        (b"^a{2}$", [b"aa"], [b"a", b"aaa"]),
        (b"^a{2,}$", [b"aa", b"aaaaa"], [b"a"]),
        (b"^a{,2}$", [b"", b"aa"], [b"aaa"]),
        (b"^a{0}$", [b""], [b"a"]),
        (b"[]x]", [b"]", b"x"], [b"["]),
        (b"[^]x]", [b"a"], [b"]", b"x"]),
        (b"[a-c-]", [b"-", b"b"], [b"d"]),
        (b"^[[:digit:][:space:]]+$", [b"1 2"], [b"1a"]),
        (b"[[:upper:]]", [b"aB"], [b"ab"]),
        (b"[[.-.]]", [b"-"], [b"a"]),
        (b"[[=a=]]", [b"a"], [b"b"]),
        (b"a.c", [b"abc", b"a\nc", b"a\xffc"], [b"ac"]),
        (b"\\.", [b"."], [b"a"]),
        (b"[\\.]", [b"\\", b"."], [b"a"]),
        (b"a{", [b"a{"], [b"a"]),
        (b"x{a}", [b"x{a}"], [b"xa"]),
        (b"(a|)b", [b"b", b"ab"], [b"a"]),
        (b"()", [b""], []),
        (b"a**", [b""], []),
        (b"(a*)*b", [b"aab", b"b"], [b"a"]),
    ],
)
def test_patterns(pattern: bytes, yes: list[bytes], no: list[bytes]) -> None:
    automaton = compile_pattern(pattern)
    assert [s for s in yes if not matches(automaton, s)] == []
    assert [s for s in no if matches(automaton, s)] == []
    assert len(automaton.table) == automaton.states * 256


@pytest.mark.parametrize(
    ("pattern", "offset"),
    [
        (b"(a", 0),
        (b"a)", 1),
        (b"*a", 0),
        (b"a|*", 2),
        (b"{2}", 0),
        (b"[a", 0),
        (b"[", 0),
        (b"[b-a]", 2),
        (b"[[:nix:]]", 1),
        (b"a{3,2}", 1),
        (b"a{256}", 1),
        (b"(a)\\1", 3),
        (b"\\d", 0),
        (b"a\\", 1),
        (b"^*", 1),
        (b"(" * 200 + b")" * 200, 101),
    ],
)
def test_mistakes(pattern: bytes, offset: int) -> None:
    with pytest.raises(PatternError) as raised:
        compile_pattern(pattern)
    assert raised.value.offset == offset


def test_a_pattern_that_needs_too_many_states_is_refused() -> None:
    with pytest.raises(TooManyStates):
        compile_pattern(b"(a|b)*a(a|b){14}")
    with pytest.raises(TooManyStates):
        compile_pattern(b"((((a{255}){255}){255}){255})")


def atoms() -> st.SearchStrategy[str]:
    return st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", "^", "$"])


def repeated(part: str, suffix: str) -> str:
    return part if part in ("^", "$") else f"({part}){suffix}"


def patterns() -> st.SearchStrategy[str]:
    suffixes = st.sampled_from(["", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}"])
    return st.recursive(
        atoms(),
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
            st.tuples(inner, inner).map(lambda p: f"({p[0]}|{p[1]})"),
            st.tuples(inner, suffixes).map(lambda p: repeated(p[0], p[1])),
        ),
        max_leaves=8,
    )


@given(patterns(), st.lists(st.text("abcx", max_size=6), min_size=1, max_size=8))
def test_agrees_with_python(pattern: str, subjects: list[str]) -> None:
    automaton = compile_pattern(pattern.encode())
    # Python's `$` also matches before a final newline; there is none in these subjects
    reference = re.compile(pattern.encode(), re.DOTALL)
    for subject in subjects:
        assert matches(automaton, subject.encode()) == bool(reference.search(subject.encode())), (
            pattern,
            subject,
        )
