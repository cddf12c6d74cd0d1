"""Objects in memory and in registers, changed by compiled code that the evaluator runs: what is read afterwards is what was
written, and no other bit has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.artifact.code import Assign, Binary, Expr, Local, Number, Type
from probelang.dwarf.ctypes import Base, Struct
from probelang.runtime.evaluate.context import WriteFault
from probelang.target.build import load, number, register
from probelang.target.change import Place, assign, find_place, step, step_after
from probelang.target.location import Computed, Constant, InMemory, InRegister, Location, Piece, Pieces
from probelang.target.mistake import TargetMistake
from probelang.target.values import Object
from tests.target.samples import Hit, evaluate

START, SIZE = 0x5000, 24
WORD = (1 << 64) - 1
LONGS = st.integers(-(2**63), 2**63 - 1)


class Changing(Hit):
    def __init__(self, data: bytes, rdi: int) -> None:
        super().__init__({START: data}, {"rdi": rdi})
        self.writes: list[tuple[int, int]] = []

    def write_memory(self, address: int, data: bytes) -> None:
        at, whole = address - START, self.memory[START]
        if not 0 <= at <= len(whole) - len(data):
            raise WriteFault(address)
        self.writes.append((at, len(data)))
        self.memory[START] = whole[:at] + data + whole[at + len(data) :]

    def set_register(self, name: bytes, value: int) -> None:
        self.registers[name.decode()] = value & WORD


@dataclass
class Around:
    kept: int = 0
    at: int = 0

    def keep(self) -> Local:
        self.kept += 1
        return Local(self.kept - 1, Type.LONG)

    def entry_object(self, entry: int) -> Object:
        raise AssertionError

    def member_location(self, expression: bytes, owner_address: Expr) -> Expr:
        raise AssertionError

    def complete(self, struct: Struct) -> Struct:
        return struct

    def static_member(self, name: str) -> Object | None:
        raise AssertionError


@dataclass(frozen=True)
class Field:
    """`bits` of an integer from bit `first` of memory or of rdi on, and all that is there before."""

    first: int
    bits: int
    signed: bool
    data: bytes
    in_register: bool

    @property
    def type(self) -> Base:
        return Base("long" if self.signed else "unsigned long", 8, "signed" if self.signed else "unsigned")

    @property
    def object(self) -> Object:
        if self.in_register:
            whole: Location = Pieces((Piece(self.bits, RDI, self.first),))
            return Object(self.type, whole, self.bits)
        return Object(self.type, InMemory(number(START + self.first // 8)), self.bits, self.first % 8)

    def hit(self) -> Changing:
        return Changing(self.data, int.from_bytes(self.data[:8], "little"))

    def all_bits(self, hit: Changing) -> int:
        data = hit.registers["rdi"].to_bytes(8, "little") if self.in_register else hit.memory[START]
        return int.from_bytes(data, "little")

    def extended(self, value: int) -> int:
        value &= (1 << self.bits) - 1
        return (
            value - (1 << self.bits)
            if (self.signed or self.bits == 64) and value >> (self.bits - 1)
            else value
        )

    def value(self, hit: Changing) -> int:
        return self.extended(self.all_bits(hit) >> self.first)


RDI = InRegister(5, register("rdi"))


@st.composite
def fields(draw: st.DrawFn) -> Field:
    bits = draw(st.integers(1, 64) | st.sampled_from((8, 16, 32, 64)))
    in_register = draw(st.booleans())
    first = draw(st.integers(0, 64 - bits) if in_register else st.integers(0, SIZE * 8 - bits))
    return Field(first, bits, draw(st.booleans()), draw(st.binary(min_size=SIZE, max_size=SIZE)), in_register)


def changed(field: Field, make: Callable[[Place, Around], Expr]) -> tuple[Changing, int | str]:
    """After the change, and its value."""
    around, hit = Around(), field.hit()
    found = evaluate(make(find_place(field.object, around), around), hit)
    mask = ((1 << field.bits) - 1) << field.first
    before = field.hit()
    assert field.all_bits(hit) & ~mask == field.all_bits(before) & ~mask
    last = (field.first + field.bits - 1) // 8
    assert all(at >= field.first // 8 and at + size - 1 <= last for at, size in hit.writes)
    return hit, found


@given(fields(), LONGS)
def test_what_is_assigned_is_there_and_no_other_bit_has_changed(field: Field, amount: int) -> None:
    hit, found = changed(field, lambda place, around: assign(place, Number(amount), around))
    assert field.value(hit) == found == field.extended(amount)


@given(fields(), LONGS)
def test_a_step_counts_from_what_is_there(field: Field, amount: int) -> None:
    expected = field.extended(field.value(field.hit()) + amount)
    hit, found = changed(
        field, lambda p, around: step(p, lambda now: Binary("+", now, Number(amount), 0), around)
    )
    assert field.value(hit) == found == expected


@given(fields(), st.sampled_from((1, -1)))
def test_the_value_of_a_step_behind_is_the_one_before(field: Field, delta: int) -> None:
    before = field.value(field.hit())
    hit, found = changed(field, lambda place, around: step_after(place, delta, around))
    assert found == before and field.value(hit) == field.extended(before + delta)


@given(fields())
def test_the_address_is_found_once(field: Field) -> None:
    """An address that another change of the same statement would move."""
    if field.in_register:
        return
    around, hit = Around(), field.hit()
    counter = around.keep()
    moving = Assign(counter, "+", Number(START + field.first // 8), Type.LONG, 0)  # right only the first time
    place = find_place(Object(field.type, InMemory(moving), field.bits, field.first % 8), around)
    found = evaluate(step(place, lambda now: Binary("+", now, Number(1), 0), around), hit)
    assert found == field.value(hit) == field.extended(field.value(field.hit()) + 1)


@pytest.mark.parametrize(("amount", "kept"), [(0, 0), (1, 1), (256, 1), (-1, 1)])
def test_truth_is_0_or_1(amount: int, kept: int) -> None:
    around, hit = Around(), Changing(b"\xff" * SIZE, 0)
    place = find_place(Object(Base("_Bool", 1, "bool"), InMemory(number(START + 3))), around)
    assert evaluate(assign(place, Number(amount), around), hit) == kept
    assert hit.memory[START] == b"\xff" * 3 + bytes((kept,)) + b"\xff" * (SIZE - 4)


def test_a_change_inside_the_value_is_kept() -> None:
    """`p.b = p.a = 7` with both in one register."""
    around, hit = Around(), Changing(bytes(SIZE), 0)
    integer = Base("int", 4, "signed")
    low, high = (Object(integer, Pieces((Piece(32, RDI, at),))) for at in (0, 32))
    inner = assign(find_place(low, around), Number(7), around)
    assert evaluate(assign(find_place(high, around), inner, around), hit) == 7
    assert hit.registers["rdi"] == 7 << 32 | 7


def test_what_cannot_be_written_is_a_fault() -> None:
    place = find_place(Object(Base("int", 4, "signed"), InMemory(number(16))), Around())
    assert (
        evaluate(assign(place, Number(1), Around()), Changing(bytes(SIZE), 0))
        == "error: user write fault at 0x10"
    )


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (Computed(register("rdi")), "only a value"),
        (Constant(bytes(8)), "a constant"),
        (Pieces((Piece(32, RDI), Piece(32, InRegister(4, register("rsi"))))), "in several places"),
        (InRegister(3, load(number(START), 8, False, 0)), "of a caller"),
        (InRegister(7, register("rsp")), "of a caller"),
        (Pieces((Piece(64, Computed(register("rdi"))),)), "only a value"),
    ],
)  # fmt: skip
def test_what_has_no_place_of_its_own_is_refused(location: Location, reason: str) -> None:
    with pytest.raises(TargetMistake) as caught:
        find_place(Object(Base("long", 8, "signed"), location), Around())
    assert reason in caught.value.diagnostic.title()
