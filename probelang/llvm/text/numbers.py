"""One conversion of a format: numbers, and strings and characters with width and precision.

    format_number(target, -5, spec("%+06d")) appends "-00005"

How a conversion looks is one number, made by the compiler where it is known (`spec`):
bits 0-7 base, 8-15 letters (what is added to a digit above 9), 16-23 flags, 24-43 width, 44-63 precision + 1 (0: none).
Padding comes from rows of spaces and zeros in read-only memory: a copy by the kernel instead of a loop.
"""

from __future__ import annotations

from probelang.llvm.builder import Bit, Operand, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import Text, append, byte, length_of, limit, put, set_length, text_at
from probelang.llvm.values import Cell

SIGNED, LEFT, ZEROS, PLUS, BLANK, PREFIX = 1, 2, 4, 8, 16, 32
BASE_SHIFT, LETTERS_SHIFT, FLAGS_SHIFT, WIDTH_SHIFT, PRECISION_SHIFT = 0, 8, 16, 24, 44
DIGITS_MAX = 22  # of 64 bits in base 8


def pattern(e: Emitter, character: int) -> Pointer:
    """A string's length of one character in read-only memory."""
    return e.read_only(e.module.table(bytes([character]) * e.string_size))


def pad(e: Emitter, target: Text, character: int, count: Operand) -> None:
    """Appends `count` of a character; count is signed, nothing when not positive."""
    with e.when(e.compare("sgt", count, 0)):
        append(e, target, pattern(e, character), count)


def bits(e: Emitter, word: Value, shift: int, mask: int) -> Value:
    return e.bits_and(e.shift_right(word, shift), mask)


def format_number(e: Emitter, parameters: list[Value]) -> None:
    """(target, value, spec): appends one number as printf does."""
    target, spec = text_at(e, parameters[0]), e.cell(parameters[2])
    magnitude, sign = e.cell(parameters[1]), e.cell(0)
    precision = e.cell(e.sub(bits(e, e.get(spec), PRECISION_SHIFT, (1 << 20) - 1), 1))
    put_sign(e, magnitude, sign, spec)
    value = e.cell(e.get(magnitude))
    digits = e.reserve(32)
    count = e.cell(0)
    with e.when(e.either(e.compare("ne", e.get(value), 0), e.compare("ne", e.get(precision), 0))):
        write_digits(e, magnitude, spec, digits, count)
    zeros = e.cell(e.sub(e.get(precision), e.get(count)))
    put_prefix(e, value, sign, spec, zeros, count)
    with e.when(e.compare("slt", e.get(zeros), 0)):
        e.set(zeros, 0)
    width = bits(e, e.get(spec), WIDTH_SHIFT, (1 << 20) - 1)
    sign_length = e.cell(e.shift_right(e.get(sign), 16))
    blank = e.cell(e.sub(width, e.add(e.add(e.get(sign_length), e.get(zeros)), e.get(count))))
    with e.when(zero_padded(e, spec, precision)), e.when(e.compare("sgt", e.get(blank), 0)):
        e.set(zeros, e.add(e.get(zeros), e.get(blank)))
        e.set(blank, 0)
    left = e.cell(has(e, spec, LEFT))
    with e.when(e.compare("eq", e.get(left), 0)):
        pad(e, target, ord(" "), e.get(blank))
    start = e.at(sign.offset)
    append(e, target, start, limit(e, e.get(sign_length), 2))
    pad(e, target, ord("0"), e.get(zeros))
    first = limit(e, e.sub(DIGITS_MAX, e.get(count)), DIGITS_MAX)
    append(e, target, e.offset(e.at(digits), first), limit(e, e.get(count), DIGITS_MAX))
    with e.when(e.truth(e.get(left))):
        pad(e, target, ord(" "), e.get(blank))
    e.ret(0)


def has(e: Emitter, spec: Cell, flag: int) -> Value:
    """Not 0 when the flag is set."""
    return e.bits_and(e.get(spec), flag << FLAGS_SHIFT)


def zero_padded(e: Emitter, spec: Cell, precision: Cell) -> Bit:
    """Flag 0 counts only without a precision, as in C, and not when a negative width from an argument aligns left."""
    flags = e.bits_and(e.get(spec), (ZEROS | LEFT) << FLAGS_SHIFT)
    return e.both(e.compare("eq", flags, ZEROS << FLAGS_SHIFT), e.compare("slt", e.get(precision), 0))


def put_sign(e: Emitter, magnitude: Cell, sign: Cell, spec: Cell) -> None:
    """`sign` becomes up to two characters and, from bit 16, their number; `magnitude` positive."""
    with e.when(e.truth(has(e, spec, SIGNED))):
        one = 1 << 16
        plus = e.select(e.truth(has(e, spec, PLUS)), one | ord("+"), 0)
        e.set(sign, e.select(e.truth(has(e, spec, BLANK)), one | ord(" "), plus))
        with e.when(e.compare("slt", e.get(magnitude), 0)):
            e.set(sign, one | ord("-"))
            e.set(magnitude, e.sub(0, e.get(magnitude)))


def put_prefix(e: Emitter, value: Cell, sign: Cell, spec: Cell, zeros: Cell, count: Cell) -> None:
    """Flag `#`: 0x before base 16, also of 0 (which C prints without); in base 8 the first digit is a 0."""
    base = e.cell(e.bits_and(e.get(spec), 255))
    with e.when(e.truth(has(e, spec, PREFIX))):
        with e.when(e.compare("eq", e.get(base), 16)):
            # the letters x and X are as far from each other as a and A
            letter = e.add(bits(e, e.get(spec), LETTERS_SHIFT, 255), ord("x") - (ord("a") - ord("0") - 10))
            e.set(sign, e.bits_or(2 << 16 | ord("0"), e.shift_left(letter, 8)))
        with e.when(e.both(e.compare("eq", e.get(base), 8), e.compare("sle", e.get(zeros), 0))):
            no_zero_yet = e.either(e.compare("ne", e.get(value), 0), e.compare("eq", e.get(count), 0))
            e.set(zeros, e.select(no_zero_yet, 1, e.get(zeros)))


def write_digits(e: Emitter, value: Cell, spec: Cell, digits: int, count: Cell) -> None:
    """The digits of `value`, at least one, at the end of the DIGITS_MAX bytes at `digits`."""
    with e.loop(DIGITS_MAX, plain_turns=DIGITS_MAX) as loop:
        base = e.bits_and(e.get(spec), 255)
        rest = e.get(value)
        digit = e.arithmetic("urem", rest, base)
        e.set(value, e.arithmetic("udiv", rest, base))
        letters = e.select(e.compare("ugt", digit, 9), bits(e, e.get(spec), LETTERS_SHIFT, 255), 0)
        e.set(count, e.add(e.get(count), 1))
        at = limit(e, e.sub(DIGITS_MAX, e.get(count)), DIGITS_MAX)
        e.store(e.offset(e.at(digits), at), e.add(e.add(digit, ord("0")), letters), bits=8)
        e.stop_if(loop, e.compare("eq", e.get(value), 0))


def format_text(e: Emitter, parameters: list[Value]) -> None:
    """(target, source, spec, size): appends `size` bytes (or fewer, the source's length) and the padding that a text of `size`
    bytes needs to fill the width."""
    target, source, spec = text_at(e, parameters[0]), text_at(e, parameters[1]), e.cell(parameters[2])
    length = length_of(e, source)
    shown = e.cell(e.select(e.compare("ult", parameters[3], length), parameters[3], length))
    blank = e.cell(e.sub(bits(e, e.get(spec), WIDTH_SHIFT, (1 << 20) - 1), parameters[3]))
    left = e.cell(has(e, spec, LEFT))
    with e.when(e.compare("eq", e.get(left), 0)):
        pad(e, target, ord(" "), e.get(blank))
    append(e, target, source.data, e.get(shown))
    with e.when(e.truth(e.get(left))):
        pad(e, target, ord(" "), e.get(blank))
    e.ret(0)


def format_bytes(e: Emitter, parameters: list[Value]) -> None:
    """(target, source) -> twice the length of source, whose bytes are appended as two hexadecimal digits each."""
    target, source = text_at(e, parameters[0]), text_at(e, parameters[1])
    size = e.cell(length_of(e, source))
    cursor = e.cell(length_of(e, target))
    with e.loop(e.get(size)) as loop:
        value = byte(e, source, loop.index)
        for nibble in (e.shift_right(value, 4), e.bits_and(value, 15)):
            letters = e.select(e.compare("ugt", nibble, 9), ord("a") - ord("0") - 10, 0)
            put(e, target, cursor, e.add(e.add(nibble, ord("0")), letters))
    set_length(e, target, e.get(cursor))
    e.ret(e.shift_left(e.get(size), 1))
