"""An address of the process -> file and offset, kept as long as the process has not changed its memory map.

    emit(e, address)  ->  as `llvm.unwind.locate`: file << 48 | offset, 0, or UNDECIDED; 20 ns where it is known already

What was found holds as long as its seal does (`llvm.unwind.seal`).

The cache is an array of two words a row: the seal with what was found mixed in, and what was found. Threads write rows
without a lock: of a row that two have written the words do not fit each other, and it is not taken.
"""

from __future__ import annotations

from probelang.llvm.builder import Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.unwind import locate
from probelang.llvm.unwind.seal import seal

ROWS_LOG = 13
ROW_LOG = 4
SECTION = ".bss.located"


def emit(e: Emitter, address: Value) -> Value:
    """Calls a function without frame, so simple handlers may use it."""
    locate.define(e, "located", ("address",), _located)
    return Value(e.assign(f"call i64 @located(i64 {address})"))


def _located(r: Emitter, parameters: list[Value]) -> None:
    (address,) = parameters
    r.module.data("located_rows", SECTION, 1 << ROWS_LOG + ROW_LOG)
    plain = r.fresh("plain")
    tag = seal(r, address, plain)
    row = r.offset(Pointer("@located_rows"), _place(r, tag))
    found = r.load(r.offset(row, 8))
    with r.when(r.compare("eq", r.bits_xor(r.load(row), found), tag)):
        r.ret(found)
    answer = locate.emit(r, address)
    with r.when(r.compare("ne", answer, locate.UNDECIDED)):
        r.store(row, r.bits_xor(answer, tag))
        r.store(r.offset(row, 8), answer)
    r.ret(answer)
    r.start_aside(plain)
    r.ret(locate.emit(r, address))


def _place(r: Emitter, tag: Value) -> Value:
    """A row, in bytes, in a form whose bounds the verifier sees."""
    return r.shift_left(r.bits_and(r.opaque(r.shift_right(tag, 40)), (1 << ROWS_LOG) - 1), ROW_LOG)
