"""Strings in the frame as routines see them: shapes of access that the verifier accepts for any argument.

    def find(e, (haystack, needle)):                     # offsets of buffers in the frame
        h = text_at(e, haystack); n = text_at(e, needle)
        ... byte(e, h, index) ...

Three rules keep the verifier's work small. What changes in a loop lives in cells of the frame, of whose values the verifier
knows nothing, so the second turn of a loop looks like the first and it stops there. An index is masked and a length limited
right before it is added to an address. And that happens behind an empty `asm`, because LLVM otherwise compares one register
and adds another.

A buffer has room for twice the capacity. While a string is composed its length may be `string_size`, which says "too
long"; `finish` (`probelang.llvm.strings`) ends that state.
Sources: kernel/bpf/verifier.c (`process_iter_next_call`, `adjust_ptr_min_max_vals`).
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.llvm.builder import Bit, Operand, Pointer, Value, constant
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import TEXT_HEADER
from probelang.llvm.values import Cell


@dataclass(frozen=True, slots=True)
class Text:
    """A string buffer: addresses of its header and its data."""

    header: Pointer
    data: Pointer


def text_at(e: Emitter, offset: Value) -> Text:
    """The buffer at an offset of the frame that is an argument of the routine."""
    header = e.checked_buffer(opaque(e, offset))
    return Text(header, e.offset(header, TEXT_HEADER))


def own_text(e: Emitter) -> Text:
    """A buffer that belongs to the routine alone."""
    header = e.at(e.buffer().offset)
    return Text(header, e.offset(header, TEXT_HEADER))


def opaque(e: Emitter, value: Operand) -> Value:
    """The same value, about which LLVM knows nothing."""
    return Value(e.assign(f'call i64 asm sideeffect "", "=r,0"(i64 {constant(value)})'))


def limit(e: Emitter, value: Operand, highest: int) -> Value:
    """min(value, highest), unsigned, in a form that the verifier follows."""
    if isinstance(value, int):
        return Value(str(min(value, highest)))
    hidden = opaque(e, value)
    return opaque(e, e.select(e.compare("ugt", hidden, highest), highest, hidden))


def in_room(e: Emitter, index: Operand) -> Value:
    """`index` modulo the room of a buffer, in a form that the verifier follows."""
    return opaque(e, e.bits_and(opaque(e, index), 2 * e.capacity - 1))


def length_of(e: Emitter, text: Text) -> Value:
    """The length, at most string_size."""
    return limit(e, e.load(text.header, bits=32), e.string_size)


def set_length(e: Emitter, text: Text, length: Operand) -> None:
    e.store(text.header, length)


def byte(e: Emitter, text: Text, index: Operand) -> Value:
    return e.load(e.offset(text.data, in_room(e, index)), bits=8)


def set_byte(e: Emitter, text: Text, index: Operand, value: Operand) -> None:
    e.store(e.offset(text.data, in_room(e, index)), value, bits=8)


def put(e: Emitter, text: Text, cursor: Cell, value: Operand) -> None:
    """Writes a byte at the cursor, which goes on until string_size."""
    at = e.get(cursor)
    set_byte(e, text, at, value)
    with e.when(e.compare("ult", at, e.string_size)):
        e.set(cursor, e.add(at, 1))


def append(e: Emitter, text: Text, source: Pointer, count: Operand) -> None:
    """Copies `count` bytes behind what `text` holds. One copy by the kernel is quicker than a loop."""
    start = length_of(e, text)
    size = limit(e, count, e.string_size)
    e.copy(e.offset(text.data, start), size, source)
    set_length(e, text, limit(e, e.add(start, size), e.string_size))


def least(e: Emitter, a: Operand, b: Operand) -> Value:
    """The smaller one of two signed numbers."""
    return e.select(e.compare("slt", a, b), a, b)


def within(e: Emitter, value: Operand, low: int, high: int) -> Bit:
    """low <= value <= high"""
    return e.compare("ule", e.sub(value, low), high - low)
