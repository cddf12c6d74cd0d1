"""Writing what a variable of the program is: the opposite of `values`.

    assign(find_place(Object(int, InMemory(p))), x, around)           ->  set_user_int32(p, x)
    assign(find_place(Object(int, InRegister(5, rdi))), x, around)    ->  set_register("rdi", x & 0xffffffff | rdi & ~0xffffffff)

A bit field is written with the bytes that hold it, and of a register the other bits stay as they are. What is nowhere, or in several
places, cannot be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from probelang.artifact.code import Assign, Call, Compare, Expr, Number, Text, Type
from probelang.diag.deferred import variables
from probelang.dwarf.ctypes import Array, Base, CType, Enum, Pointer, Struct, bare, type_name
from probelang.target.arithmetic import binary
from probelang.target.bits import WORD, covering, read_bits
from probelang.target.build import extract, load, number, plus, register
from probelang.target.location import Computed, Constant, InMemory, InRegister, Location, Pieces, PointerTo
from probelang.target.mistake import TargetMistake
from probelang.target.registers import RSP, name_of
from probelang.target.values import Object, Surroundings, follow_references, is_signed, value

_NO_PLACE = "it has no place of its own here, only a value"
_SIZES = (8, 4, 2, 1)


@dataclass(frozen=True, slots=True)
class Place:
    """What can be changed: `bits` bits from bit `first` of a register, or of the byte at an address, on."""

    type: CType
    location: InMemory | InRegister
    first: int
    bits: int

    @property
    def is_bool(self) -> bool:
        plain = bare(self.type)
        return isinstance(plain, Base) and plain.encoding == "bool"


def find_place(obj: Object, around: Surroundings) -> Place:
    """Raises TargetMistake and Unavailable."""
    obj = follow_references(obj, around)
    plain = bare(obj.type)
    match plain:
        case Struct():
            _refuse(f"it is a {plain.kind}; its members can be")
        case Array():
            _refuse("it is an array; its elements can be")
        case Base(encoding="float", size_bytes=size) if size not in (4, 8):
            _refuse(f"floating point numbers of {size} bytes (`{type_name(obj.type)}`) cannot be written")
        case Base() | Enum() | Pointer():
            bits = obj.bit_size or 8 * plain.size_bytes
            if not 0 < bits <= WORD or (isinstance(plain, Base) and plain.encoding == "complex"):
                value(obj, around)  # which says why not
                _refuse("its type is not known")
            return Place(obj.type, *_only_place(obj.location, obj.bit_offset, bits), bits)
        case _:
            _refuse("its type is not known")


def _only_place(location: Location, first: int, bits: int) -> tuple[InMemory | InRegister, int]:
    match location:
        case InMemory():
            return location, first
        case InRegister(number=which, value=held):
            if held != register(name_of(which) or "") or which == RSP:
                _refuse("it is in a register of a caller, which is kept elsewhere")
            if first + bits > WORD:
                _refuse("it is wider than the register that holds it")
            return location, first
        case Pieces():
            (inner, start, _), *others = covering(location, first, bits)
            if others:
                _refuse("it is in several places")
            return _only_place(inner, start, bits)
        case Constant():
            _refuse("it is a constant here, which the code does not look up")
        case Computed() | PointerTo():
            _refuse(_NO_PLACE)


def _refuse(reason: str) -> NoReturn:
    raise TargetMistake(variables.NotChangeable(reason=reason))


# ------------------------------------------------------------------------------------------------- changing


def assign(place: Place, amount: Expr, around: Surroundings) -> Expr:
    """Code that sets a place to a number, converted as C does. Its value is the new one of the object."""
    if isinstance(place.location, InMemory) and _is_whole(place):
        return _result(place, _write(place.location.address, place.bits // 8, _stored(place, amount), around))
    return _update(place, lambda _: amount, around)


def step(place: Place, amount: Callable[[Expr], Expr], around: Surroundings) -> Expr:
    """The same with a number that depends on what is there; the place is found once."""
    return _update(place, amount, around)


def step_after(place: Place, delta: int, around: Surroundings) -> Expr:
    """`place++`, `place--`: the value is what was there."""
    before = around.keep()

    def amount(current: Expr) -> Expr:
        return binary("+", Assign(before, "=", current, Type.LONG, around.at), number(delta))

    return _behind(_update(place, amount, around), before)


def _update(place: Place, amount: Callable[[Expr], Expr], around: Surroundings) -> Expr:
    match place.location:
        case InRegister(number=which, value=held):
            current = read_bits(place.location, place.first, place.bits, is_signed(place.type), around.at)
            whole = _merge(held, place.first, place.bits, _stored(place, amount(current)))
            text = Text((name_of(which) or "").encode())
            return _result(place, Call("set_register", (text, whole), Type.LONG, around.at), place.first)
        case InMemory(address=address):
            kept = around.keep()
            current = read_bits(InMemory(kept), place.first, place.bits, is_signed(place.type), around.at)
            found = Assign(kept, "=", address, Type.LONG, around.at)
            return _to_memory(place, found, kept, _stored(place, amount(current)), around)


def _to_memory(place: Place, found: Expr, kept: Expr, amount: Expr, around: Surroundings) -> Expr:
    """`found`: the address, and what keeps it: the first to be evaluated."""
    size = (place.first + place.bits + 7) // 8
    if size in _SIZES:
        whole = (
            amount
            if _is_whole(place)
            else _merge(load(kept, size, False, around.at), place.first, place.bits, amount)
        )
        return _result(place, _write(found, size, whole, around), place.first)
    new = around.keep()
    rest: Expr = Assign(new, "=", amount, Type.LONG, around.at)
    written: Expr = Number(0)
    offset, skip, done = 0, place.first, 0
    while done < place.bits:
        step_bytes = next(n for n in _SIZES if n <= size - offset)
        bits = min(8 * step_bytes - skip, place.bits - done)
        old = load(plus(kept, offset), step_bytes, False, around.at)
        part = binary(">>>", rest, Number(done))
        call = _write(plus(found, offset), step_bytes, _merge(old, skip, bits, part), around)
        written = call if done == 0 else binary("|", written, call)
        found, rest = kept, new
        offset, done, skip = offset + step_bytes, done + bits, 0
    return _result(place, _behind(written, new))


def _write(address: Expr, size_bytes: int, amount: Expr, around: Surroundings) -> Expr:
    return Call(f"set_user_int{8 * size_bytes}", (address, amount), Type.LONG, around.at)


def _merge(whole: Expr, first: int, bits: int, amount: Expr) -> Expr:
    """A word of which some bits are replaced. The amount comes first: to find it may change the other bits."""
    if bits == WORD:
        return amount
    mask = (1 << bits) - 1
    kept = binary("&", whole, number(~(mask << first)))
    return binary("|", binary("<<", binary("&", amount, number(mask)), Number(first)), kept)


def _stored(place: Place, amount: Expr) -> Expr:
    return Compare("!=", amount, Number(0)) if place.is_bool else amount


def _result(place: Place, written: Expr, first: int = 0) -> Expr:
    """The value of the object, of the word that was written."""
    return extract(binary(">>>", written, Number(first)), place.bits, is_signed(place.type))


def _behind(effect: Expr, result: Expr) -> Expr:
    """What something is after an effect, whose own value counts nothing."""
    return binary("|", binary("&", effect, Number(0)), result)


def _is_whole(place: Place) -> bool:
    return place.first == 0 and place.bits in (8, 16, 32, 64)
