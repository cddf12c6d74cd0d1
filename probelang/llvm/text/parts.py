"""Parts of strings: substrings, numbers in text, replacement, tokens.

substr("hello", 1, 3) -> "ell"    strtol("0x1f", 0) -> 31    str_replace("a.b", ".", "::") -> "a::b"
"""

from __future__ import annotations

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import (
    Text,
    append,
    byte,
    in_room,
    least,
    length_of,
    limit,
    set_byte,
    set_length,
    text_at,
    within,
)


def substr(e: Emitter, parameters: list[Value]) -> None:
    """(target, source, start, length): the part of source from a position; empty when the position is outside (also below 0) or
    the length is not positive."""
    target, source = text_at(e, parameters[0]), text_at(e, parameters[1])
    start, wanted = parameters[2], parameters[3]
    size = length_of(e, source)
    set_length(e, target, 0)
    with e.when(e.both(e.compare("ult", start, size), e.compare("sgt", wanted, 0))):
        count = least(e, wanted, e.sub(size, start))
        append(e, target, e.offset(source.data, in_room(e, start)), count)
    e.ret(0)


def terminate(e: Emitter, text: Text) -> None:
    """Two NUL bytes behind the string, so that looking ahead finds no garbage."""
    size = length_of(e, text)
    set_byte(e, text, size, 0)
    set_byte(e, text, e.add(size, 1), 0)


def strtol(e: Emitter, parameters: list[Value]) -> None:
    """(source, base): an optional `-`, then digits of base 2 to 36, or of the base that a prefix tells for 0: 16 after `0x`, 8 after
    `0`, else 10; base 16 may have the prefix too. Stops at the first other byte; wraps at 64 bits."""
    source, base = text_at(e, parameters[0]), e.cell(parameters[1])
    terminate(e, source)
    at, sign, value = e.cell(0), e.cell(1), e.cell(0)
    with e.when(e.compare("eq", byte(e, source, 0), ord("-"))):
        e.set(sign, -1)
        e.set(at, 1)
    first, second = byte(e, source, e.get(at)), byte(e, source, e.add(e.get(at), 1))
    zero = e.compare("eq", first, ord("0"))
    prefixed = e.both(zero, e.compare("eq", e.bits_or(second, 32), ord("x")))
    with e.when(e.compare("eq", e.get(base), 0)):
        e.set(base, e.select(prefixed, 16, e.select(zero, 8, 10)))
    with e.when(e.both(prefixed, e.compare("eq", e.get(base), 16))):
        e.set(at, e.add(e.get(at), 2))
    with e.when(e.negate(within(e, e.get(base), 2, 36))):
        e.ret(0)
    with e.loop(e.string_size) as loop:
        digit = digit_value(e, byte(e, source, e.get(at)))
        e.stop_if(loop, e.compare("uge", digit, e.get(base)))
        e.set(value, e.add(e.mul(e.get(value), e.get(base)), digit))
        e.set(at, e.add(e.get(at), 1))
    e.ret(e.mul(e.get(value), e.get(sign)))


def digit_value(e: Emitter, character: Value) -> Value:
    """0 to 35; 255 for what is no digit."""
    lower = e.bits_or(character, 32)
    letter = e.select(within(e, lower, ord("a"), ord("z")), e.sub(lower, ord("a") - 10), 255)
    return e.select(within(e, character, ord("0"), ord("9")), e.sub(character, ord("0")), letter)


def replace(e: Emitter, parameters: list[Value]) -> None:
    """(target, source, old, new): every occurrence of old, from the left, replaced; as it is when old is empty."""
    target, source, old, new = (text_at(e, p) for p in parameters)
    size, wanted = e.cell(length_of(e, source)), e.cell(length_of(e, old))
    start, matched, kept = e.cell(0), e.cell(0), e.cell(0)
    set_length(e, target, 0)
    turns = limit(e, e.mul(e.add(e.get(size), 1), e.get(wanted)), 1 << 23)
    with e.loop(turns) as loop:
        begin, count = e.get(start), e.get(matched)
        e.stop_if(loop, e.compare("uge", e.add(begin, count), e.get(size)))
        same = e.compare("eq", byte(e, source, e.add(begin, count)), byte(e, old, count))
        with e.when(e.negate(same)):
            e.set(start, e.add(begin, 1))
            e.set(matched, 0)
            e.branch(loop.head)
        e.set(matched, e.add(count, 1))
        with e.when(e.compare("eq", e.get(matched), e.get(wanted))):
            append(e, target, e.offset(source.data, in_room(e, e.get(kept))), e.sub(begin, e.get(kept)))
            append(e, target, new.data, length_of(e, new))
            behind = e.add(begin, e.get(wanted))
            e.set(kept, behind)
            e.set(start, behind)
            e.set(matched, 0)
    append(e, target, e.offset(source.data, in_room(e, e.get(kept))), e.sub(e.get(size), e.get(kept)))
    e.ret(0)
