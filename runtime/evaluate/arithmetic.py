"""Arithmetic of signed 64-bit numbers that wrap, as the kernel half does it in registers.

BINARY["+"](2**63 - 1, 1)  ->  -2**63        BINARY[">>>"](-1, 60)  ->  15        BINARY["/"](-7, 2)  ->  -3
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.runtime.store import Value

SIGN = 1 << 63
MASK = (1 << 64) - 1


def wrap(value: int) -> int:
    return ((value + SIGN) & MASK) - SIGN


def divide(left: int, right: int) -> int:
    """Truncates towards zero; raises ZeroDivisionError."""
    quotient = abs(left) // abs(right)
    return wrap(quotient if (left < 0) == (right < 0) else -quotient)


def remainder(left: int, right: int) -> int:
    """Has the sign of `left`; raises ZeroDivisionError."""
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


BINARY: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda left, right: wrap(left + right),
    "-": lambda left, right: wrap(left - right),
    "*": lambda left, right: wrap(left * right),
    "/": divide,
    "%": remainder,
    "&": lambda left, right: left & right,
    "|": lambda left, right: left | right,
    "^": lambda left, right: left ^ right,
    "<<": lambda left, right: wrap(left << (right & 63)),
    ">>": lambda left, right: left >> (right & 63),
    ">>>": lambda left, right: wrap((left & MASK) >> (right & 63)),
}

UNARY: Mapping[str, Callable[[int], int]] = {
    "-": lambda value: wrap(-value),
    "!": lambda value: 0 if value else 1,
    "~": lambda value: ~value,
}


def as_long(value: Value) -> int:
    assert isinstance(value, int)
    return value
