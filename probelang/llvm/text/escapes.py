r"""Strings as text that can be printed: `text_str`, `text_strn`, `%#s`, `%#c`.

escape("a\tb\001", quote=0) -> a\tb\001 (a backslash and a letter, or three octal digits)
"""

from __future__ import annotations

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import Text, append, byte, length_of, limit, set_byte, set_length, text_at

LETTERS = {7: b"a", 8: b"b", 12: b"f", 10: b"n", 13: b"r", 9: b"t", 11: b"v", 34: b'"', 92: b"\\"}


def escape_table() -> bytes:
    """For every byte what stands behind its backslash: a character, 1 for three octal digits, 0 for printed as it is."""
    table = bytearray(0 if 32 <= b < 127 else 1 for b in range(256))
    for character, letter in LETTERS.items():
        table[character] = letter[0]
    return bytes(table)


def escape(e: Emitter, parameters: list[Value]) -> None:
    """(target, source, room) -> how long all of the escaped source is. Appends it to target, in whole escapes, until target
    would be longer than `room`."""
    target, source = text_at(e, parameters[0]), text_at(e, parameters[1])
    room, size = e.cell(parameters[2]), e.cell(length_of(e, source))
    cursor, total = e.cell(length_of(e, target)), e.cell(0)
    table = e.read_only(e.module.table(escape_table()))
    with e.loop(e.get(size)) as loop:
        character = byte(e, source, loop.index)
        kind = e.load(e.offset(table, e.bits_and(character, 255)), bits=8)
        width = e.select(e.compare("eq", kind, 0), 1, e.select(e.compare("eq", kind, 1), 4, 2))
        at = e.get(cursor)
        e.set(total, e.add(e.get(total), width))
        with e.when(e.compare("ugt", e.add(at, width), e.get(room))):
            e.set(room, 0)  # nothing shorter behind it either
            e.branch(loop.head)
        write(e, target, at, character, kind)
        e.set(cursor, e.add(at, width))
    set_length(e, target, limit(e, e.get(cursor), e.string_size))
    e.ret(e.get(total))


def quote(e: Emitter, parameters: list[Value]) -> None:
    """(target, source, room): the escaped source in quotes, in at most `room` bytes and not less than 5; what does not fit ends in
    `...`, which may tear an escape."""
    target, inner = e.cell(parameters[0]), e.cell(e.buffer().offset)
    room = e.cell(e.sub(parameters[2], 2))
    with e.when(e.compare("slt", e.get(room), 3)):
        e.set(room, 3)
    text_offset = e.get(inner)
    set_length(e, text_at(e, text_offset), 0)
    total = e.routine(
        "text_escape", ("text", "from", "room"), escape, e.get(inner), parameters[1], e.get(room)
    )
    complete = e.cell(e.widen(e.compare("ule", total, e.get(room))))
    text, result = text_at(e, e.get(inner)), text_at(e, e.get(target))
    kept = e.cell(length_of(e, text))
    mark = e.read_only(e.module.literal(b'"'))
    set_length(e, result, 0)
    append(e, result, mark, 1)
    with e.when(e.compare("eq", e.get(complete), 0)):
        most = e.sub(e.get(room), 3)
        e.set(kept, e.select(e.compare("ult", e.get(kept), most), e.get(kept), most))
    append(e, result, text.data, e.get(kept))
    with e.when(e.compare("eq", e.get(complete), 0)):
        append(e, result, e.read_only(e.module.literal(b"...")), 3)
    append(e, result, mark, 1)
    e.ret(0)


def write(e: Emitter, target: Text, at: Value, character: Value, kind: Value) -> None:
    def plain() -> None:
        set_byte(e, target, at, character)

    def escaped() -> None:
        set_byte(e, target, at, ord("\\"))
        e.choose(e.compare("eq", kind, 1), octal, lambda: set_byte(e, target, e.add(at, 1), kind))

    def octal() -> None:
        for place, shift in ((1, 6), (2, 3), (3, 0)):
            digit = e.add(e.bits_and(e.shift_right(character, shift), 7), ord("0"))
            set_byte(e, target, e.add(at, place), digit)

    e.choose(e.compare("eq", kind, 0), plain, escaped)
