"""Builtins on strings."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.llvm.builder import Operand, Value
from probelang.llvm.calls.lowering import Lowering, Result, Values, known, number, text
from probelang.llvm.emitter import Emitter
from probelang.llvm.text import comparison, escapes, parts, tokens
from probelang.llvm.text.buffers import in_room
from probelang.llvm.text.compose import Composition, buffer_offset
from probelang.llvm.values import Buffer


def strlen(e: Emitter, values: Values, call: Call) -> Result:
    return text(values, 0).length


def substr(e: Emitter, values: Values, call: Call) -> Result:
    source, result = buffer_offset(e, text(values, 0)), e.buffer()
    names = ("text", "from", "start", "length")
    e.routine("text_part", names, parts.substr, result.offset, source, number(values, 1), number(values, 2))
    return e.text_of(result)


def stringat(e: Emitter, values: Values, call: Call) -> Result:
    """0 outside the string, which has no NUL byte inside."""
    source, position = text(values, 0), number(values, 1)
    if source.offset is None:
        source = e.in_frame(source)
    found = e.cell(0)
    with e.when(e.compare("ult", position, source.length)):
        e.set(found, e.load(e.offset(source.data, in_room(e, position)), bits=8))
    return e.get(found)


def isinstr(e: Emitter, values: Values, call: Call) -> Result:
    haystack, needle = buffer_offset(e, text(values, 0)), buffer_offset(e, text(values, 1))
    index = e.routine("text_find", ("text", "part", "start"), comparison.find, haystack, needle, 0)
    return e.widen(e.compare("sge", index, 0))


def strtol(e: Emitter, values: Values, call: Call) -> Result:
    source = buffer_offset(e, text(values, 0))
    return e.routine("text_number", ("text", "base"), parts.strtol, source, number(values, 1))


def str_replace(e: Emitter, values: Values, call: Call) -> Result:
    result = Composition(e)
    source, old, new = (buffer_offset(e, text(values, i)) for i in range(3))
    e.routine("text_replace", ("text", "from", "old", "new"), parts.replace, result.offset, source, old, new)
    result.grow(e.string_size)
    return result.finish()


def tokenize(e: Emitter, values: Values, call: Call) -> Result:
    """(string, delimiters) starts anew; (delimiters) goes on with what the last one left."""
    result = e.buffer()
    delimiters = buffer_offset(e, text(values, -1))
    source = buffer_offset(e, text(values, 0)) if len(values) == 2 else Value("0")
    names = ("text", "from", "delimiters")
    e.routine("text_token", names, tokens.tokenize, result.offset, source, delimiters)
    return e.text_of(result)


# ------------------------------------------------------------------------------------------------- escaping


def text_str(e: Emitter, values: Values, call: Call) -> Result:
    source, result = buffer_offset(e, text(values, 0)), Composition(e)
    escape(e, result.offset, source, e.string_size + 4)
    result.grow(e.string_size)
    return result.finish()


def escape(e: Emitter, target: Operand, source: Operand, room: Operand) -> Value:
    return e.routine("text_escape", ("text", "from", "room"), escapes.escape, target, source, room)


def text_strn(e: Emitter, values: Values, call: Call) -> Result:
    """(string, n, quoted)"""
    source, result = e.in_frame(text(values, 0)), e.buffer()
    origin = Buffer(source.offset or 0)
    longest = e.string_size - 1
    wanted = number(values, 1)
    fits = e.compare("ult", e.sub(wanted, 1), longest)
    room = e.cell(e.select(fits, wanted, longest))
    quoted = known(number(values, 2))

    def with_quotes() -> None:
        quote(e, result, origin, e.get(room))

    def without() -> None:
        e.set_length(result, 0)
        escape(e, result.offset, origin.offset, e.get(room))

    if quoted is not None:
        (with_quotes if quoted else without)()
    else:
        e.choose(e.truth(number(values, 2)), with_quotes, without)
    return e.text_of(result)


def quote(e: Emitter, result: Buffer, source: Buffer, room: Operand) -> None:
    """The escaped source in quotes, in at most `room` bytes and not less than 5."""
    e.routine("text_quote", ("text", "from", "room"), escapes.quote, result.offset, source.offset, room)


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("strlen", 1): strlen,
    ("substr", 3): substr,
    ("stringat", 2): stringat,
    ("isinstr", 2): isinstr,
    ("strtol", 2): strtol,
    ("tokenize", 2): tokenize,
    ("tokenize", 1): tokenize,
    ("text_str", 1): text_str,
    ("text_strn", 3): text_strn,
    ("str_replace", 3): str_replace,
}
