"""What the groups of a regular expression matched, for matched(n) and ngroups().

    groups(b"(a+)(b?)", b"xaab")  ->  (b"aab", b"aa", b"b")

Whether there is a match is decided by the automaton, in both halves alike. Only when a script asks for groups is the pattern run
again, by Python's `re`, over the leftmost longest match; between alternatives that match equally much the first one counts.
Source of the syntax: IEEE Std 1003.1-2017, chapter 9.4 (as `probelang.regex.pattern` reads it).
"""

from __future__ import annotations

import re
from functools import lru_cache

_CLASSES = {
    b"alpha": rb"a-zA-Z", b"digit": rb"0-9", b"alnum": rb"a-zA-Z0-9", b"upper": rb"A-Z", b"lower": rb"a-z",
    b"space": rb"\s", b"blank": rb" \t", b"punct": rb"!-/:-@\[-`{-~", b"print": rb" -~", b"graph": rb"!-~",
    b"cntrl": rb"\x00-\x1f\x7f", b"xdigit": rb"0-9a-fA-F",
}  # fmt: skip
_BOUND = re.compile(rb"\{(\d*)(,?)(\d*)\}")
_QUANTIFIERS = b"*+?"


def groups(pattern: bytes, subject: bytes) -> tuple[bytes, ...]:
    """The whole match and each group (empty when it took no part); () without a match."""
    program = _compiled(pattern)
    first = program.search(subject)
    if first is None:
        return ()
    shortest = first.end()
    # where the end is anchored, what `re` found ends there already
    ends = range(len(subject), shortest, -1) if b"$" not in pattern else ()
    longer = (program.fullmatch(subject[:end], first.start()) for end in ends)
    found = next((match for match in longer if match), first)
    return tuple(found.group(n) or b"" for n in range(program.groups + 1))


@lru_cache(maxsize=64)
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    text, _ = _alternatives(pattern, 0)
    return re.compile(text, re.DOTALL)


def _alternatives(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Translates up to the closing parenthesis or the end; and where that is."""
    out = b""
    while at < len(pattern) and pattern[at : at + 1] != b")":
        if pattern[at : at + 1] == b"|":
            out, at = out + b"|", at + 1
            continue
        atom, at = _atom(pattern, at)
        while (quantifier := _quantifier(pattern, at))[1] > at:
            atom, at = b"(?:" + atom + b")" + quantifier[0], quantifier[1]
        out += atom
    return out, at


def _atom(pattern: bytes, at: int) -> tuple[bytes, int]:
    match pattern[at : at + 1]:
        case b"(":
            inner, end = _alternatives(pattern, at + 1)
            return b"(" + inner + b")", end + 1
        case b"[":
            return _bracket(pattern, at)
        case b"^":
            return rb"\A", at + 1
        case b"$":
            return rb"\Z", at + 1
        case b".":
            return b".", at + 1
        case b"\\":
            return re.escape(pattern[at + 1 : at + 2]), at + 2
        case character:
            return re.escape(character), at + 1


def _quantifier(pattern: bytes, at: int) -> tuple[bytes, int]:
    character = pattern[at : at + 1]
    if character and character in _QUANTIFIERS:
        return character, at + 1
    bound = _BOUND.match(pattern, at)
    if bound is None or not (bound[1] or bound[3]):
        return b"", at
    return b"{" + (bound[1] or b"0") + bound[2] + bound[3] + b"}", bound.end()


def _bracket(pattern: bytes, at: int) -> tuple[bytes, int]:
    at += 1
    out = b"["
    if pattern[at : at + 1] == b"^":
        out, at = b"[^", at + 1
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        if pattern[at : at + 2] == b"[:":
            end = pattern.index(b":]", at)
            out, at = out + _CLASSES[pattern[at + 2 : end]], end + 2
        elif pattern[at : at + 2] in (b"[=", b"[."):
            end = pattern.index(pattern[at + 1 : at + 2] + b"]", at + 2)
            out, at = out + re.escape(pattern[at + 2 : end]), end + 2
        else:
            character = pattern[at : at + 1]
            out, at = out + (character if character == b"-" else re.escape(character)), at + 1
    return out + b"]", at + 1
