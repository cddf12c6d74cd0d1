"""From a place and a C type to the code of a value: members, elements, what a pointer points to.

    list = Object(Pointer(-> struct list), InRegister(5, u_register("rdi")))
    value(member(member(list, "next", around), "id", around), around)   ->   user_int32(user_uint64(u_register("rdi")) + 8)

Every value is a `long`: integers extended by their type, enums and pointers as numbers, floating point numbers as the 64 bits
of an IEEE double, arrays as their address. Mistakes of the script are raised as `TargetMistake`, what is described but cannot be
read as `Unavailable`. What a name or a point of the script means is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from probelang.artifact.code import (
    Assign,
    Call,
    Choose,
    Compare,
    Expr,
    Format,
    Local,
    Number,
    Piece,
    Text,
    Type,
)
from probelang.diag.deferred import variables
from probelang.dwarf.ctypes import (
    Array,
    Base,
    CType,
    Enum,
    FunctionType,
    Pointer,
    Struct,
    Void,
    bare,
    size_of,
    type_name,
)
from probelang.target.arithmetic import binary
from probelang.target.bits import WORD, part, read_bits
from probelang.target.build import add, number
from probelang.target.location import (
    Computed,
    Constant,
    InMemory,
    InRegister,
    Location,
    Pieces,
    PointerTo,
    Unavailable,
)
from probelang.target.mistake import TargetMistake

_SIGNED = frozenset(("signed", "signed char"))
_MOST_LEVELS = 32  # of references, and of structs in structs: damaged files have circles


@dataclass(frozen=True, slots=True)
class Object:
    """`bit_size` not 0: a bit field, from bit `bit_offset` (0 to 7) of `location` on."""

    type: CType
    location: Location
    bit_size: int = 0
    bit_offset: int = 0


class Surroundings(Protocol):
    """What values need of the site at which they are read."""

    @property
    def at(self) -> int:
        """The place in the script, for faults."""
        ...

    def entry_object(self, entry: int) -> Object:
        """What an entry of the debug information describes (see `PointerTo`)."""
        ...

    def member_location(self, expression: bytes, owner_address: Expr) -> Expr:
        """The address that a DWARF expression computes from that of the owner: of virtual bases."""
        ...

    def complete(self, struct: Struct) -> Struct:
        """The definition of what is only declared."""
        ...

    def static_member(self, name: str) -> Object | None:
        """A variable by its full name, `ns::cls::count`."""
        ...

    def keep(self) -> Local:
        """A new local variable of the handler, for a number that is used several times."""
        ...


# ---------------------------------------------------------------------------------------------------- kinds


def is_float(ctype: CType) -> bool:
    """float, double and long double: their values are doubles."""
    plain = referred(ctype)
    return isinstance(plain, Base) and plain.encoding == "float"


def is_signed(ctype: CType) -> bool:
    """Whether the highest bit of an integer or an enum is its sign."""
    plain = bare(ctype)
    if isinstance(plain, Enum):
        return plain.signed
    return isinstance(plain, Base) and plain.encoding in _SIGNED


def is_aggregate(ctype: CType) -> bool:
    """Structs, classes, unions: they have no value of their own."""
    return isinstance(referred(ctype), Struct)


def string_like(ctype: CType) -> Literal["pointer", "array"] | None:
    """Whether it is a pointer to characters or an array of them."""
    plain = referred(ctype)
    if isinstance(plain, Pointer):
        return "pointer" if is_character(plain.target.get()) else None
    if isinstance(plain, Array) and len(plain.counts) == 1 and not plain.stride_bytes:
        return "array" if is_character(plain.element.get()) else None
    return None


def is_character(ctype: CType) -> bool:
    """char, signed and unsigned, char8_t."""
    plain = bare(ctype)
    return (
        isinstance(plain, Base)
        and plain.size_bytes == 1
        and plain.encoding in ("signed char", "unsigned char", "utf")
    )


def referred(ctype: CType) -> CType:
    """Bare, and what a reference refers to."""
    plain = bare(ctype)
    for _ in range(_MOST_LEVELS):
        if not (isinstance(plain, Pointer) and plain.kind == "reference"):
            break
        plain = bare(plain.target.get())
    return plain


# --------------------------------------------------------------------------------------------------- values


def value(obj: Object, around: Surroundings) -> Expr:
    """As a long. Raises TargetMistake and Unavailable."""
    obj = follow_references(obj, around)
    plain = bare(obj.type)
    match plain:
        case Base(encoding="float"):
            return _float(obj, plain, around)
        case Base(encoding="complex"):
            raise TargetMistake(
                variables.TooWide(type=type_name(obj.type), parts=("real part", "imaginary part"))
            )
        case Base() | Enum() | Pointer():
            return _integer(obj, plain, around)
        case Array() | FunctionType():
            return address(obj, around)
        case Struct():
            raise TargetMistake(variables.AggregateValue(type=type_name(obj.type)))
        case _:
            raise TargetMistake(variables.NotFollowable(what="void", reason="its type is not known"))


def _integer(obj: Object, plain: Base | Enum | Pointer, around: Surroundings) -> Expr:
    bits = obj.bit_size or 8 * plain.size_bytes
    if bits > WORD:
        raise TargetMistake(variables.TooWide(type=type_name(obj.type), parts=("low half", "high half")))
    if bits <= 0:
        raise Unavailable("its type has no size")
    return read_bits(obj.location, obj.bit_offset, bits, is_signed(plain), around.at)


def _float(obj: Object, plain: Base, around: Surroundings) -> Expr:
    """The bits of a double."""
    if plain.size_bytes == 8:
        return read_bits(obj.location, 0, 64, False, around.at)
    if plain.size_bytes == 4:
        single = read_bits(obj.location, 0, 32, False, around.at)
        return Call("float_to_double", (single,), Type.LONG, around.at)
    if "long double" in plain.name and plain.size_bytes in (
        12,
        16,
    ):  # the x87's: 64 bits of significand, then sign and exponent
        low = read_bits(obj.location, 0, 64, False, around.at)
        high = read_bits(obj.location, 64, 16, False, around.at)
        return Call("long_double_to_double", (low, high), Type.LONG, around.at)
    raise Unavailable(f"floating point numbers of {plain.size_bytes} bytes (`{plain.name}`) cannot be read")


def enum_name(ctype: CType, number_: Expr, around: Surroundings) -> Expr:
    """A string: the enumerator with this value, the number in decimal where there is none."""
    plain = referred(ctype)
    rows = plain.values.get() if isinstance(plain, Enum) else ()
    names: dict[int, str] = {}
    for name, known in rows:
        names.setdefault(known, name)
    if not names:
        return Format((Piece("d"),), (number_,), around.at)
    kept = around.keep()
    unknown = Format((Piece("d"),), (kept,), around.at)
    return _search(sorted(names.items()), Assign(kept, "=", number_, Type.LONG, around.at), kept, unknown)


def _search(rows: list[tuple[int, str]], first: Expr, kept: Expr, unknown: Expr) -> Expr:
    """A binary search: as deep as the logarithm of their number. `first`: what sets `kept`."""
    middle = len(rows) // 2
    known, name = rows[middle]
    if len(rows) == 1:
        text = Text(name.encode("utf-8", "surrogateescape"))
        return Choose(Compare("==", first, number(known)), text, unknown, Type.STRING)
    low, high = _search(rows[:middle], kept, kept, unknown), _search(rows[middle:], kept, kept, unknown)
    return Choose(Compare("<", first, number(known)), low, high, Type.STRING)


# ------------------------------------------------------------------------------------------------ addresses


def address(obj: Object, around: Surroundings) -> Expr:
    """`&obj`. Of a reference: of what it refers to."""
    obj = follow_references(obj, around)
    if obj.bit_size:
        raise TargetMistake(variables.NoAddress(where="a bit field"))
    match obj.location:
        case InMemory(address=found):
            return found
        case InRegister():
            raise TargetMistake(variables.NoAddress(where="in a register"))
        case Pieces():
            raise TargetMistake(variables.NoAddress(where="in several places"))
        case Computed() | Constant() | PointerTo():
            raise TargetMistake(variables.NoAddress(where="a value that the compiler keeps nowhere"))


def follow_references(obj: Object, around: Surroundings) -> Object:
    """What a reference of C++ refers to."""
    for _ in range(_MOST_LEVELS):
        plain = bare(obj.type)
        if not (isinstance(plain, Pointer) and plain.kind == "reference"):
            break
        obj = follow_pointer(obj, plain, around)
    return obj


def dereference(obj: Object, around: Surroundings) -> Object:
    """`*obj`, of a pointer; of an array its first element."""
    return index(obj, Number(0), around)


def follow_pointer(obj: Object, pointer: Pointer, around: Surroundings) -> Object:
    """What a pointer points to. A pointer that is nowhere may point to what is somewhere."""
    target = completed(pointer.target.get(), around)
    if isinstance(obj.location, PointerTo) and not obj.bit_size:
        found = around.entry_object(obj.location.entry)
        size = size_of(target)
        place = part(found.location, 8 * obj.location.offset_bytes, None if size is None else 8 * size)
        return Object(target, place)
    return Object(target, InMemory(_integer(obj, pointer, around)))


def completed(ctype: CType, around: Surroundings) -> CType:
    """The definition of a struct that is only declared."""
    plain = bare(ctype)
    return around.complete(plain) if isinstance(plain, Struct) and plain.declared else ctype


# ------------------------------------------------------------------------------------------------- elements


def index(obj: Object, i: Expr, around: Surroundings) -> Object:
    """`obj[i]` of an array or a pointer; the halves of a 128-bit integer, the parts of a complex number. Raises TargetMistake and Unavailable."""
    obj = follow_references(obj, around)
    plain = bare(obj.type)
    match plain:
        case Array():
            inner = completed(element_type(plain), around)
            return Object(inner, _element(obj.location, inner, plain, i))
        case Pointer():
            return _pointed(obj, plain, i, around)
        case Base(size_bytes=size) if size == 16 or plain.encoding == "complex":
            if not isinstance(i, Number) or i.value not in (0, 1):
                raise TargetMistake(
                    variables.NotFollowable(what=type_name(obj.type), reason="it has `[0]` and `[1]`")
                )
            half = _half(plain, i.value)
            return Object(half, part(obj.location, 8 * half.size_bytes * i.value, 8 * half.size_bytes))
        case Struct():
            raise TargetMistake(
                variables.NotFollowable(what=type_name(obj.type), reason="it has members, no elements")
            )
        case _:
            raise TargetMistake(
                variables.NotFollowable(what=type_name(obj.type), reason="it is no array and no pointer")
            )


def _half(whole: Base, number_: int) -> Base:
    size = whole.size_bytes // 2
    if whole.encoding == "complex":
        return Base({4: "float", 8: "double"}.get(size, "long double"), size, "float")
    return Base("long", size, whole.encoding) if number_ else Base("unsigned long", size, "unsigned")


def element_type(array: Array) -> CType:
    """One dimension less."""
    if len(array.counts) > 1:
        return Array(array.element, array.counts[1:], array.stride_bytes)
    return array.element.get()


def _element(location: Location, inner: CType, array: Array, i: Expr) -> Location:
    size = size_of(inner) if len(array.counts) > 1 else array.stride_bytes or size_of(inner)
    if size is None:
        raise _sizeless(inner)
    if isinstance(location, InMemory):
        return InMemory(add(location.address, binary("*", i, number(size))))
    if not isinstance(i, Number):
        raise TargetMistake(variables.NotFollowable(
            what=type_name(array), reason="it is not in memory here, so the index has to be a number"
        ))  # fmt: skip
    count = next(iter(array.counts), None)
    if i.value < 0 or (count is not None and i.value >= count):
        raise Unavailable("it is not in memory, and the index is outside of it")
    return part(location, 8 * size * i.value, 8 * size)


def _pointed(obj: Object, pointer: Pointer, i: Expr, around: Surroundings) -> Object:
    target = completed(pointer.target.get(), around)
    if isinstance(bare(target), Void):
        raise TargetMistake(variables.UntypedPointer(type=type_name(obj.type)))
    if isinstance(i, Number) and i.value == 0:
        return follow_pointer(obj, pointer, around)
    size = size_of(target)
    if size is None:
        raise _sizeless(target)
    if isinstance(obj.location, PointerTo):
        if not isinstance(i, Number):
            raise Unavailable("what it points to is not in memory as a whole")
        moved = replace(obj.location, offset_bytes=obj.location.offset_bytes + size * i.value)
        return follow_pointer(replace(obj, location=moved), pointer, around)
    return Object(target, InMemory(add(_integer(obj, pointer, around), binary("*", i, number(size)))))


def _sizeless(ctype: CType) -> TargetMistake:
    return TargetMistake(variables.NotFollowable(what=type_name(ctype), reason="its size is not known"))
