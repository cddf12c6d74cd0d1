"""Strings that are known at compile time and too long, as they come out of a buffer.

cut_literal(b"abcdefghij", 8)  ->  b"abcd..."
"""

from __future__ import annotations

ELLIPSIS = b"..."


def cut_literal(text: bytes, string_size: int) -> bytes:
    return text if len(text) < string_size else text[: string_size - 1 - len(ELLIPSIS)] + ELLIPSIS
