"""Reads of the process's memory."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call, Piece
from probelang.artifact.integers import INTEGERS
from probelang.llvm.builder import Operand, Value
from probelang.llvm.calls.lowering import Lowering, Result, Values, number
from probelang.llvm.calls.text import quote
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.compose import Composition
from probelang.llvm.text.format import format_piece
from probelang.llvm.text.userstring import FAULT, finish_read, read_user_bytes, read_user_string
from probelang.llvm.values import Cell, StrVal


def read_number(e: Emitter, address: Value, bits: int, at: int, signed: bool = False) -> Value:
    with e.key_memory(8) as memory:
        read_user_bytes(e, memory, address, bits // 8, at)
        return e.load(memory, bits=bits, signed=signed)


def read_as(bits: int, signed: bool) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        return read_number(e, number(values, 0), bits, call.at, signed)

    return lower


def return_address(e: Emitter, values: Values, call: Call) -> Result:
    from probelang.llvm.callers import returnaddress

    return returnaddress.read_once(e, number(values, 0), call)


def read_string(e: Emitter, address: Value, most: Operand, failed: Cell) -> StrVal:
    buffer = e.buffer()
    read_user_string(e, buffer, address, most, failed)
    return finish_read(e, buffer)


def user_string(e: Emitter, values: Values, call: Call) -> Result:
    """(address[, n][, fallback])"""
    address = e.cell(number(values, 0))
    rest = values[1:]
    most: Operand = e.string_size
    if rest and isinstance(rest[0], Value):
        most = at_most(e, rest[0])
        rest = rest[1:]
    failed = e.cell(0)
    if not rest:
        found = read_string(e, e.get(address), most, failed)
        e.fail_if(e.truth(e.get(failed)), FAULT, call.at, e.get(address))
        return found
    fallback = rest[0]
    assert isinstance(fallback, StrVal)
    buffer = e.buffer()
    read_user_string(e, buffer, e.get(address), most, failed)
    with e.when(e.truth(e.get(failed))):
        e.copy_to_buffer(buffer, fallback)
    return finish_read(e, buffer)


def at_most(e: Emitter, wanted: Value) -> Value:
    """0 to string_size: one byte more than fits shows that the string is longer."""
    positive = e.select(e.compare("slt", wanted, 0), 0, wanted)
    return e.select(e.compare("ugt", positive, e.string_size), e.string_size, positive)


def user_string_quoted(e: Emitter, values: Values, call: Call) -> Result:
    """(address[, n])"""
    address, failed = e.cell(number(values, 0)), e.cell(0)
    most: Operand = at_most(e, number(values, 1)) if len(values) > 1 else e.string_size
    result, read = e.buffer(), e.buffer()

    def null() -> None:
        e.copy_to_buffer(result, e.literal(b"NULL"))

    def fault() -> None:
        composition = Composition(e)
        format_piece(composition, Piece("p"), iter([e.get(address)]), call.at)
        e.copy_to_buffer(result, composition.finish())

    def quoted() -> None:
        quote(e, result, read, e.string_size - 1)

    def present() -> None:
        read_user_string(e, read, e.get(address), most, failed)
        e.choose(e.truth(e.get(failed)), fault, quoted)

    e.choose(e.compare("eq", e.get(address), 0), null, present)
    return e.text_of(result)


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("user_return_address", 1): return_address,
    **{(name, 1): read_as(bits, signed) for name, (bits, signed) in INTEGERS.items()},
    ("user_string", 1): user_string,
    ("user_string", 2): user_string,
    ("user_string2", 2): user_string,
    ("user_string_n", 2): user_string,
    ("user_string_n", 3): user_string,
    ("user_string_n2", 3): user_string,
    ("user_string_quoted", 1): user_string_quoted,
    ("user_string_n_quoted", 2): user_string_quoted,
}
