"""Arithmetic on code, done at once where the operands are known.

    binary("*", Number(6), Number(7))       ->  Number(42)
    unsigned("<", rdi, Number(-1))          ->  (rdi ^ MIN) < MAX: code knows only signed numbers
    remainder_unsigned(rdi, Number(8), 0)   ->  rdi & 7

What the nodes mean is said in `probelang.artifact.code`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Literal

from probelang.artifact.code import Binary, Choose, Compare, Expr, Number, Type, Unary
from probelang.target.build import add, number, plus

Operator = Literal["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>"]
Relation = Literal["==", "!=", "<", "<=", ">", ">="]
_MASK = (1 << 64) - 1
_SMALLEST = Number(-(1 << 63))


def _divide(left: int, right: int) -> int:
    """Towards zero."""
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


_FOLDS: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": _divide,
    "%": lambda a, b: a - b * _divide(a, b), "&": lambda a, b: a & b, "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b, "<<": lambda a, b: a << (b & 63), ">>": lambda a, b: a >> (b & 63),
    ">>>": lambda a, b: (a & _MASK) >> (b & 63),
}  # fmt: skip
_RELATIONS: Mapping[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
# right operands that change nothing
_NEUTRAL = {"*": 1, "/": 1, "&": -1, "|": 0, "^": 0, "<<": 0, ">>": 0, ">>>": 0}


def binary(op: Operator, left: Expr, right: Expr, at: int = 0) -> Expr:
    """`at`: where a division by 0 is reported."""
    if isinstance(right, Number):
        if isinstance(left, Number) and not (op in "/%" and right.value == 0):
            return number(_FOLDS[op](left.value, right.value))
        if op in _NEUTRAL and right.value == _NEUTRAL[op]:
            return left
        if op == "-":
            return plus(left, -right.value)
    if op == "+":
        return add(left, right)
    return Binary(op, left, right, at)


def unary(op: Literal["-", "~"], operand: Expr) -> Expr:
    if isinstance(operand, Number):
        return number(-operand.value if op == "-" else ~operand.value)
    return Unary(op, operand)


def compare(op: Relation, left: Expr, right: Expr) -> Expr:
    """Signed -> 0 or 1."""
    if isinstance(left, Number) and isinstance(right, Number):
        return Number(int(_RELATIONS[op](left.value, right.value)))
    return Compare(op, left, right)


def unsigned(op: Relation, left: Expr, right: Expr) -> Expr:
    """The same for 64 bits without sign."""
    if op in ("==", "!="):
        return compare(op, left, right)
    return compare(op, binary("^", left, _SMALLEST), binary("^", right, _SMALLEST))


def choose(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    if isinstance(condition, Number):
        return then if condition.value else otherwise
    return then if then == otherwise else Choose(condition, then, otherwise, Type.LONG)


def absolute(operand: Expr) -> Expr:
    if isinstance(operand, Number):
        return number(abs(operand.value))
    return choose(compare("<", operand, Number(0)), unary("-", operand), operand)


def divide_unsigned(left: Expr, right: Expr, at: int) -> Expr:
    """Of 64 bits without sign. Half the dividend is a positive number; what that loses makes a difference of one."""
    if isinstance(right, Number) and right.value > 0 and right.value & (right.value - 1) == 0:
        return binary(">>>", left, Number(right.value.bit_length() - 1))
    halved = binary("<<", binary("/", binary(">>>", left, Number(1)), right, at), Number(1))
    rest = binary("-", left, binary("*", halved, right))
    small = binary("+", halved, unsigned(">=", rest, right))
    return choose(compare("<", right, Number(0)), unsigned(">=", left, right), small)


def remainder_unsigned(left: Expr, right: Expr, at: int) -> Expr:
    if isinstance(right, Number) and right.value > 0 and right.value & (right.value - 1) == 0:
        return binary("&", left, Number(right.value - 1))
    return binary("-", left, binary("*", divide_unsigned(left, right, at), right))


def shift(op: Literal["<<", ">>", ">>>"], left: Expr, count: Expr, bits: int) -> Expr:
    """Of a number of `bits` bits: by as many or more, everything is shifted out, where code would take the count modulo 64."""
    gone = binary(">>", left, Number(63)) if op == ">>" else Number(0)
    if isinstance(count, Number):
        return binary(op, left, count) if 0 <= count.value < bits else gone
    return choose(unsigned("<", count, Number(bits)), binary(op, left, count), gone)
