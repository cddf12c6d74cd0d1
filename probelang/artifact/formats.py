"""Format strings of printf, taken apart.

    parse_format(b"%5d|%s")  ->  (Piece("d", width=5), Piece("text", b"|"), Piece("s"))

The syntax is `%[one of 0 + - space #][width|*][.precision|.*][l]conversion`. The parser asks whether a format is one, the
checker what it wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from probelang.artifact.code import Piece

_CONVERSION = re.compile(
    rb"%(?P<flag>[0+\- #]?)(?P<width>\d+|\*)?(?:\.(?P<precision>\d*|\*))?l?(?P<kind>[diuxXocspbmMfFeEgG%])"
)
FLOATS = frozenset("fFeEgG")
"""Conversions of floating point numbers: the argument is a long with the bits of a double."""
# what a format may ask for at most; wider output than a megabyte is a typing mistake
_SIZE_LIMIT = 1 << 20


class BadFormat(Exception):
    """`text`: the conversion that is wrong; `offset`: its place in the format."""

    def __init__(self, text: bytes, offset: int) -> None:
        super().__init__(text.decode("latin-1"))
        self.text = text
        self.offset = offset


def parse_format(text: bytes) -> tuple[Piece, ...]:
    """Raises BadFormat."""
    return merge_text(_pieces(text))


def _pieces(text: bytes) -> Iterator[Piece]:
    at = 0
    while (percent := text.find(b"%", at)) >= 0:
        yield Piece("text", text[at:percent])
        found = _CONVERSION.match(text, percent)
        if found is None:
            raise BadFormat(text[percent : percent + 4], percent)
        yield _piece(found, percent)
        at = found.end()
    yield Piece("text", text[at:])


def _piece(found: re.Match[bytes], offset: int) -> Piece:
    kind = found["kind"].decode()
    if kind == "%":
        if found[0] != b"%%":
            raise BadFormat(found[0], offset)
        return Piece("text", b"%")
    width, precision = _size(found["width"], None), _size(found["precision"], 0)
    if max(width or 0, precision or 0) > _SIZE_LIMIT:
        raise BadFormat(found[0], offset)
    return Piece(kind, b"", found["flag"].decode(), width, precision)


def _size(text: bytes | None, empty: int | None) -> int | None:
    """A number, -1 for `*`; a lone `.` is precision 0."""
    if text is None:
        return None
    return -1 if text == b"*" else int(text) if text else empty


def merge_text(pieces: Iterator[Piece] | Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbouring texts together, empty ones left out."""
    merged: list[Piece] = []
    for piece in pieces:
        if piece.kind != "text":
            merged.append(piece)
        elif merged and merged[-1].kind == "text":
            merged[-1] = Piece("text", merged[-1].text + piece.text)
        elif piece.text:
            merged.append(piece)
    return tuple(merged)
