"""Numbers and strings: from the characters of a literal to its value.

    0x1F -> 31      18446744073709551615 -> -1      "a\\tb\\"\\101" -> b'a\\tb"A'

Numbers are decoded as C's strtoull with base 0, strings have the escapes of C; any other escaped character stands
for itself.
"""

from __future__ import annotations

import re

from probelang.source import encode_text

_NUMBER = re.compile(r"0[xX](?P<hex>[0-9a-fA-F]+)|0(?P<octal>[0-7]*)|(?P<decimal>[1-9][0-9]*)")
_ESCAPE = re.compile(r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{0,2})|(?P<other>.))", re.DOTALL)
_NAMED = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "\\": 92}


def decode_number(text: str) -> int | None:
    """The value, wrapped to a signed 64-bit integer; None when `text` is no number or does not fit in 64 bits."""
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > 30:
        return None
    if match["hex"]:
        value = int(match["hex"], 16)
    elif match["decimal"]:
        value = int(match["decimal"])
    else:
        value = int(match["octal"] or "0", 8)
    return wrap(value) if value < 1 << 64 else None


def wrap(value: int) -> int:
    """`value` modulo 2**64, as a signed number."""
    return ((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def decode_string(body: str) -> tuple[bytes, int | None]:
    """The bytes of a literal's characters between its quotes, and the offset of the first bad escape, if any."""
    if "\\" not in body:
        return encode_text(body), None
    bad: int | None = None
    parts: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(body):
        parts.append(encode_text(body[end : match.start()]))
        end = match.end()
        if match["octal"] is not None:
            parts.append(bytes((int(match["octal"], 8) & 0xFF,)))
        elif match["hex"] is not None:
            if not match["hex"]:
                bad = match.start() if bad is None else bad
                continue
            parts.append(bytes((int(match["hex"], 16),)))
        else:
            other = match["other"]
            parts.append(bytes((_NAMED[other],)) if other in _NAMED else encode_text(other))
    parts.append(encode_text(body[end:]))
    return b"".join(parts), bad
