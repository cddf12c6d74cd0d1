"""Formats mean what they mean in C: compared with the C library's snprintf, and by hand where SystemTap has its own."""

from __future__ import annotations

import ctypes
import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probelang.artifact.code import Piece
from probelang.runtime.output.pieces import compile_pieces, format_pieces

LIBC = ctypes.CDLL(None)
LONGS = st.integers(-(2**63), 2**63 - 1)
SIZES = st.none() | st.integers(0, 30)
STARS = st.integers(-30, 30)


def printf(template: bytes, *arguments: int | bytes) -> bytes:
    buffer = ctypes.create_string_buffer(4096)
    wrapped = [ctypes.c_longlong(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    size = LIBC.snprintf(buffer, ctypes.c_size_t(4096), template, *wrapped)
    return buffer.raw[:size]


def template(piece: Piece, length: str) -> bytes:
    width = "*" if piece.width == -1 else "" if piece.width is None else str(piece.width)
    precision = "" if piece.precision is None else ".*" if piece.precision == -1 else f".{piece.precision}"
    return f"%{piece.flag}{width}{precision}{length}{piece.kind}".encode()


@given(st.sampled_from("diuxXo"), st.sampled_from(["", "0", "+", "-", " ", "#"]), SIZES, SIZES, LONGS)
@example("o", "#", 5, 0, 0)
def test_integers_print_as_in_c(
    kind: str, flag: str, width: int | None, precision: int | None, value: int
) -> None:
    if flag == "#" and (kind in "diu" or (kind in "xX" and value == 0)):
        flag = ""  # undefined in C; SystemTap's own, below
    piece = Piece(kind, flag=flag, width=width or None, precision=precision)
    assert format_pieces([piece], [value]) == printf(template(piece, "ll"), value)


@given(
    st.sampled_from("dxo"), st.sampled_from(["", "0", "-"]), st.booleans(), st.booleans(), STARS, STARS, LONGS
)
def test_stars_take_their_numbers_before_the_value(
    kind: str, flag: str, width: bool, precision: bool, first: int, second: int, value: int
) -> None:
    piece = Piece(kind, flag=flag, width=-1 if width else None, precision=-1 if precision else None)
    stars = [first] * width + [second] * precision
    buffer = ctypes.create_string_buffer(4096)
    wrapped = [*(ctypes.c_int(star) for star in stars), ctypes.c_longlong(value)]
    size = LIBC.snprintf(buffer, ctypes.c_size_t(4096), template(piece, "ll"), *wrapped)
    assert format_pieces([piece], [*stars, value]) == buffer.raw[:size]


@given(
    st.sampled_from(["", "-"]),
    SIZES,
    SIZES,
    st.binary(max_size=40).map(lambda text: text.replace(b"\0", b"?")),
)
def test_strings_print_as_in_c(flag: str, width: int | None, precision: int | None, value: bytes) -> None:
    piece = Piece("s", flag=flag, width=width or None, precision=precision)
    assert format_pieces([piece], [value]) == printf(template(piece, ""), value)


@given(
    st.sampled_from("fFeEgG"),
    st.sampled_from(["", "0", "+", "-", " ", "#"]),
    SIZES,
    SIZES,
    st.floats(allow_nan=False),
)
@example("f", "0", 9, None, math.inf)
@example("F", "", None, None, -math.inf)
@example("G", "#", 12, 0, -0.0)
@example("e", "", None, None, math.nan)
def test_floating_point_numbers_print_as_in_c(
    kind: str, flag: str, width: int | None, precision: int | None, value: float
) -> None:
    piece = Piece(kind, flag=flag, width=width or None, precision=precision)
    buffer = ctypes.create_string_buffer(4096)
    size = LIBC.snprintf(buffer, ctypes.c_size_t(4096), template(piece, ""), ctypes.c_double(value))
    assert format_pieces([piece], [bits_of(value)]) == buffer.raw[:size]


def test_stars_of_floating_point_numbers() -> None:
    piece = Piece("f", width=-1, precision=-1)
    assert format_pieces([piece], [-8, 2, bits_of(1.005)]) == b"1.00    "
    assert format_pieces([piece], [8, -1, bits_of(-1.5)]) == b"-1.500000"


def bits_of(number: float) -> int:
    found: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return found


@pytest.mark.parametrize(
    ("piece", "value", "text"),
    [
        (Piece("p"), 0, b"0x0"),
        (Piece("p"), -1, b"0xffffffffffffffff"),
        (Piece("p", flag="-", width=6), 16, b"0x10  "),
        (Piece("x", flag="#"), 0, b"0x0"),
        (Piece("X", flag="#"), 255, b"0XFF"),
        (Piece("c"), 65, b"A"),
        (Piece("c", width=3), 65 + 256, b"  A"),
        (Piece("c", flag="#"), 10, b"\\n"),
        (Piece("s", flag="#"), b'a"\n\x01', b'a\\"\\n\\001'),
        (Piece("s", flag="0", width=3), b"a", b"  a"),
        (Piece("b"), 1, b"\1\0\0\0\0\0\0\0"),
        (Piece("b", width=1), 0x1234, b"\x34"),
        (Piece("b", width=2), 0x1234, b"\x34\x12"),
        (Piece("b", width=4), -1, b"\xff\xff\xff\xff"),
        (Piece("m", width=4), b"ab", b"  ab"),
        (Piece("M"), b"\x01\xff", b"01ff"),
        (Piece("hist"), b"value |\n", b"value |\n"),
        (Piece("text", b"100%"), None, b"100%"),
    ],
)
def test_conversions_of_its_own(piece: Piece, value: int | bytes | None, text: bytes) -> None:
    assert format_pieces([piece], [] if value is None else [value]) == text


def test_a_width_without_bounds_is_bounded() -> None:
    assert len(format_pieces([Piece("d", width=-1)], [1 << 62, 5])) == 1 << 16


def test_text_and_arguments_alternate() -> None:
    pieces = [
        Piece("text", b"%a="),
        Piece("d"),
        Piece("text", b" "),
        Piece("x"),
        Piece("s", width=-1),
        Piece("text", b"\n"),
    ]
    run = compile_pieces(pieces)
    assert run([-1, -1, 3, b"z"]) == b"%a=-1 ffffffffffffffff  z\n"
    assert run([2, 10, -2, b"y"]) == b"%a=2 ay \n"
