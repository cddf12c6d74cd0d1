"""A stack's addresses as text.

addresses_to_text(0x401136, 0x7f0000000010)  ->  "0x401136 0x7f0000000010"
"""

from __future__ import annotations

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import Text, set_byte, set_length, text_at
from probelang.llvm.values import Cell

NIBBLES = 16
ROOM = 1024  # bytes of addresses


def addresses_to_text(e: Emitter, parameters: list[Value]) -> None:
    """(target, place of addresses in the frame, count): `0x` and digits, separated by spaces, as many whole addresses as fit."""
    target, raw = text_at(e, parameters[0]), e.checked(parameters[1], ROOM)
    cursor, kept, address, started = e.cell(0), e.cell(0), e.cell(0), e.cell(0)
    longest = e.string_size - 1
    with e.loop(parameters[2]) as loop:
        at = e.bits_and(e.shift_left(e.opaque(loop.index), 3), ROOM - 8)
        e.set(address, e.load(e.offset(raw, e.opaque(at))))
        e.set(cursor, e.get(kept))
        with e.when(e.truth(e.get(kept))):
            write(e, target, cursor, Value(str(ord(" "))))
        write(e, target, cursor, Value(str(ord("0"))))
        write(e, target, cursor, Value(str(ord("x"))))
        e.set(started, 0)
        with e.loop(NIBBLES) as nibbles:
            nibble = e.bits_and(e.shift_right(e.get(address), 60), 15)
            e.set(address, e.shift_left(e.get(address), 4))
            is_last = e.compare("eq", nibbles.index, NIBBLES - 1)
            e.set(started, e.bits_or(e.get(started), e.bits_or(nibble, e.widen(is_last))))
            with e.when(e.truth(e.get(started))):
                letters = e.select(e.compare("ugt", nibble, 9), ord("a") - ord("0") - 10, 0)
                write(e, target, cursor, e.add(e.add(nibble, ord("0")), letters))
        e.stop_if(loop, e.compare("ugt", e.get(cursor), longest))
        e.set(kept, e.get(cursor))
    set_length(e, target, e.get(kept))
    e.ret(0)


def write(e: Emitter, target: Text, cursor: Cell, value: Value) -> None:
    """One byte; the longest address fits behind any string in a buffer's room."""
    set_byte(e, target, e.get(cursor), value)
    e.set(cursor, e.add(e.get(cursor), 1))
