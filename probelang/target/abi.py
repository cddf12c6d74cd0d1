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

from probelang.artifact.code import Expr
from probelang.dwarf.ctypes import Array, Base, CType, Struct, bare, size_of
from probelang.target.build import load, plus, register
from probelang.target.location import InMemory, InRegister, Location, Piece, Pieces, Unavailable
from probelang.target.registers import number_of

Class = Literal["integer", "sse", "memory"]

ARGUMENTS = tuple((name, number_of(name)) for name in ("rdi", "rsi", "rdx", "rcx", "r8", "r9"))
"""Names with the numbers that DWARF gives them."""
RESULTS = tuple((name, number_of(name)) for name in ("rax", "rdx"))
VECTOR = "it is in a vector register, which probes in the kernel cannot read"
UNSURE = "the code has not stored it yet, and its file does not say where objects of a class are passed"
VECTORS = 8
"""Vector registers that arguments are passed in."""
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
            for i in range(0, size, 8):
                yield offset + i, "integer"


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
    """Of a function's parameters at its first instruction; None for what is not passed at all."""
    arguments = _Arguments()
    returned = None if result is None else bare(result)
    if isinstance(returned, Struct):
        if returned.passing == "unknown":
            return (Unavailable(UNSURE),) * len(types)
        if returned.passing == "reference" or classify(returned) == ("memory",):
            arguments.word()  # the address of the result
    found: list[Location | Unavailable | None] = []
    for i, ctype in enumerate(types):
        plain = bare(ctype)
        if isinstance(plain, Struct) and plain.passing == "unknown":
            return (*found, *(Unavailable(UNSURE),) * (len(types) - i))
        if isinstance(plain, Struct) and plain.passing == "reference":
            found.append(InMemory(arguments.word()))
        else:
            found.append(arguments.next(ctype))
    return tuple(found)


class _Arguments:
    """What has been given away of registers and stack, from the left to the right."""

    def __init__(self) -> None:
        self._free = list(ARGUMENTS)
        self._vectors = VECTORS
        self._stack_bytes = 0

    def word(self) -> Expr:
        """A pointer."""
        if self._free:
            return register(self._free.pop(0)[0])
        return load(self._on_stack(8, 8), 8, False, 0)

    def next(self, ctype: CType) -> Location | Unavailable | None:
        classes, size = classify(ctype), size_of(ctype)
        if size == 0 or size is None or not any(_scalars(ctype, 0)):
            return None
        integers, vectors = classes.count("integer"), classes.count("sse")
        if "memory" in classes or integers > len(self._free) or vectors > self._vectors:
            return InMemory(self._on_stack(size, alignment(ctype)))
        taken = iter(self._free[:integers])
        self._free, self._vectors = self._free[integers:], self._vectors - vectors
        if not integers:
            return Unavailable(VECTOR)
        pieces = tuple(
            Piece(64, _register(next(taken))) if kind == "integer" else Piece(64, None, reason=VECTOR)
            for kind in classes
        )
        return pieces[0].location if len(pieces) == 1 else Pieces(pieces)

    def _on_stack(self, size_bytes: int, aligned: int) -> Expr:
        """Behind the return address."""
        start = _rounded(self._stack_bytes, max(8, aligned))
        self._stack_bytes = start + _rounded(size_bytes, 8)
        return plus(register("rsp"), 8 + start)


def _register(known: tuple[str, int]) -> Location:
    name, number = known
    return InRegister(number, register(name))


def _rounded(number: int, step: int) -> int:
    return (number + step - 1) // step * step


def alignment(ctype: CType) -> int:
    """In bytes, where nothing in the source says otherwise."""
    plain = bare(ctype)
    match plain:
        case Struct():
            return max((alignment(member.type.get()) for member in plain.members), default=1)
        case Array():
            return alignment(plain.element.get())
        case Base(encoding="complex", size_bytes=size):
            return size // 2
        case _:
            return size_of(plain) or 8
