"""Splitting a string into tokens.

    tokenize("a, b", ", ") -> "a"      tokenize(", ") -> "b"      tokenize(", ") -> ""

What is left of the string stays in the frame, so until the end of the hit: its text in memory of the routine, its length in a word
of the frame's header, which a handler sets to 0 when it starts.
"""

from __future__ import annotations

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import (
    append,
    byte,
    in_room,
    length_of,
    limit,
    own_text,
    set_length,
    text_at,
)
from probelang.llvm.values import Cell


def tokenize(e: Emitter, parameters: list[Value]) -> None:
    """(target, source, delimiters): the first token of what is left, of source if that is not 0, goes to target. Tokens are separated
    by one or more of the delimiters' bytes; empty when there is none left."""
    target, delimiters = text_at(e, parameters[0]), text_at(e, parameters[2])
    rest, left = own_text(e), Cell(e.module.header.tokens)
    source = e.cell(parameters[1])
    set_length(e, target, 0)
    with e.when(e.truth(e.get(source))):
        given = text_at(e, e.get(source))
        set_length(e, rest, 0)
        append(e, rest, given.data, length_of(e, given))
        e.set(left, e.load(rest.header, bits=32))
    size, count = e.cell(limit(e, e.get(left), e.string_size)), e.cell(length_of(e, delimiters))
    at, other, begin, end = e.cell(0), e.cell(0), e.cell(-1), e.cell(e.get(size))
    with e.loop(limit(e, e.mul(e.add(e.get(size), 1), e.add(e.get(count), 1)), 1 << 23)) as loop:
        e.stop_if(loop, e.compare("uge", e.get(at), e.get(size)))
        with e.when(e.compare("uge", e.get(other), e.get(count))):  # no delimiter: part of a token
            with e.when(e.compare("slt", e.get(begin), 0)):
                e.set(begin, e.get(at))
            advance(e, at, other)
            e.branch(loop.head)
        same = e.compare("eq", byte(e, rest, e.get(at)), byte(e, delimiters, e.get(other)))
        e.set(other, e.add(e.get(other), 1))
        with e.when(same):
            with e.when(e.compare("sge", e.get(begin), 0)):
                e.set(end, e.get(at))
                e.stop(loop)
            advance(e, at, other)
    with e.when(e.compare("slt", e.get(begin), 0)):
        e.set(left, 0)
        e.ret(0)
    append(e, target, e.offset(rest.data, in_room(e, e.get(begin))), e.sub(e.get(end), e.get(begin)))
    with e.when(e.compare("ult", e.get(end), e.get(size))):
        e.set(
            end, e.add(e.get(end), 1)
        )  # the delimiter that ended the token is gone, whatever ends the next one
    e.set(left, e.sub(e.get(size), e.get(end)))
    moved = limit(e, e.get(left), e.string_size)
    e.copy(rest.data, moved, e.offset(rest.data, in_room(e, e.get(end))))
    e.ret(0)


def advance(e: Emitter, at: Cell, other: Cell) -> None:
    """On to the next byte of the string, and to the first delimiter."""
    e.set(at, e.add(e.get(at), 1))
    e.set(other, 0)
