"""The sample variance, in whole numbers: (count * squares - sum * sum), divided by count * (count - 1).

BPF has 64-bit arithmetic only, so the 128 bits of the numerator are made of products of halves, and the division goes bit
by bit. Exact while the numerator fits 128 bits.
"""

from __future__ import annotations

from probelang.llvm.builder import Operand, Value
from probelang.llvm.emitter import Emitter

Wide = tuple[Value, Value]  # low and high word
HALF = 0xFFFFFFFF


def variance(e: Emitter, count: Value, total: Value, low: Value, high: Value) -> Value:
    """`low` and `high`: the sum of squares."""
    return e.routine("variance", ("count", "sum", "low", "high"), write_routine, count, total, low, high)


def write_routine(r: Emitter, arguments: list[Value]) -> None:
    count, total, low, high = arguments
    with r.when(r.compare("ult", count, 2)):
        r.ret(0)
    sign = r.shift_right(total, 63, signed=True)
    size = r.sub(r.bits_xor(total, sign), sign)
    product, square = multiply(r, low, count), multiply(r, size, size)
    product_high = r.add(product[1], r.mul(high, count))
    borrow = r.widen(r.compare("ult", product[0], square[0]))
    number = (r.cell(r.sub(product[0], square[0])), r.cell(r.sub(r.sub(product_high, square[1]), borrow)))
    divisor = r.cell(r.mul(count, r.sub(count, 1)))
    rest, quotient = r.cell(0), r.cell(0)

    def double(bit: Operand) -> Value:
        """Shifts the number left by one and gives the bit that falls out."""
        top = r.shift_right(r.get(number[1]), 63)
        middle = r.shift_right(r.get(number[0]), 63)
        r.set(number[1], r.bits_or(r.shift_left(r.get(number[1]), 1), middle))
        r.set(number[0], r.bits_or(r.shift_left(r.get(number[0]), 1), bit))
        return top

    with r.loop(128, plain_turns=128):
        r.set(rest, r.bits_or(r.shift_left(r.get(rest), 1), double(0)))
        r.set(quotient, r.shift_left(r.get(quotient), 1))
        with r.when(r.compare("uge", r.get(rest), r.get(divisor))):
            r.set(rest, r.sub(r.get(rest), r.get(divisor)))
            r.set(quotient, r.bits_or(r.get(quotient), 1))
    r.ret(r.get(quotient))


def multiply(r: Emitter, a: Value, b: Value) -> Wide:
    """All 128 bits of an unsigned product."""
    a_low, a_high = r.bits_and(a, HALF), r.shift_right(a, 32)
    b_low, b_high = r.bits_and(b, HALF), r.shift_right(b, 32)
    lowest = r.mul(a_low, b_low)
    cross = r.add(r.mul(a_high, b_low), r.shift_right(lowest, 32))
    other = r.add(r.mul(a_low, b_high), r.bits_and(cross, HALF))
    low = r.bits_or(r.shift_left(other, 32), r.bits_and(lowest, HALF))
    high = r.add(r.add(r.mul(a_high, b_high), r.shift_right(cross, 32)), r.shift_right(other, 32))
    return low, high
