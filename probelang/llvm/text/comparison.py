"""Comparing and searching strings.

compare("abc", "abd") -> -1      find("hello", "l") -> 2      matches(automaton, "subject") -> 1
"""

from __future__ import annotations

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import byte, in_room, length_of, limit, text_at

WORD = 8


def compare(e: Emitter, parameters: list[Value]) -> None:
    """Order of two strings as strcmp: negative, 0 or positive. Eight bytes a turn; in the last word only those that
    belong to both."""
    a, b = text_at(e, parameters[0]), text_at(e, parameters[1])
    left, right = e.cell(length_of(e, a)), e.cell(length_of(e, b))
    result = e.cell(e.sub(e.get(left), e.get(right)))
    common = e.cell(e.select(e.compare("ult", e.get(left), e.get(right)), e.get(left), e.get(right)))
    words = e.shift_right(e.add(e.get(common), WORD - 1), 3)
    with e.loop(words, plain_turns=e.string_size // WORD + 1) as loop:
        at = in_room(e, e.bits_and(e.shift_left(loop.index, 3), 2 * e.capacity - WORD))
        one, two = e.load(e.offset(a.data, at)), e.load(e.offset(b.data, at))
        rest = e.sub(e.get(common), e.shift_left(loop.index, 3))
        surplus = e.select(e.compare("ult", rest, WORD), e.shift_left(e.sub(WORD, rest), 3), 0)
        one, two = e.shift_left(swapped(e, one, surplus), 0), swapped(e, two, surplus)
        with e.when(e.compare("ne", one, two)):
            e.set(result, e.select(e.compare("ult", one, two), -1, 1))
            e.stop(loop)
    e.ret(e.get(result))


def swapped(e: Emitter, word: Value, surplus_bits: Value) -> Value:
    """The bytes of a word as a big-endian number, without the last `surplus_bits` (0 to 56)."""
    number = Value(e.assign(f"call i64 @llvm.bswap.i64(i64 {word})"))
    return e.shift_right(number, e.bits_and(surplus_bits, 63))


def find(e: Emitter, parameters: list[Value]) -> None:
    """Index of the first occurrence of a string in another from an index on, or -1. The empty string is found at once."""
    haystack, needle = text_at(e, parameters[0]), text_at(e, parameters[1])
    start, matched, result = e.cell(parameters[2]), e.cell(0), e.cell(-1)
    size, wanted = e.cell(length_of(e, haystack)), e.cell(length_of(e, needle))
    with e.when(e.compare("eq", e.get(wanted), 0)):
        e.ret(e.get(start))
    with e.loop(limit(e, e.mul(e.add(e.get(size), 1), e.get(wanted)), 1 << 23)) as loop:
        begin, count = e.get(start), e.get(matched)
        e.stop_if(loop, e.compare("uge", e.add(begin, count), e.get(size)))
        same = e.compare("eq", byte(e, haystack, e.add(begin, count)), byte(e, needle, count))
        go_on = e.fresh("next")
        with e.when(e.negate(same)):
            e.set(start, e.add(begin, 1))
            e.set(matched, 0)
            e.branch(go_on)
        e.set(matched, e.add(count, 1))
        with e.when(e.compare("eq", e.get(matched), e.get(wanted))):
            e.set(result, begin)
            e.stop(loop)
        e.start(go_on)
    e.ret(e.get(result))


def equal(e: Emitter, parameters: list[Value]) -> None:
    """1 when two strings are the same, else 0."""
    a, b = text_at(e, parameters[0]), text_at(e, parameters[1])
    size, result = e.cell(length_of(e, a)), e.cell(1)
    with e.when(e.compare("ne", e.get(size), length_of(e, b))):
        e.ret(0)
    words = e.shift_right(e.add(e.get(size), WORD - 1), 3)
    with e.loop(words, plain_turns=e.string_size // WORD + 1) as loop:
        at = in_room(e, e.bits_and(e.shift_left(loop.index, 3), 2 * e.capacity - WORD))
        rest = e.sub(e.get(size), e.shift_left(loop.index, 3))
        surplus = e.select(e.compare("ult", rest, WORD), e.shift_left(e.sub(WORD, rest), 3), 0)
        difference = e.bits_xor(e.load(e.offset(a.data, at)), e.load(e.offset(b.data, at)))
        with e.when(e.truth(e.shift_left(difference, e.bits_and(surplus, 63)))):
            e.set(result, 0)
            e.stop(loop)
    e.ret(e.get(result))
