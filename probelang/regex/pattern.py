"""POSIX extended regular expressions, parsed.

    parse_pattern(b"a|[0-9]{2}")  ->  Alternatives((Bytes({a}), Repeat(Bytes({0..9}), 2, 2)))

Source: IEEE Std 1003.1-2017, chapter 9.4 and 9.3.5 (bracket expressions). What the standard leaves undefined: an
empty alternative matches the empty string, `{` that starts no bound is itself, `{,n}` starts at 0, an escaped letter
or digit is refused (back references and the extensions of other libraries mean something else there).
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Literal, TypeAlias

REPEAT_LIMIT = 255
NESTING_LIMIT = 100


def _ascii(characters: str) -> frozenset[int]:
    return frozenset(characters.encode())


_UPPER, _LOWER, _DIGIT = string.ascii_uppercase, string.ascii_lowercase, string.digits
_CLASSES: dict[bytes, frozenset[int]] = {
    b"alpha": _ascii(_UPPER + _LOWER),
    b"digit": _ascii(_DIGIT),
    b"alnum": _ascii(_UPPER + _LOWER + _DIGIT),
    b"upper": _ascii(_UPPER),
    b"lower": _ascii(_LOWER),
    b"space": _ascii(" \t\n\r\f\v"),
    b"blank": _ascii(" \t"),
    b"punct": _ascii(string.punctuation),
    b"print": frozenset(range(0x20, 0x7F)),
    b"graph": frozenset(range(0x21, 0x7F)),
    b"cntrl": frozenset((*range(0x20), 0x7F)),
    b"xdigit": _ascii(string.hexdigits),
}
_ANY = frozenset(range(256))


class PatternError(Exception):
    """`reason` in the user's words; `offset` is the byte of the pattern where it went wrong."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Bytes:
    """Any one byte of the set."""

    values: frozenset[int]


@dataclass(frozen=True, slots=True)
class Anchor:
    at: Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    choices: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` None: any number."""

    part: Pattern
    least: int
    most: int | None


Pattern: TypeAlias = Bytes | Anchor | Sequence | Alternatives | Repeat


def parse_pattern(text: bytes) -> Pattern:
    """Raises PatternError."""
    reader = _Reader(text)
    pattern = _alternatives(reader, 0)
    if reader.at < len(text):
        raise PatternError("unmatched `)`", reader.at)
    return pattern


@dataclass(slots=True)
class _Reader:
    text: bytes
    at: int = 0

    def peek(self) -> int | None:
        return self.text[self.at] if self.at < len(self.text) else None

    def take(self, expected: bytes) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False


def _alternatives(reader: _Reader, depth: int) -> Pattern:
    if depth > NESTING_LIMIT:
        raise PatternError(f"parentheses nested deeper than {NESTING_LIMIT}", reader.at)
    choices = [_sequence(reader, depth)]
    while reader.take(b"|"):
        choices.append(_sequence(reader, depth))
    return choices[0] if len(choices) == 1 else Alternatives(tuple(choices))


def _sequence(reader: _Reader, depth: int) -> Pattern:
    parts: list[Pattern] = []
    while (byte := reader.peek()) is not None and byte not in (ord("|"), ord(")")):
        parts.append(_repeated(reader, depth))
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))


def _repeated(reader: _Reader, depth: int) -> Pattern:
    part = _atom(reader, depth)
    while True:
        at = reader.at
        if reader.take(b"*"):
            least, most = 0, None
        elif reader.take(b"+"):
            least, most = 1, None
        elif reader.take(b"?"):
            least, most = 0, 1
        elif (bound := _bound(reader)) is not None:
            least, most = bound
        else:
            return part
        if isinstance(part, Anchor):
            raise PatternError("an anchor cannot be repeated", at)
        part = Repeat(part, least, most)


def _bound(reader: _Reader) -> tuple[int, int | None] | None:
    """`{m}`, `{m,}`, `{m,n}` or `{,n}`; anything else after `{` makes it an ordinary character."""
    start = reader.at
    if not reader.take(b"{"):
        return None
    low = _digits(reader)
    comma = reader.take(b",")
    high = _digits(reader) if comma else low
    if not reader.take(b"}") or (low is None and high is None):
        reader.at = start
        return None
    least = low or 0
    if max(least, high or 0) > REPEAT_LIMIT:
        raise PatternError(f"a repetition count above {REPEAT_LIMIT}", start)
    if high is not None and high < least:
        raise PatternError("repetition counts in the wrong order", start)
    return least, high


def _digits(reader: _Reader) -> int | None:
    start = reader.at
    while (byte := reader.peek()) is not None and 0x30 <= byte <= 0x39:
        reader.at += 1
    return int(reader.text[start : reader.at][:9]) if reader.at > start else None


def _atom(reader: _Reader, depth: int) -> Pattern:
    at = reader.at
    byte = reader.text[at]
    reader.at += 1
    match chr(byte):
        case "(":
            inner = _alternatives(reader, depth + 1)
            if not reader.take(b")"):
                raise PatternError("missing `)`", at)
            return inner
        case "[":
            return Bytes(_bracket(reader, at))
        case ".":
            return Bytes(_ANY)
        case "^":
            return Anchor("start")
        case "$":
            return Anchor("end")
        case "*" | "+" | "?" as what:
            raise PatternError(f"nothing before `{what}` to repeat", at)
        case "{" if _bound_at(reader, at):
            raise PatternError("nothing before `{..}` to repeat", at)
        case "\\":
            return Bytes(frozenset((_escaped(reader, at),)))
        case _:
            return Bytes(frozenset((byte,)))


def _bound_at(reader: _Reader, at: int) -> bool:
    return _bound(_Reader(reader.text, at)) is not None


def _escaped(reader: _Reader, at: int) -> int:
    byte = reader.peek()
    if byte is None:
        raise PatternError("`\\` at the end", at)
    if 0x30 <= byte <= 0x39:
        raise PatternError("back references are not supported", at)
    if chr(byte).isascii() and chr(byte).isalpha():
        raise PatternError(f"unknown escape `\\{chr(byte)}`", at)
    reader.at += 1
    return byte


def _bracket(reader: _Reader, at: int) -> frozenset[int]:
    negated = reader.take(b"^")
    values: set[int] = set()
    first = True
    while first or not reader.take(b"]"):
        first = False
        if reader.peek() is None:
            raise PatternError("missing `]`", at)
        if reader.take(b"[:"):
            values |= _class(reader)
            continue
        low = _bracket_byte(reader)
        if (
            reader.text[reader.at : reader.at + 1] == b"-"
            and reader.text[reader.at + 1 : reader.at + 2] != b"]"
        ):
            start = reader.at
            reader.at += 1
            if reader.peek() is None:
                raise PatternError("missing `]`", at)
            high = _bracket_byte(reader)
            if high < low:
                raise PatternError("a range in the wrong order", start)
            values |= set(range(low, high + 1))
        else:
            values.add(low)
    return _ANY - values if negated else frozenset(values)


def _class(reader: _Reader) -> frozenset[int]:
    start = reader.at
    end = reader.text.find(b":]", start)
    name = reader.text[start:end] if end >= 0 else b""
    if name not in _CLASSES:
        raise PatternError(f"unknown character class `[:{name.decode('latin-1')}:]`", start - 2)
    reader.at = end + 2
    return _CLASSES[name]


def _bracket_byte(reader: _Reader) -> int:
    """One byte, also as `[.x.]` or `[=x=]` (this is the POSIX locale: every element is one byte)."""
    for mark in (b".", b"="):
        if reader.take(b"[" + mark):
            end = reader.text.find(mark + b"]", reader.at)
            if end - reader.at != 1:
                raise PatternError("an unknown collating element", reader.at)
            value = reader.text[reader.at]
            reader.at = end + 2
            return value
    value = reader.text[reader.at]
    reader.at += 1
    return value
