r"""Strings as text that can be printed: `text_str`, `text_strn`, `%#s`, `%#c`.

escape("a\tb\001", quote=0) -> a\tb\001 (a backslash and a letter, or three octal digits)
"""

from __future__ import annotations

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import Text, byte, length_of, limit, set_byte, set_length, text_at

LETTERS = {7: b"a", 8: b"b", 12: b"f", 10: b"n", 13: b"r", 9: b"t", 11: b"v", 34: b'"', 92: b"\\"}


def escape_table() -> bytes:
    """For every byte what stands behind its backslash: a character, 1 for three octal digits, 0 for printed as it is."""
    table = bytearray(0 if 32 <= b < 127 else 1 for b in range(256))
    for character, letter in LETTERS.items():
        table[character] = letter[0]
    return bytes(table)


def escape(e: Emitter, parameters: list[Value]) -> None:
    """(target, source, room) -> how many bytes of source were written. Appends the escaped source to target, in whole
    escapes, until target would be longer than `room`."""
    target, source = text_at(e, parameters[0]), text_at(e, parameters[1])
    room, size = e.cell(parameters[2]), e.cell(length_of(e, source))
    cursor, done = e.cell(length_of(e, target)), e.cell(0)
    table = e.read_only(e.module.table(escape_table()))
    with e.loop(e.get(size)) as loop:
        character = byte(e, source, e.get(done))
        kind = e.load(e.offset(table, e.bits_and(character, 255)), bits=8)
        width = e.select(e.compare("eq", kind, 0), 1, e.select(e.compare("eq", kind, 1), 4, 2))
        at = e.get(cursor)
        e.stop_if(loop, e.compare("ugt", e.add(at, width), e.get(room)))
        write(e, target, at, character, kind)
        e.set(cursor, e.add(at, width))
        e.set(done, e.add(e.get(done), 1))
    set_length(e, target, limit(e, e.get(cursor), e.string_size))
    e.ret(e.get(done))


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
