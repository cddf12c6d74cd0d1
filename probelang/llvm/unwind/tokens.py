"""Tokens: short strings that stand for a stack or a name until they are shown (`probelang.artifact.stacks`).

    name_token(e, NAME_TOKEN, address)  ->  "\\x1bF0001000000001139" + "00000000"      four words, in registers until they are stored

The name of a function is not known here, only the byte of its code: a function that is seen at several of its bytes has several
tokens, and what shows them puts equal names together.
"""

from __future__ import annotations

from probelang.artifact.stacks import NAME_TOKEN_BYTES, OFFSET_MASK, STACK_TOKEN, STACK_TOKEN_BYTES
from probelang.llvm.builder import Operand, Value
from probelang.llvm.callers import located
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import PID_TGID, STACK_LIMIT
from probelang.llvm.unwind import area as areas
from probelang.llvm.unwind.frameless import define
from probelang.llvm.values import NeedsFrame, StrVal

LOW_HALF = (1 << 32) - 1


def name_token(e: Emitter, kind: bytes, address: Value) -> StrVal:
    """NAME_TOKEN or DATA_TOKEN of an address. Where it lies in no file, or that cannot be told, with the process."""
    frame, process = e.cell(e.bits_and(address, OFFSET_MASK)), e.cell(0)
    found = e.cell(located.emit(e, address)) if areas.is_possible(e) else e.cell(0)
    known, behind, nameless = e.fresh("known"), e.fresh("behind"), e.fresh("nameless")
    # both 0 and UNDECIDED are smaller than any frame of a file, once 1 is added
    e.branch_if(e.compare("ugt", e.add(e.get(found), 1), 1), known, nameless)
    e.start(nameless)
    e.set(process, e.shift_right(e.helper(PID_TGID), 32))
    e.branch(behind)
    e.start_aside(known)
    e.set(frame, e.get(found))
    e.start(behind)
    return _token(e, kind, (*_halves(e, e.get(frame)), e.get(process)), NAME_TOKEN_BYTES)


def stack_token(e: Emitter, number: Value) -> StrVal:
    """The token of an entry of the map `stacks`."""
    return _token(e, STACK_TOKEN, _halves(e, number), STACK_TOKEN_BYTES)


def _halves(e: Emitter, value: Value) -> tuple[Value, Value]:
    return e.shift_right(value, 32), e.bits_and(value, LOW_HALF)


def _token(e: Emitter, kind: bytes, numbers: tuple[Value, ...], size_bytes: int) -> StrVal:
    """Two bytes, then each number as eight digits, zeros behind."""
    padded = (size_bytes + 7) // 8 * 8
    held = [e.cell(number) for number in numbers]
    digits = [e.cell(_digits(e, e.get(h))) for h in held]
    if e.simple:
        e.stack_bytes += padded
        if e.stack_bytes > STACK_LIMIT:
            raise NeedsFrame
        memory = e.alloca(padded)
    else:
        memory = e.at(e.reserve(padded))
    last: Operand = int.from_bytes(kind, "little")
    for i, cell in enumerate(digits):
        e.store(e.offset(memory, 8 * i), e.bits_or(e.shift_left(e.get(cell), 16), last))
        last = e.shift_right(e.get(cell), 48)
    e.store(e.offset(memory, 8 * len(digits)), last)
    return StrVal(memory, Value(str(size_bytes)), padded=padded)


def _digits(e: Emitter, value: Value) -> Value:
    """The eight hexadecimal digits of 32 bits, the first in the lowest byte."""
    define(e, "hex_digits", ("value",), _spread)
    return Value(e.assign(f"call i64 @hex_digits(i64 {value})"))


def _spread(r: Emitter, parameters: list[Value]) -> None:
    """Halves, quarters and nibbles change places and move apart; then all eight become letters at once."""
    x = parameters[0]
    for shift, mask in ((16, 0x0000FFFF), (8, 0x000000FF000000FF), (4, 0x000F000F000F000F)):
        low = r.shift_left(r.bits_and(x, mask), 2 * shift)
        x = r.bits_or(low, r.bits_and(r.shift_right(x, shift), mask))
    ones = 0x0101010101010101
    letters = r.bits_and(r.shift_right(r.add(x, 6 * ones), 4), ones)  # 1 where a digit is above 9
    r.ret(r.add(r.add(x, ord("0") * ones), r.mul(letters, ord("a") - ord("0") - 10)))
