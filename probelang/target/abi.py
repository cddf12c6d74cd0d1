"""Where the System V ABI puts arguments and results.

    result_location(Base("int", 4, "signed"))            ->  InRegister(0, rax)
    result_location(struct of two pointers)              ->  Pieces(rax, rdx)
    result_location(struct of 24 bytes)                  ->  InMemory(rax)

Source: System V ABI, AMD64 supplement, 3.2.3. Needed where debug information says nothing: results, and parameters at a
function's very first instruction when the compiler describes only where it will store them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from probelang.dwarf.ctypes import Array, Base, CType, Struct, bare, size_of
from probelang.target.build import register
from probelang.target.location import InMemory, InRegister, Location, Piece, Pieces, Unavailable
from probelang.target.registers import number_of

Class = Literal["integer", "sse", "memory"]

ARGUMENTS = tuple((name, number_of(name)) for name in ("rdi", "rsi", "rdx", "rcx", "r8", "r9"))
"""Names with the numbers that DWARF gives them."""
RESULTS = tuple((name, number_of(name)) for name in ("rax", "rdx"))
VECTOR = "it is in a vector register, which probes in the kernel cannot read"
UNSURE = "the code has not stored it yet, and its file does not say where objects of a class are passed"
_MOST_FIELDS = 64


def classify(ctype: CType) -> tuple[Class, ...]:
    """The class of each eightbyte; one "memory" for what is passed on the stack."""
    size = size_of(ctype)
    if size is None or size > 16 or size == 0:
        return ("memory",)
    classes: list[Class] = ["sse"] * ((size + 7) // 8)
    for offset, base in _scalars(ctype, 0):
        if base == "memory" or offset >= size:
            return ("memory",)
        if base == "integer":
            classes[offset // 8] = "integer"
    return tuple(classes)


def _scalars(ctype: CType, offset: int) -> Iterator[tuple[int, Class]]:
    """Offset and class of every scalar inside; a 16-byte integer counts as two."""
    plain = bare(ctype)
    match plain:
        case Base(encoding="float" | "complex", size_bytes=size):
            # `long double` comes in x87 registers, in memory as an argument
            yield offset, "memory" if size > 8 and plain.encoding == "float" else "sse"
        case Struct():
            if len(plain.members) > _MOST_FIELDS:
                yield offset, "memory"
                return
            for member in plain.members:
                if member.offset_bytes is None:
                    yield offset, "memory"
                else:
                    yield from _scalars(member.type.get(), offset + member.offset_bytes)
        case Array():
            element = plain.element.get()
            step, total = size_of(element) or 0, size_of(plain) or 0
            for i in range(min(total // step, 16) if step else 0):
                yield from _scalars(element, offset + i * step)
        case _:
            size = size_of(plain) or 8
            yield from ((offset + i, "integer") for i in range(0, size, 8))


def result_location(ctype: CType) -> Location:
    """Of a function's result, where it has returned. Raises Unavailable."""
    plain = bare(ctype)
    classes = classify(ctype)
    if isinstance(plain, Struct) and plain.passing != "value":
        if plain.passing == "reference" or classes == ("memory",):
            return InMemory(register("rax"))
        raise Unavailable("its file does not say how objects of its class are returned")
    if classes == ("memory",):
        if isinstance(bare(ctype), Struct):
            return InMemory(register("rax"))  # where the caller wanted it, which the function returns
        raise Unavailable("it is returned in a floating point register")
    if "sse" in classes:
        raise Unavailable(VECTOR)
    places: list[Location] = [InRegister(number, register(name)) for name, number in RESULTS[: len(classes)]]
    return places[0] if len(places) == 1 else Pieces(tuple(Piece(64, place) for place in places))


def argument_locations(
    types: tuple[CType, ...], result: CType | None
) -> tuple[Location | Unavailable | None, ...]:
    """Of a function's parameters at its first instruction; None for what is on the stack."""
    free = list(ARGUMENTS)
    returned = None if result is None else bare(result)
    if isinstance(returned, Struct):
        if returned.passing == "unknown":
            return (Unavailable(UNSURE),) * len(types)
        if returned.passing == "reference" or classify(returned) == ("memory",):
            del free[0]  # the address of the result
    found: list[Location | Unavailable | None] = []
    for i, ctype in enumerate(types):
        plain = bare(ctype)
        if isinstance(plain, Struct) and plain.passing == "unknown":
            return (*found, *(Unavailable(UNSURE),) * (len(types) - i))
        if isinstance(plain, Struct) and plain.passing == "reference":
            found.append(InMemory(register(free.pop(0)[0])) if free else None)
            continue
        classes = classify(ctype)
        if "sse" in classes:
            found.append(Unavailable(VECTOR))
            del free[: classes.count("integer")]
            continue
        if classes == ("memory",) or len(classes) > len(free):
            found.append(None)
            continue
        taken, free = free[: len(classes)], free[len(classes) :]
        places: list[Location] = [InRegister(number, register(name)) for name, number in taken]
        found.append(places[0] if len(places) == 1 else Pieces(tuple(Piece(64, place) for place in places)))
    return tuple(found)
