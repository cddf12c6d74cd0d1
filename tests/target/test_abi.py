"""Where arguments are at a function's first instruction, in memory (the oracle compares the same with what compilers do)."""

from __future__ import annotations

from probelang.dwarf.ctypes import Base, CType, Lazy, Member, Pointer, Struct, Void
from probelang.target.abi import VECTOR, argument_locations
from probelang.target.build import plus, register
from probelang.target.location import InMemory, InRegister, Location, Piece, Pieces, Unavailable

LONG = Base("long", 8, "signed")
CHAR = Base("char", 1, "signed char")
DOUBLE = Base("double", 8, "float")
LONG_DOUBLE = Base("long double", 16, "float")
WIDE = Base("__int128", 16, "signed")
POINTER = Pointer(8, Lazy(Void))


def struct(*types: CType, passing: str = "value") -> Struct:
    offset, members = 0, list[Member]()
    for i, ctype in enumerate(types):
        size = 16 if ctype in (WIDE, LONG_DOUBLE) else 8
        members.append(Member(f"m{i}", Lazy(lambda ctype=ctype: ctype), offset))
        offset += size
    return Struct("struct", "s", offset, Lazy(lambda: tuple(members)))


def stack(offset: int) -> Location:
    """Behind the return address."""
    return InMemory(plus(register("rsp"), 8 + offset))


def in_register(name: str, number: int) -> Location:
    return InRegister(number, register(name))


def places(*types: CType, result: CType | None = None) -> tuple[Location | str | None, ...]:
    found = argument_locations(types, result)
    return tuple(place.reason if isinstance(place, Unavailable) else place for place in found)


def test_the_seventh_number_is_on_the_stack_in_eight_bytes_whatever_its_size() -> None:
    found = places(LONG, LONG, LONG, LONG, LONG, LONG, CHAR, LONG)
    assert found[5:] == (in_register("r9", 9), stack(0), stack(8))


def test_what_does_not_fit_whole_into_registers_is_on_the_stack_and_later_ones_take_them() -> None:
    found = places(LONG, LONG, LONG, LONG, LONG, struct(LONG, LONG), POINTER, LONG)
    assert found[5:] == (stack(0), in_register("r9", 9), stack(16))


def test_structs_of_more_than_two_words_and_long_double_are_on_the_stack() -> None:
    assert places(struct(LONG, LONG, LONG), LONG, LONG_DOUBLE, LONG_DOUBLE) == (
        stack(0), in_register("rdi", 5), stack(32), stack(48)
    )  # fmt: skip


def test_a_wide_number_takes_two_registers_and_an_even_place_on_the_stack() -> None:
    assert places(LONG, WIDE)[1] == Pieces(
        (Piece(64, in_register("rsi", 4)), Piece(64, in_register("rdx", 1)))
    )
    full = (LONG,) * 6
    assert places(*full, LONG, WIDE, LONG)[6:] == (stack(0), stack(16), stack(32))


def test_the_half_of_a_struct_that_is_a_number_can_be_read() -> None:
    half, numbers = struct(LONG, DOUBLE), struct(DOUBLE, DOUBLE)
    assert places(half, LONG) == (
        Pieces((Piece(64, in_register("rdi", 5)), Piece(64, None, reason=VECTOR))), in_register("rsi", 4)
    )  # fmt: skip
    assert places(numbers, LONG) == (VECTOR, in_register("rdi", 5))


def test_the_ninth_floating_point_number_is_on_the_stack() -> None:
    assert places(*(DOUBLE,) * 9, LONG)[7:] == (VECTOR, stack(0), in_register("rdi", 5))


def test_the_address_of_a_large_result_comes_first() -> None:
    assert places(LONG, result=struct(LONG, LONG, LONG)) == (in_register("rsi", 4),)
    assert places(LONG, result=struct(LONG, LONG)) == (in_register("rdi", 5),)


def test_a_struct_without_members_takes_no_place() -> None:
    assert places(struct(), LONG) == (None, in_register("rdi", 5))
