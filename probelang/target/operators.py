"""What the arithmetic operations of DWARF make of their operands.

    operate(OP_mod, Value(rdi), Value(10), stack, at)    ->   pushes rdi - 10 * (rdi / 10), unsigned

On the generic type, division, comparisons and shra are signed, remainder and shr unsigned; typed operands go by their type.
Source: DWARF 5, section 2.5.1.4.
"""

from __future__ import annotations

from probelang.artifact.code import Expr, Number
from probelang.dwarf import operations as op
from probelang.target import arithmetic as a
from probelang.target.build import extract, load, plus
from probelang.target.location import Unavailable
from probelang.target.stack import Integer, Stack, Value

_PLAIN: dict[int, a.Operator] = {
    op.plus: "+", op.minus: "-", op.mul: "*", op.and_: "&", op.or_: "|", op.xor: "^",
}  # fmt: skip
_SHIFTS = frozenset((op.shl, op.shr, op.shra))
_RELATIONS: dict[int, a.Relation] = {
    op.eq: "==", op.ne: "!=", op.lt: "<", op.le: "<=", op.gt: ">", op.ge: ">=",
}  # fmt: skip
BINARY = frozenset((*_PLAIN, *_SHIFTS, *_RELATIONS, op.div, op.mod))


def operate(code: int, left: Value, right: Value, stack: Stack, at: int) -> None:
    """Takes the second and the top of the stack. `at`: where a division by 0 is reported."""
    kind = left.type if left.type is not None else right.type
    if code in _RELATIONS:
        # narrower numbers without sign are positive once they are extended
        compare = a.unsigned if kind is not None and kind.bits == 64 and not kind.is_signed else a.compare
        result, kind = compare(_RELATIONS[code], left.expr, right.expr), None
    elif code in _SHIFTS:
        kind = left.type
        result = _shift(code, left.expr, right.expr, kind)
    elif code in (op.div, op.mod):
        result = _divide(code, left.expr, right.expr, kind, at)
    else:
        result = a.binary(_PLAIN[code], left.expr, right.expr)
    # unsigned division and shifts repeat their operands
    repeats = 4 if code in (op.div, op.mod, *_SHIFTS) else 1
    stack.push_result(result, kind, *(left, right) * repeats)


def operate_one(code: int, stack: Stack) -> None:
    """abs, neg, not"""
    value = stack.pop()
    if code == op.abs_:
        is_unsigned = value.type is not None and not value.type.is_signed
        result = value.expr if is_unsigned else a.absolute(value.expr)
        stack.push_result(result, value.type, value, value, value)
    else:
        stack.push_result(a.unary("-" if code == op.neg else "~", value.expr), value.type, value)


def _shift(code: int, left: Expr, count: Expr, kind: Integer | None) -> Expr:
    bits = 64 if kind is None else kind.bits
    if code == op.shl:
        return a.shift("<<", left, count, bits)
    if code == op.shr:
        return a.shift(">>>", extract(left, bits, False), count, bits)
    return a.shift(">>", extract(left, bits, True), count, bits)


def _divide(code: int, left: Expr, right: Expr, kind: Integer | None, at: int) -> Expr:
    if isinstance(right, Number) and right.value == 0:
        raise Unavailable("its description divides by 0")
    if code == op.div:
        if kind is not None and kind.bits == 64 and not kind.is_signed:
            return a.divide_unsigned(left, right, at)
        return a.binary("/", left, right, at)
    if kind is None or (kind.bits == 64 and not kind.is_signed):
        return a.remainder_unsigned(left, right, at)
    return a.binary("%", left, right, at)


def load_size(address: Expr, size_bytes: int, at: int) -> Expr:
    """Any number of bytes up to 8, without sign. Not one byte more is read: the next page may not be there."""
    result: Expr | None = None
    offset = 0
    while offset < size_bytes:
        step = next(s for s in (8, 4, 2, 1) if s <= size_bytes - offset)
        part = a.binary("<<", load(plus(address, offset), step, False, at), Number(8 * offset))
        result = part if result is None else a.binary("|", result, part)
        offset += step
    assert result is not None
    return result
