"""Format strings, piece by piece."""

from __future__ import annotations

import pytest

from probelang.artifact.code import Piece, Type
from probelang.artifact.formats import BadFormat, parse_format
from probelang.check.formats import argument_types, plain_pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (b"", ()),
        (b"a%%b", (Piece("text", b"a%b"),)),
        (b"%d%s", (Piece("d"), Piece("s"))),
        (b"x%05d\n", (Piece("text", b"x"), Piece("d", flag="0", width=5), Piece("text", b"\n"))),
        (b"%-12s|", (Piece("s", flag="-", width=12), Piece("text", b"|"))),
        (b"%*.*x", (Piece("x", width=-1, precision=-1),)),
        (b"%.3s%.s%8b", (Piece("s", precision=3), Piece("s", precision=0), Piece("b", width=8))),
        (b"%#p % i %+u %lX %o %c %m %.16M", (
            Piece("p", flag="#"), Piece("text", b" "), Piece("i", flag=" "), Piece("text", b" "), Piece("u", flag="+"),
            Piece("text", b" "), Piece("X"), Piece("text", b" "), Piece("o"), Piece("text", b" "), Piece("c"),
            Piece("text", b" "), Piece("m"), Piece("text", b" "), Piece("M", precision=16),
        )),
    ],
)  # fmt: skip
def test_pieces(text: bytes, pieces: tuple[Piece, ...]) -> None:
    assert parse_format(text) == pieces


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"%n", 0),
        (b"ab%", 2),
        (b"%d%1$d", 2),
        (b"%0-5d", 0),
        (b"%lld", 0),
        (b"%hd", 0),
        (b"%5%", 0),
        (b"%99999999d", 0),
    ],
)
def test_mistakes(text: bytes, offset: int) -> None:
    with pytest.raises(BadFormat) as raised:
        parse_format(text)
    assert raised.value.offset == offset


def test_sizes_are_arguments_before_the_value() -> None:
    assert argument_types(parse_format(b"a%*.*s%d")) == (Type.LONG, Type.LONG, Type.STRING, Type.LONG)


def test_print_without_format() -> None:
    assert plain_pieces(("d", "s"), b", ", newline=True) == (
        Piece("d"),
        Piece("text", b", "),
        Piece("s"),
        Piece("text", b"\n"),
    )
    assert plain_pieces(("hist",), b"", newline=False) == (Piece("hist"),)
    assert plain_pieces((), b"", newline=True) == (Piece("text", b"\n"),)
