"""What a format wants of its arguments; and print, println and the others as formats.

argument_types(parse_format(b"%*d|%s"))  ->  (Type.LONG, Type.LONG, Type.STRING)
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.artifact.code import Piece, Type
from probelang.artifact.formats import merge_text


def argument_types(pieces: Sequence[Piece]) -> tuple[Type, ...]:
    """What the arguments of a format must be, in the order in which the pieces take them."""
    types: list[Type] = []
    for piece in pieces:
        if piece.kind == "text":
            continue
        types += [Type.LONG] * ((piece.width == -1) + (piece.precision == -1))
        types.append(Type.STRING if piece.kind == "s" else Type.LONG)
    return tuple(types)


def plain_pieces(kinds: Sequence[str], delimiter: bytes, newline: bool) -> tuple[Piece, ...]:
    """print and println (no delimiter), printd and printdln. `kinds`: conversions, or "hist"."""
    pieces: list[Piece] = []
    for number, kind in enumerate(kinds):
        if number:
            pieces.append(Piece("text", delimiter))
        pieces.append(Piece(kind))
    if newline and list(kinds) != ["hist"]:  # a histogram ends its own lines
        pieces.append(Piece("text", b"\n"))
    return merge_text(pieces)
