"""Parts of a location: some of its bits as a number, some of its bytes as a location of their own.

    read_bits(InMemory(p), 3, 5, False, at)             ->  user_uint8(p) >>> 3 & 31
    part(Pieces(rax: 64 bits, rdx: 64 bits), 64, 64)    ->  InRegister(1, rdx)

Bits are counted from the least significant of the first byte, as the ABI lays out bit fields on a little-endian machine
(System V ABI, AMD64 supplement, 3.1.2) and as DWARF counts pieces of registers (DWARF 5, 2.6.1.2).
"""

from __future__ import annotations

from collections.abc import Iterator

from probelang.artifact.code import Expr, Number
from probelang.target.arithmetic import binary
from probelang.target.build import extract, load, number, plus
from probelang.target.location import (
    Computed,
    Constant,
    InMemory,
    InRegister,
    Location,
    Piece,
    Pieces,
    PointerTo,
    Unavailable,
)

WORD = 64
OPTIMISED_OUT = "it was optimised out"
SYNTHETIC = "it is a pointer that was optimised out; only what it points to can be read"


def read_bits(location: Location, start: int, count: int, signed: bool, at: int) -> Expr:
    """`count` (1 to 64) bits from bit `start` on, extended to 64. Raises Unavailable."""
    match location:
        case InMemory(address=address):
            return _from_memory(plus(address, start // 8), start % 8, count, signed, at)
        case InRegister(value=value) | Computed(value=value):
            if start + count > WORD:
                raise Unavailable("it is wider than the register that holds it")
            return _field(value, start, count, WORD, signed)
        case Constant(data=data):
            if start + count > 8 * len(data):
                raise Unavailable("its constant value is shorter than its type")
            whole = int.from_bytes(data[start // 8 : (start + count + 7) // 8], "little")
            return extract(number(whole >> start % 8), count, signed)
        case PointerTo():
            raise Unavailable(SYNTHETIC)
        case Pieces():
            parts = [(read_bits(p, s, n, False, at), n) for p, s, n in covering(location, start, count)]
            return _joined(parts, count, signed)


def part(location: Location, start: int, count: int | None) -> Location:
    """The location of `count` bits (None: all that follow) from bit `start` on; `start` is a whole number of bytes where it is in memory."""
    match location:
        case InMemory(address=address):
            return InMemory(plus(address, start // 8))
        case Constant(data=data):
            return Constant(
                data[start // 8 :] if count is None else data[start // 8 : (start + count + 7) // 8]
            )
        case PointerTo():
            if start == 0 and count == WORD:
                return location
            raise Unavailable(SYNTHETIC)
        case InRegister() | Computed():
            if start == 0:
                return location
            return Pieces((Piece(WORD - start if count is None else count, location, start),))
        case Pieces():
            return _part_of_pieces(location, start, count)


def _part_of_pieces(whole: Pieces, start: int, count: int | None) -> Location:
    found: list[Piece] = []
    position = 0
    end = None if count is None else start + count
    for piece in whole.pieces:
        low, high = max(position, start), position + piece.bits
        if end is not None:
            high = min(high, end)
        if low < high:
            found.append(Piece(high - low, piece.location, piece.skip_bits + low - position, piece.reason))
        position += piece.bits
    if len(found) == 1 and (count is None or found[0].bits == count):
        only = found[0]
        in_bytes = isinstance(only.location, InMemory | Constant)
        if only.location is not None and not (in_bytes and only.skip_bits % 8):
            return part(only.location, only.skip_bits, only.bits)
    return Pieces(tuple(found))


def covering(whole: Pieces, start: int, count: int) -> Iterator[tuple[Location, int, int]]:
    """Location, first bit in it and number of bits of everything that holds some of the wanted bits, lowest first."""
    position, end = 0, start + count
    for piece in whole.pieces:
        low, high = max(position, start), min(position + piece.bits, end)
        if low < high:
            if piece.location is None:
                raise Unavailable(piece.reason or OPTIMISED_OUT, optimised=not piece.reason)
            yield piece.location, piece.skip_bits + low - position, high - low
        position += piece.bits
    if position < end:
        raise Unavailable(OPTIMISED_OUT, optimised=True)


def _from_memory(address: Expr, skip: int, count: int, signed: bool, at: int) -> Expr:
    """`skip` less than 8. Only the bytes that hold wanted bits are read: what follows may lie on a page that is not there."""
    size = (skip + count + 7) // 8
    if size in (1, 2, 4, 8):
        reaches_top = skip + count == 8 * size
        return _field(load(address, size, signed and reaches_top, at), skip, count, 8 * size, signed)
    parts: list[tuple[Expr, int]] = []
    offset = 0
    while count > 0:
        step = next(n for n in (8, 4, 2, 1) if n <= size - offset)
        bits = min(8 * step - skip, count)
        parts.append((_from_memory(plus(address, offset), skip, bits, False, at), bits))
        offset, count, skip = offset + step, count - bits, 0
    return _joined(parts, sum(bits for _, bits in parts), signed)


def _field(value: Expr, start: int, count: int, width: int, signed: bool) -> Expr:
    """Of a number of `width` bits, extended as the field is to be where the field reaches its top."""
    if start + count == width:
        return binary(">>" if signed else ">>>", value, Number(start))
    return extract(binary(">>>", value, Number(start)), count, signed)


def _joined(parts: list[tuple[Expr, int]], count: int, signed: bool) -> Expr:
    """One number of several, each with its bits alone, the lowest first."""
    whole: Expr = number(0)
    position = 0
    for value, bits in parts:
        whole = binary("|", binary("<<", value, Number(position)), whole)
        position += bits
    return extract(whole, count, True) if signed else whole
