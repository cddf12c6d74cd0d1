"""matched(n) and ngroups(): what the groups of a regular expression matched."""

from __future__ import annotations

import pytest

from probelang.runtime.evaluate.groups import groups
from tests.evaluate.scripts import run_script


@pytest.mark.parametrize(
    ("pattern", "subject", "found"),
    [
        (b"(a+)(b?)", b"xaab", (b"aab", b"aa", b"b")),
        (b"a|ab", b"xaby", (b"ab",)),  # leftmost, then longest
        (b"([[:alpha:]]+)=([0-9]+)$", b"x size=42", (b"size=42", b"size", b"42")),
        (b"^(.)(\\.)?", b"..", (b"..", b".", b".")),
        (b"(x)?y", b"y", (b"y", b"")),
        (b"[]a-]+", b"z-]a", (b"-]a",)),
        (b"[^]]+", b"]ab]", (b"ab",)),
        (b"a{2,3}", b"aaaa", (b"aaa",)),
        (b"(ab){,2}c", b"ababc", (b"ababc", b"ab")),
        (b"a*?", b"aa", (b"aa",)),  # no lazy repetition in POSIX: (a*)?
        (b"a{b", b"xa{b", (b"a{b",)),
        (b"a$|ab", b"ab", (b"ab",)),
        (b"b", b"a", ()),
    ],
)
def test_groups_of_the_leftmost_longest_match(
    pattern: bytes, subject: bytes, found: tuple[bytes, ...]
) -> None:
    assert groups(pattern, subject) == found


def test_a_script_reads_the_groups_of_its_last_match() -> None:
    script = """probe begin {
        if ("GET /index.html HTTP/1.1" =~ "^([A-Z]+) ([^ ]+)") println(ngroups(), matched(0), "|", matched(1), "|", matched(2))
        try { println(matched(3)) } catch (m) { println(m) }
        if ("x" !~ "y") println(ngroups())
        try { println(matched(0)) } catch (m) { println(m) }
    }"""
    assert run_script(script).text == (
        "3GET /index.html|GET|/index.html\nno group 3 in the last match\n0\nthere was no match\n"
    )
