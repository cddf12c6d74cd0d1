"""Formats with the meaning of C's printf, compiled once into one `%` of Python where that means the same.

    (Piece("s"), Piece("text", b" "), Piece("d", width=5)), [b"x", -1]  ->  b"x    -1"

Arguments are int and bytes, those of `%m`, `%M` and `hist` bytes (memory already read, a rendered histogram). Integers
are 64 bits; `x X o u p` take them as unsigned, `f F e E g G` as the bits of a double. What differs from Python's own `%`: `#o`, a precision of 0, the flag 0
beside a precision, negative `*`; `%#x` of 0 is `0x0` as in Python and in SystemTap. Source: C11 7.21.6.1.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from probelang.artifact.code import Piece
from probelang.artifact.formats import FLOATS
from probelang.runtime.output.escape import escape_text
from probelang.runtime.store import Value

Formatter = Callable[[Sequence[Value]], bytes]

INTEGERS = frozenset("diuxXop")
UNSIGNED = frozenset("uxXop")
MASK = (1 << 64) - 1
WIDEST = 1 << 16  # no width or precision pads further, whatever the script computes


@dataclass(frozen=True, slots=True)
class Conversion:
    """A piece ready for use: `template` for `%`, and what turns its arguments into those of the template (None: they are
    taken as they are). `takes` arguments."""

    template: bytes
    takes: int
    convert: Callable[[Sequence[Value]], bytes | int | float] | None


def format_pieces(pieces: Sequence[Piece], arguments: Sequence[Value]) -> bytes:
    return compile_pieces(pieces)(arguments)


def argument_count(piece: Piece) -> int:
    """How many arguments a piece takes, `*` included."""
    return (piece.kind != "text") + (piece.width == -1) + (piece.precision == -1)


def compile_pieces(pieces: Sequence[Piece]) -> Formatter:
    conversions = [_compile_piece(piece, unpacked=False) for piece in pieces]
    template = b"".join(conversion.template for conversion in conversions)
    takers = [conversion for conversion in conversions if conversion.takes]
    if not takers:
        text = template % ()
        return lambda arguments: text
    if all(conversion.convert is None for conversion in takers):
        return lambda arguments: template % tuple(arguments)

    steps: list[tuple[int, int, Callable[[Sequence[Value]], bytes | int | float] | None]] = []
    start = 0
    for conversion in takers:
        steps.append((start, start + conversion.takes, conversion.convert))
        start += conversion.takes

    def run(arguments: Sequence[Value]) -> bytes:
        values = [
            arguments[first] if convert is None else convert(arguments[first:end])
            for first, end, convert in steps
        ]
        return template % tuple(values)

    return run


def native_template(pieces: Sequence[Piece]) -> bytes | None:
    """The whole format for Python's `%`, where it needs nothing else once `x X o u p` have unsigned arguments and `f F e E g G`
    doubles."""
    conversions = [_compile_piece(piece, unpacked=True) for piece in pieces]
    if any(conversion.convert is not None for conversion in conversions):
        return None
    return b"".join(conversion.template for conversion in conversions)


def _compile_piece(piece: Piece, unpacked: bool) -> Conversion:
    if piece.kind == "text":
        return Conversion(piece.text.replace(b"%", b"%%"), 0, None)
    takes = argument_count(piece)
    native = _native_template(piece)
    if native is None:
        return Conversion(b"%s", takes, _slow(piece))
    if piece.kind in FLOATS and not unpacked:
        return Conversion(native, takes, lambda arguments: double_of(_number(arguments[0])))
    if piece.kind in UNSIGNED and not unpacked:
        return Conversion(native, takes, lambda arguments: _number(arguments[0]) & MASK)
    return Conversion(native, takes, None)


def _native_template(piece: Piece) -> bytes | None:
    """The same conversion for Python's `%`, None where Python means something else."""
    if piece.width == -1 or piece.precision in (-1, 0) or (piece.width or 0) > WIDEST:
        return None
    left = "-" if piece.flag == "-" else ""
    size = f"{piece.width or ''}" + ("" if piece.precision is None else f".{min(piece.precision, WIDEST)}")
    zero = "0" if piece.flag == "0" and piece.precision is None else ""
    match piece.kind:
        case "d" | "i":
            sign = piece.flag if piece.flag in ("+", " ") else ""
            return f"%{left}{zero}{sign}{size}d".encode()
        case "u":
            return f"%{left}{zero}{size}d".encode()
        case "x" | "X":
            return f"%{left}{zero}{'#' if piece.flag == '#' else ''}{size}{piece.kind}".encode()
        case "p":
            return f"%#{left}{zero}{size}x".encode()
        case "o" if piece.flag != "#":
            return f"%{left}{zero}{size}o".encode()
        case "s" if piece.flag != "#":
            return f"%{left}{size}s".encode()
        case "f" | "F" | "e" | "E" | "g" | "G" if (
            piece.flag != "0"
        ):  # what C does not fill up with zeros: inf
            return f"%{piece.flag}{size}{piece.kind}".encode()
        case "hist":
            return b"%s"
        case _:
            return None


def _slow(piece: Piece) -> Callable[[Sequence[Value]], bytes]:
    def convert(arguments: Sequence[Value]) -> bytes:
        *stars, value = arguments
        left, settled = piece.flag == "-", piece
        if piece.width == -1:
            width = _number(stars.pop(0))
            left = left or width < 0
            settled = replace(settled, width=abs(width))
        if piece.precision == -1:
            precision = _number(stars.pop(0))
            settled = replace(settled, precision=None if precision < 0 else min(precision, WIDEST))
        width = min(settled.width or 0, WIDEST)
        zeros = 0 if left else width
        if piece.kind in INTEGERS:
            text = _integer(settled, value, zeros)
        elif piece.kind in FLOATS:
            text = _float(settled, value, zeros)
        else:
            text = _bytes(settled, value)
        if piece.kind in ("b", "hist"):
            return text
        return text.ljust(width) if left else text.rjust(width)

    return convert


def _bytes(piece: Piece, value: Value) -> bytes:
    """A value that is no integer, not padded yet."""
    match piece.kind:
        case "s":
            text = _text(value)[: piece.precision]
            return escape_text(text) if piece.flag == "#" else text
        case "c":
            byte = bytes([_number(value) & 255])
            return escape_text(byte) if piece.flag == "#" else byte
        case "M":
            return _text(value).hex().encode()
        case "b":
            return (_number(value) & MASK).to_bytes(8, "little")[: binary_size(piece.width)]
        case _:
            return _text(value)


def binary_size(width: int | None) -> int:
    """Bytes of `%b`: 1, 2, 4 or 8."""
    return next((size for size in (1, 2, 4) if width is not None and 0 < width <= size), 8)


def _integer(piece: Piece, value: Value, zeros: int) -> bytes:
    """An integer; `zeros`: the width that the flag 0 fills."""
    number = _number(value)
    alternative = piece.flag == "#" or piece.kind == "p"
    prefix = ""
    match piece.kind:
        case "d" | "i":
            digits = str(abs(number))
            prefix = "-" if number < 0 else piece.flag if piece.flag in ("+", " ") else ""
        case "u":
            digits = str(number & MASK)
        case "o":
            digits = f"{number & MASK:o}"
        case _:
            digits = f"{number & MASK:x}"
            prefix = "0x" if alternative else ""
    if piece.precision is not None:
        digits = "" if piece.precision == 0 and number == 0 else digits.rjust(piece.precision, "0")
    elif piece.flag == "0":
        digits = digits.rjust(zeros - len(prefix), "0")
    if piece.kind == "o" and alternative and not digits.startswith("0"):
        digits = "0" + digits
    text = prefix + digits
    return (text.upper() if piece.kind == "X" else text).encode()


def _float(piece: Piece, value: Value, zeros: int) -> bytes:
    """A floating point number; `zeros`: the width that the flag 0 fills."""
    number = double_of(_number(value))
    fill = f"0{zeros or ''}" if piece.flag == "0" and math.isfinite(number) else ""
    flag = piece.flag if piece.flag in ("+", " ", "#") else ""
    size = fill + ("" if piece.precision is None else f".{piece.precision}")
    return f"%{flag}{size}{piece.kind}".encode() % number


def double_of(bits: int) -> float:
    """The IEEE double with these 64 bits."""
    found: float = struct.unpack("<d", struct.pack("<Q", bits & MASK))[0]
    return found


def _number(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _text(value: Value) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value
