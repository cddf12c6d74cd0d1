"""Floating point numbers with integer instructions: BPF has no others. Each is the 64 bits of an IEEE double.

    float_to_double(0xbfc00000)  ->  0xbff8000000000000        without a branch where that is possible

Sources: IEEE 754-2019, 3.4 and 4.3.1 (rounding to nearest, ties to even); Intel SDM volume 1, 4.2.2 (extended numbers).
"""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.llvm.builder import Operand, Value
from probelang.llvm.calls.lowering import Lowering, Result, Values, number
from probelang.llvm.emitter import Emitter
from probelang.llvm.text import numbers
from probelang.llvm.text.buffers import append, text_at
from probelang.llvm.text.compose import Composition
from probelang.llvm.text.format import LOWER

LARGEST = (1 << 63) - 1
INFINITY = 0x7FF << 52
FRACTION = (1 << 52) - 1
BIAS = 1023
LONGEST = 32


def float_to_double(e: Emitter, values: Values, call: Call) -> Result:
    bits = number(values, 0)
    sign = e.shift_left(e.bits_and(e.shift_right(bits, 31), 1), 63)
    exponent = e.bits_and(e.shift_right(bits, 23), 0xFF)
    fraction = e.bits_and(bits, 0x7FFFFF)
    moved = e.shift_left(fraction, 29)
    normal = e.bits_or(e.shift_left(e.add(exponent, BIAS - 127), 52), moved)
    # a number of the smallest exponent is fraction * 2^-149: its highest bit becomes the implicit one
    length = bit_length(e, fraction)
    raised = e.bits_and(e.shift_left(fraction, e.bits_and(e.sub(53, length), 63)), FRACTION)
    small = e.bits_or(e.shift_left(e.add(length, BIAS - 150), 52), raised)
    small = e.select(e.truth(fraction), small, 0)
    found = e.select(e.truth(exponent), normal, small)
    found = e.select(e.compare("eq", exponent, 0xFF), e.bits_or(moved, INFINITY), found)
    return e.bits_or(found, sign)


def double_to_float(e: Emitter, values: Values, call: Call) -> Result:
    bits = number(values, 0)
    sign = e.shift_left(e.bits_and(e.shift_right(bits, 63), 1), 31)
    full = exponent_of(e, bits)
    exponent = e.sub(full, BIAS - 127)
    is_normal = e.compare("sgt", exponent, 0)
    wanted = e.select(is_normal, 29, e.sub(30, exponent))  # bits that are lost
    shift = e.select(e.compare("sgt", wanted, 63), 63, wanted)
    rounded = round_even(e, significand_of(e, bits), shift)
    # the implicit bit counts one in the exponent, as does a carry
    found = e.add(e.shift_left(e.select(is_normal, e.sub(exponent, 1), 0), 23), rounded)
    found = e.select(e.compare("sge", exponent, 0xFF), 0xFF << 23, found)
    fraction = e.bits_and(bits, FRACTION)
    payload = e.bits_or(e.shift_right(fraction, 29), 0xFF << 23 | 1 << 22)
    special = e.select(e.truth(fraction), payload, 0xFF << 23)
    return e.bits_or(e.select(e.compare("eq", full, 0x7FF), special, found), sign)


def long_double_to_double(e: Emitter, values: Values, call: Call) -> Result:
    low, high = number(values, 0), number(values, 1)
    sign = e.shift_left(e.bits_and(e.shift_right(high, 15), 1), 63)
    full = e.bits_and(high, 0x7FFF)
    exponent = e.sub(full, 16383 - BIAS)
    # one bit is lost, so it stays in the lowest: rounding asks whether anything was lost
    significand = e.bits_or(e.shift_right(low, 1), e.bits_and(low, 1))
    is_normal = e.compare("sgt", exponent, 0)
    wanted = e.select(is_normal, 10, e.sub(11, exponent))
    shift = e.bits_and(wanted, 63)
    rounded = round_even(e, significand, shift)
    rounded = e.select(e.compare("sgt", wanted, 63), 0, rounded)
    found = e.add(e.shift_left(e.select(is_normal, e.sub(exponent, 1), 0), 52), rounded)
    found = e.select(e.compare("sge", exponent, 0x7FF), INFINITY, found)
    payload = e.shift_left(low, 1)
    quiet = e.bits_or(e.shift_right(payload, 12), INFINITY | 1 << 51)
    special = e.select(e.truth(payload), quiet, INFINITY)
    return e.bits_or(e.select(e.compare("eq", full, 0x7FFF), special, found), sign)


def double_to_long(e: Emitter, values: Values, call: Call) -> Result:
    bits = number(values, 0)
    sign = e.shift_right(bits, 63, signed=True)
    magnitude = whole_part(e, bits)
    too_large = e.compare("uge", exponent_of(e, bits), BIAS + 63)
    limit = e.bits_xor(sign, LARGEST)
    found = e.select(too_large, limit, e.sub(e.bits_xor(magnitude, sign), sign))
    return e.select(e.compare("ugt", e.bits_and(bits, LARGEST), INFINITY), 0, found)


def exponent_of(e: Emitter, bits: Value) -> Value:
    return e.bits_and(e.shift_right(bits, 52), 0x7FF)


def significand_of(e: Emitter, bits: Value) -> Value:
    """With its implicit bit; numbers of the smallest exponent are not told apart."""
    return e.bits_or(e.bits_and(bits, FRACTION), 1 << 52)


def whole_part(e: Emitter, bits: Value) -> Value:
    """The absolute value cut towards zero, where that is below 2^63."""
    exponent, significand = exponent_of(e, bits), significand_of(e, bits)
    left = e.shift_left(significand, e.bits_and(e.sub(exponent, BIAS + 52), 63))
    right = e.shift_right(significand, e.bits_and(e.sub(BIAS + 52, exponent), 63))
    found = e.select(e.compare("uge", exponent, BIAS + 52), left, right)
    return e.select(e.compare("ult", exponent, BIAS), 0, found)


def long_to_double(e: Emitter, values: Values, call: Call) -> Result:
    value = number(values, 0)
    sign = e.shift_right(value, 63, signed=True)
    magnitude = e.sub(e.bits_xor(value, sign), sign)
    length = bit_length(e, magnitude)
    highest = e.shift_left(magnitude, e.bits_and(e.sub(64, length), 63))  # its first bit is set
    kept = e.shift_right(highest, 11)
    rest = e.add(e.add(e.bits_and(highest, 0x7FF), 0x3FF), e.bits_and(kept, 1))
    kept = e.add(kept, e.shift_right(rest, 11))
    # the highest bit that was kept counts one in the exponent
    found = e.add(e.shift_left(e.add(length, BIAS - 2), 52), kept)
    return e.bits_or(e.select(e.truth(magnitude), found, 0), e.shift_left(sign, 63))


def double_order(e: Emitter, values: Values, call: Call) -> Result:
    bits = number(values, 0)
    sign = e.shift_right(bits, 63, signed=True)
    return e.sub(e.bits_xor(e.bits_and(bits, LARGEST), sign), sign)


# ------------------------------------------------------------------------------------------------ in pieces


def bit_length(e: Emitter, value: Value) -> Value:
    """64 less the leading zeros: all bits below the highest one are set, and counted."""
    for step in (1, 2, 4, 8, 16, 32):
        value = e.bits_or(value, e.shift_right(value, step))
    # Warren, Hacker's Delight, 5-1
    pairs = e.sub(value, e.bits_and(e.shift_right(value, 1), 0x5555555555555555))
    fours = e.add(
        e.bits_and(pairs, 0x3333333333333333), e.bits_and(e.shift_right(pairs, 2), 0x3333333333333333)
    )
    bytes_ = e.bits_and(e.add(fours, e.shift_right(fours, 4)), 0x0F0F0F0F0F0F0F0F)
    return e.shift_right(e.mul(bytes_, 0x0101010101010101), 56)


def round_even(e: Emitter, value: Value, shift: Operand) -> Value:
    """`value` (below 2^63) shifted right by 1 to 63, to the nearest, a half to the even one."""
    kept = e.shift_right(value, shift)
    rest = e.sub(value, e.shift_left(kept, shift))
    half = e.sub(e.shift_left(1, e.sub(shift, 1)), 1)
    carry = e.shift_right(e.add(e.add(rest, half), e.bits_and(kept, 1)), shift)
    return e.add(kept, carry)


# ---------------------------------------------------------------------------------------------------- text

PLAIN = 10 | numbers.SIGNED << numbers.FLAGS_SHIFT
SIX_DIGITS = 10 | numbers.ZEROS << numbers.FLAGS_SHIFT | 6 << numbers.WIDTH_SHIFT
EXPONENT = 10 | (numbers.SIGNED | numbers.PLUS) << numbers.FLAGS_SHIFT
HEXADECIMAL = 16 | LOWER << numbers.LETTERS_SHIFT


def double_text(e: Emitter, values: Values, call: Call) -> Result:
    result = Composition(e)
    e.routine("double_text", ("text", "bits"), write_text, result.offset, number(values, 0))
    result.grow(LONGEST)
    return result.finish()


def write_text(e: Emitter, parameters: list[Value]) -> None:
    """(target, bits): appends the number."""
    offset, bits = e.cell(parameters[0]), e.cell(parameters[1])
    target = text_at(e, parameters[0])

    def literal(data: bytes) -> None:
        append(e, target, e.read_only(e.module.literal(data)), len(data))

    def digits(value: Operand, spec: Operand) -> None:
        names = ("text", "value", "spec")
        e.routine("format_number", names, numbers.format_number, e.get(offset), value, spec)

    absolute = e.cell(e.bits_and(parameters[1], LARGEST))
    with e.when(e.compare("ugt", e.get(absolute), INFINITY)):
        literal(b"nan")
        e.ret(0)
    with e.when(e.compare("slt", e.get(bits), 0)):
        literal(b"-")
    with e.when(e.compare("eq", e.get(absolute), INFINITY)):
        literal(b"inf")
        e.ret(0)
    with e.when(e.compare("ult", e.get(absolute), BIAS + 63 << 52)):
        whole, part = e.cell(whole_part(e, e.get(absolute))), e.cell(millionths(e, e.get(absolute)))
        with e.when(e.compare("uge", e.get(part), 1_000_000)):
            e.set(whole, e.add(e.get(whole), 1))
            e.set(part, 0)
        digits(e.get(whole), PLAIN)
        literal(b".")
        digits(e.get(part), SIX_DIGITS)
        e.ret(0)
    literal(b"0x1")
    fraction = e.cell(e.bits_and(e.get(absolute), FRACTION))
    with e.when(e.truth(e.get(fraction))):
        literal(b".")
        lowest = e.bits_and(e.get(fraction), e.sub(0, e.get(fraction)))
        zeros = e.bits_and(e.sub(bit_length(e, lowest), 1), 0x3C)  # of whole digits at the end
        shown = e.shift_right(e.get(fraction), zeros)
        precision = e.sub(14, e.shift_right(zeros, 2))  # one more than the digits
        digits(shown, e.bits_or(e.shift_left(precision, numbers.PRECISION_SHIFT), HEXADECIMAL))
    literal(b"p")
    digits(e.sub(exponent_of(e, e.get(absolute)), BIAS), EXPONENT)
    e.ret(0)


def millionths(e: Emitter, bits: Value) -> Value:
    """What is behind the point of a number below 2^63, rounded to six digits: 0 to 1,000,000."""
    significand = significand_of(e, bits)
    places = e.sub(BIAS + 52, exponent_of(e, bits))  # bits behind the point
    mask = e.sub(e.shift_left(1, e.bits_and(places, 63)), 1)
    fraction = e.select(e.compare("sgt", places, 52), significand, e.bits_and(significand, mask))
    fraction = e.select(e.compare("sgt", places, 0), fraction, 0)
    # 1,000,000 is 15625 * 2^6; the product has up to 67 bits: 60 of them, and whether the others are 0
    few = e.compare("slt", places, 14)
    fraction = e.select(few, e.shift_left(fraction, e.bits_and(e.sub(14, places), 63)), fraction)
    places = e.select(few, 14, places)
    low = e.mul(e.bits_and(fraction, 0xFF), 15625)
    high = e.add(e.mul(e.shift_right(fraction, 8), 15625), e.shift_right(low, 8))
    lost = e.shift_right(e.add(e.bits_and(low, 0xFF), 0xFF), 8)
    product = e.bits_or(e.shift_left(high, 1), lost)
    shift = e.sub(places, 13)
    return round_even(e, product, e.select(e.compare("ugt", shift, 63), 63, shift))


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("float_to_double", 1): float_to_double,
    ("double_to_float", 1): double_to_float,
    ("long_double_to_double", 2): long_double_to_double,
    ("double_to_long", 1): double_to_long,
    ("long_to_double", 1): long_to_double,
    ("double_order", 1): double_order,
    ("double_text", 1): double_text,
}
