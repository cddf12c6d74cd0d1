"""Builtins on strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.arithmetic import wrap
from probelang.runtime.evaluate.context import Fault
from probelang.runtime.evaluate.frame import Run
from probelang.runtime.output.escape import escape_limited, escape_text
from probelang.runtime.store import Value

_DIGITS = {
    byte: number
    for digits in (b"0123456789abcdefghijklmnopqrstuvwxyz", b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for number, byte in enumerate(digits)
}


def substr(run: Run, text: bytes, start: int, length: int) -> bytes:
    if start < 0 or length <= 0:
        return b""
    return text[start : start + length]


def stringat(run: Run, text: bytes, position: int) -> int:
    return text[position] if 0 <= position < len(text) else 0


def isinstr(run: Run, text: bytes, part: bytes) -> int:
    return int(part in text)


def strtol(run: Run, text: bytes, base: int) -> int:
    digits = text[1:] if text.startswith(b"-") else text
    prefixed = digits[:2] in (b"0x", b"0X") and _DIGITS.get(digits[2] if len(digits) > 2 else 0, 99) < 16
    if base == 0:
        base = 16 if prefixed else 8 if digits.startswith(b"0") else 10
    if base == 16 and prefixed:
        digits = digits[2:]
    if not 2 <= base <= 36:
        return 0
    value = 0
    for byte in digits:
        digit = _DIGITS.get(byte, 99)
        if digit >= base:
            break
        value = value * base + digit
    return wrap(-value if text.startswith(b"-") else value)


def _groups(run: Run) -> tuple[bytes, ...]:
    if run.matched is None:
        return ()
    from probelang.runtime.evaluate.groups import groups

    return groups(*run.matched)


def matched(run: Run, number: int) -> bytes:
    found = _groups(run)
    if not 0 <= number < len(found):
        raise Fault(b"no group %d in the last match" % number if found else b"there was no match")
    return found[number]


def ngroups(run: Run) -> int:
    return len(_groups(run))


def tokenize(run: Run, text: bytes, delimiters: bytes) -> bytes:
    run.tokens = text
    return next_token(run, delimiters)


def next_token(run: Run, delimiters: bytes) -> bytes:
    rest = run.tokens.lstrip(delimiters) if delimiters else run.tokens
    end = next((place for place, byte in enumerate(rest) if byte in delimiters), len(rest))
    run.tokens = rest[end + 1 :]
    return rest[:end]


def text_strn(run: Run, text: bytes, limit: int, quoted: int) -> bytes:
    largest = run.environment.limits.string_size - 1
    return escape_limited(text, limit if 0 < limit <= largest else largest, bool(quoted))


def str_replace(run: Run, text: bytes, old: bytes, new: bytes) -> bytes:
    return text.replace(old, new) if old else text


_OF_TEXT: Mapping[str, Callable[[Run, bytes], Value | None]] = {
    "strlen": lambda run, text: len(text),
    "text_str": lambda run, text: escape_text(text),
}
BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    **{(name, 1): function for name, function in _OF_TEXT.items()},
    ("substr", 3): substr,
    ("stringat", 2): stringat,
    ("isinstr", 2): isinstr,
    ("strtol", 2): strtol,
    ("matched", 1): matched,
    ("ngroups", 0): ngroups,
    ("tokenize", 2): tokenize,
    ("tokenize", 1): next_token,
    ("text_strn", 3): text_strn,
    ("str_replace", 3): str_replace,
}
