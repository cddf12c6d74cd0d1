"""Floating point numbers, each the 64 bits of an IEEE double (IEEE 754-2019, 3.4)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.frame import Run
from probelang.runtime.output.pieces import double_of
from probelang.runtime.store import Value

_MASK = (1 << 64) - 1
_LARGEST = (1 << 63) - 1
_INFINITY = 0x7FF << 52


def bits_of(number: float) -> int:
    """Signed, as every number of a script."""
    found: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return found


def float_to_double(run: Run, bits: int) -> int:
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF:  # bit by bit, as the processor would change what a NaN carries
        return _signed((bits >> 31 & 1) << 63 | _INFINITY | fraction << 29)
    found: float = struct.unpack("<f", struct.pack("<I", bits & 0xFFFFFFFF))[0]
    return bits_of(found)


def double_to_float(run: Run, bits: int) -> int:
    exponent, fraction = bits >> 52 & 0x7FF, bits & (1 << 52) - 1
    sign = (bits >> 63 & 1) << 31
    if exponent == 0x7FF:  # bit by bit, as the processor would change what a NaN carries
        return sign | 0x7F800000 | fraction >> 29 | (1 << 22 if fraction else 0)
    try:
        found: int = struct.unpack("<I", struct.pack("<f", double_of(bits)))[0]
    except OverflowError:
        return sign | 0x7F800000
    return found


def long_double_to_double(run: Run, low: int, high: int) -> int:
    low &= _MASK
    sign, exponent = (high >> 15 & 1) << 63, high & 0x7FFF
    if exponent == 0x7FFF:
        payload = low << 1 & _MASK
        return _signed(sign | _INFINITY | (payload >> 12 | 1 << 51 if payload else 0))
    exponent -= 16383 - 1023
    if exponent >= 0x7FF:
        return _signed(sign | _INFINITY)
    # one bit is lost, so it stays in the lowest: rounding asks whether anything was lost
    significand = low >> 1 | low & 1
    shift = 10 if exponent > 0 else 11 - exponent
    if shift > 63:
        return _signed(sign)
    kept = significand >> shift
    rest = significand & ((1 << shift) - 1)
    kept += rest + (1 << shift - 1) - 1 + (kept & 1) >> shift
    return _signed(sign | (max(exponent, 1) - 1 << 52) + kept)


def double_to_long(run: Run, bits: int) -> int:
    number = double_of(bits)
    if math.isnan(number):
        return 0
    if abs(number) >= 2.0**63:
        return _LARGEST if number > 0 else -_LARGEST - 1
    return int(number)


def long_to_double(run: Run, number: int) -> int:
    return bits_of(float(number))


def double_order(run: Run, bits: int) -> int:
    return bits if bits >= 0 else -(bits & _LARGEST)


def double_text(run: Run, bits: int) -> bytes:
    number = double_of(bits)
    sign = b"-" if bits < 0 else b""
    if math.isnan(number):
        return b"nan"
    if math.isinf(number):
        return sign + b"inf"
    if abs(number) < 2.0**63:
        return b"%f" % number
    digits = b"%013x" % (bits & (1 << 52) - 1)
    digits = digits.rstrip(b"0")
    exponent = (bits >> 52 & 0x7FF) - 1023
    return b"%s0x1%s%sp+%d" % (sign, b"." if digits else b"", digits, exponent)


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    ("float_to_double", 1): float_to_double,
    ("double_to_float", 1): double_to_float,
    ("long_double_to_double", 2): long_double_to_double,
    ("double_to_long", 1): double_to_long,
    ("long_to_double", 1): long_to_double,
    ("double_order", 1): double_order,
    ("double_text", 1): double_text,
}
