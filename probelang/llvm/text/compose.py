"""A string put together piece by piece in a frame buffer, cut once, at its end.

    c = Composition(e); c.text(e.literal(b"pid ")); c.text(name); return c.finish()

`most` is the largest length that the pieces can have together: where that is within bounds, nothing is checked at the end.
"""

from __future__ import annotations

from probelang.llvm.builder import Operand, Value
from probelang.llvm.cut import ELLIPSIS
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import TEXT_HEADER
from probelang.llvm.text.buffers import (
    Text,
    append,
    byte,
    in_room,
    length_of,
    limit,
    opaque,
    set_length,
    text_at,
)
from probelang.llvm.values import Buffer, StrVal


class Composition:
    """See the module. While `known` is not None the length is that, whatever the buffer's header says."""

    def __init__(self, e: Emitter) -> None:
        self.e = e
        self.buffer = e.buffer()
        self.known: int | None = 0
        self.most = 0
        self.has_nul = False

    @property
    def target(self) -> Text:
        header = self.e.at(self.buffer.offset)
        return Text(header, self.e.offset(header, TEXT_HEADER))

    @property
    def offset(self) -> Value:
        """The buffer, as an argument for routines that append to it."""
        self.settle()
        return Value(str(self.buffer.offset))

    def settle(self) -> None:
        """Writes a known length down."""
        if self.known is not None:
            self.e.set_length(self.buffer, self.known)
            self.known = None

    def grow(self, most: int) -> None:
        self.most = min(self.most + most, 1 << 30)

    def text(self, text: StrVal) -> None:
        e = self.e
        if text.literal is not None:
            self.literal(text.literal)
            return
        longest = text.padded - 1 if text.padded else e.string_size - 1
        if self.known is not None and self.known < e.string_size:
            length = opaque(e, e.mask(text.length))
            e.copy(e.data(self.buffer, self.known), length, text.data)
            self.store_length(e.add(length, self.known), self.known + longest)
        else:
            self.settle()
            append(e, self.target, text.data, e.mask(text.length))
        self.known = None
        self.grow(longest)

    def store_length(self, length: Value, most: int) -> None:
        fits = most <= self.e.string_size
        self.e.set_length(self.buffer, length if fits else limit(self.e, length, self.e.string_size))

    def literal(self, data: bytes) -> None:
        e = self.e
        data = data[: e.string_size]
        if not data:
            return
        source = e.read_only(e.module.literal(data))
        if self.known is not None and self.known < e.string_size:
            e.copy(e.data(self.buffer, self.known), len(data), source)
            self.known = min(self.known + len(data), e.string_size)
        else:
            self.settle()
            append(e, self.target, source, len(data))
        self.grow(len(data))

    def byte(self, value: Operand) -> None:
        """One byte; 0 ends the whole string there."""
        e = self.e
        self.settle()
        start = limit(e, e.load(self.target.header, bits=32), e.string_size)
        e.store(e.offset(self.target.data, in_room(e, start)), value, bits=8)
        e.set_length(self.buffer, limit(e, e.add(start, 1), e.string_size))
        self.has_nul = True
        self.grow(1)

    def finish(self) -> StrVal:
        e = self.e
        if self.has_nul:
            e.routine("text_until_nul", ("text",), until_nul, self.offset)
        if self.known is not None:
            too_long = self.known >= e.string_size
            self.settle()
            if too_long:
                cut(e, self.buffer)
        elif self.most >= e.string_size:
            cut_if_long(e, self.buffer)
        return e.text_of(self.buffer)


def cut_if_long(e: Emitter, buffer: Buffer) -> None:
    """Ends the state "too long" of a buffer that has been filled."""
    length = e.load(e.at(buffer.offset), bits=32)
    with e.when(e.compare("uge", length, e.string_size)):
        cut(e, buffer)


def cut(e: Emitter, buffer: Buffer) -> None:
    kept = e.string_size - 1 - len(ELLIPSIS)
    for i, character in enumerate(ELLIPSIS):
        e.store(e.data(buffer, kept + i), character, bits=8)
    e.set_length(buffer, e.string_size - 1)
    e.count_cut()


def until_nul(e: Emitter, parameters: list[Value]) -> None:
    """(text): ends the string at its first NUL byte."""
    text = text_at(e, parameters[0])
    size = e.cell(length_of(e, text))
    with e.loop(e.get(size)) as loop, e.when(e.compare("eq", byte(e, text, loop.index), 0)):
        set_length(e, text, loop.index)
        e.stop(loop)
    e.ret(0)


def buffer_offset(e: Emitter, text: StrVal) -> Value:
    """The string as an argument of a routine: the frame buffer that it is in, or a new one with a copy of it."""
    if text.offset is None:
        text = e.in_frame(text)
    if text.offset is None:
        raise AssertionError("a copy in the frame has an offset")
    return Value(str(text.offset))
