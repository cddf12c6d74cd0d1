r"""Text with unprintable bytes made visible.

b'a"\n\x01'  ->  b'a\\"\\n\\001'
"""

from __future__ import annotations

_NAMED = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


def _escape_byte(byte: int) -> bytes:
    if byte in _NAMED:
        return f"\\{_NAMED[byte]}".encode()
    return bytes([byte]) if 32 <= byte < 127 else b"\\%03o" % byte


_ESCAPES = tuple(_escape_byte(byte) for byte in range(256))


def escape_text(text: bytes) -> bytes:
    return b"".join([_ESCAPES[byte] for byte in text])


def escape_limited(text: bytes, limit: int, quoted: bool) -> bytes:
    """At most `limit` bytes, an escape never torn. Quoted: with quotes inside the limit (at least 5), and `...` in place of
    the last three bytes when not all of it fits."""
    room = max(limit, 5) - 2 if quoted else limit
    parts: list[bytes] = []
    used = 0
    complete = True
    for byte in text:
        escape = _ESCAPES[byte]
        if used + len(escape) > room:
            complete = False
            break
        parts.append(escape)
        used += len(escape)
    result = b"".join(parts)
    if not quoted:
        return result
    return b'"' + (result if complete else result[: room - 3] + b"...") + b'"'
