"""Values of every type, as a program prints its own and as our code finds them in its memory."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from probelang.artifact.code import Expr, Local, Number, Type
from probelang.diag import variables
from probelang.dwarf.ctypes import Array, Base, CType, Lazy, Member, Pointer, Struct
from probelang.target.build import register
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
from probelang.target.members import member
from probelang.target.mistake import TargetMistake
from probelang.target.values import (
    Object,
    address,
    dereference,
    enum_name,
    index,
    is_aggregate,
    is_float,
    string_like,
    value,
)
from tests.target.samples import Hit, Sample, evaluate

C = r"""
#include <stdint.h>
#include <stdbool.h>
enum colour { RED = -3, GREEN, BLUE = 40 };
enum wide { SMALL = 1, LARGE = 0x123456789a };
typedef struct list { struct list *next; int id; const char *name; } list_t;
struct inner { short a; struct { long deep; union { int low; unsigned char bytes[4]; }; }; };
struct all {
  signed char sc; unsigned char uc; char c; short s; unsigned short us; int i; unsigned u; long l; unsigned long ul;
  bool yes; enum colour colour; enum wide wide; void *p; const volatile int cv; struct inner inner;
  struct inner many[3]; int grid[2][3][4]; list_t *list; list_t **pp; int (*rows)[4]; struct hidden *hidden; int last[];
};
struct bits {
  int s3 : 3; unsigned u5 : 5; bool flag : 1; int : 4; long s40 : 40; unsigned long u50 : 50; enum colour e : 7; unsigned u32 : 32;
  signed char c1 : 1;
};
struct __attribute__((packed)) tight { unsigned u3 : 3; unsigned long u62 : 62; long s63 : 63; int s17 : 17; short after; int odd; };
union either { int i; unsigned char bytes[8]; struct { unsigned low : 12; int high : 20; } parts; };
struct hidden { int seen; } hidden = { 77 };
list_t third = { 0, 3, "three" }, second = { &third, 2, "two" }, first = { &second, -1, "one" };
list_t *head = &first;
struct all all = {
  -1, 255, 'x', -2, 65534, -70000, 4000000000u, -5000000000L, 18000000000000000000ul, true, GREEN, LARGE, &all, -9,
  { -7, { -1234567890123L, { 0x81828384 } } }, { { 1 }, { 2, { 3, { 4 } } }, { -5, { 6, { 7 } } } },
  { { { 1, 2, 3, 4 }, { 5, 6, 7, 8 }, { 9, 10, 11, 12 } }, { { 13, 14, 15, 16 }, { 17, 18, 19, 20 }, { 21, 22, -23, 24 } } },
  &first, &head, all.grid[1], &hidden,
};
struct bits bits = { -3, 21, 1, -400000000000L, 0x2aaaaaaaaaaaaul, RED, 0xfedcba98u, -1 };
struct bits row[2] = { { 3, 10, 0, 400000000000L, 1, BLUE, 7, 0 }, { -4, 31, 1, -1, 0x3ffffffffffff, GREEN, 9, -1 } };
struct tight tight = { 5, 0x2bcdef0123456789ul, -0x123456789abcdefL, -60000, -4, -123456789 };
union either either = { .bytes = { 0xff, 0x8f, 0x12, 0x93, 5, 6, 7, 8 } };
__int128 big = ((__int128)-5 << 64) | 0xffffffffffffffff;
_Complex int gone;
float f = -1.5f; double d = 2.25; long double ld = 3.5L; _Complex double z = 1.5;
char text[] = "some text"; unsigned char *raw; char const *const words[] = { "a", "b" };
extern struct never never; struct never *unknown; int (*function)(int); void *nothing;
enum colour colour = BLUE;
"""
TOLD = [
    *(f"all.{name}" for name in ["sc", "uc", "c", "s", "us", "i", "u", "l", "ul", "yes", "colour", "wide", "p", "cv"]),
    "all.inner.a", "all.inner.deep", "all.inner.low", "all.inner.bytes[3]", "all.many[2].deep", "all.many[1].bytes[0]",
    "all.grid[1][2][2]", "all.grid[0][1][3]", "all.list->next->id", "all.pp[0]->next->next->id", "all.rows[2][2]",
    "all.rows[1][0]", "all.hidden->seen", "all.list[0].id", "all.grid", "all.grid[1]", "all.last", "head->id", "head->next",
    *(f"bits.{name}" for name in ["s3", "u5", "flag", "s40", "u50", "e", "u32", "c1"]),
    *(f"row[1].{name}" for name in ["s3", "u5", "flag", "s40", "u50", "e", "u32", "c1"]), "row[0].s40", "row[0].e",
    *(f"tight.{name}" for name in ["u3", "u62", "s63", "s17", "after", "odd"]),
    "either.i", "either.bytes[3]", "either.parts.low", "either.parts.high", "text", "words", "words[1]", "words[1][0]", "text[2]",
    "colour",
]  # fmt: skip


@pytest.fixture(scope="module", params=["-gdwarf-5", "-gdwarf-4", "-gdwarf-2"])
def c(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with Sample(tmp_path_factory.mktemp("values"), "c", C, TOLD, request.param) as sample:
        yield sample


def test_numbers_are_those_of_the_program(c: Sample) -> None:
    # the program prints unsigned longs as signed ones too
    assert {path: c.number(path) for path in TOLD} == c.told


def test_a_pointer_is_followed_like_an_array(c: Sample) -> None:
    assert c.evaluate(value(member(dereference(c.object("head"), c), "id", c), c)) == -1
    assert c.evaluate(address(index(c.object("head"), Number(2), c), c)) == at(c, "first") + 2 * 24


def test_an_index_may_be_computed(c: Sample) -> None:
    row = index(c.object("all.grid[1]"), register("rcx"), c)
    found = value(index(row, register("rdx"), c), c)
    c.hit.registers = {"rcx": 2, "rdx": 2}
    assert c.evaluate(found) == -23


def at(sample: Sample, path: str) -> int:
    found = sample.evaluate(address(sample.object(path), sample))
    assert isinstance(found, int)
    return found


def test_addresses(c: Sample) -> None:
    assert at(c, "all.list->next->id") == at(c, "second") + 8
    assert at(c, "all.many[2].bytes") == at(c, "all.many") + 2 * 24 + 16
    assert at(c, "all.hidden->seen") == at(c, "hidden")


def test_floating_point_numbers_are_the_bits_of_doubles(c: Sample) -> None:
    assert c.number("f") == bits_of(-1.5)
    assert c.number("d") == bits_of(2.25)
    assert c.number("ld") == bits_of(3.5)
    assert (c.number("z[0]"), c.number("z[1]")) == (bits_of(1.5), 0)


def bits_of(double: float) -> int:
    found: int = struct.unpack("<q", struct.pack("<d", double))[0]
    return found


def test_a_128_bit_number_is_read_by_halves(c: Sample) -> None:
    assert (c.number("big[0]"), c.number("big[1]")) == (-1, -5)
    with pytest.raises(TargetMistake) as caught:
        value(c.object("big"), c)
    assert isinstance(caught.value.diagnostic, variables.TooWide)


def test_enumerators_have_names(c: Sample) -> None:
    colour = c.object("colour")
    assert c.evaluate(enum_name(colour.type, value(colour, c), c)) == "BLUE"
    wide = c.object("all.wide").type
    assert c.evaluate(enum_name(wide, Number(0x123456789A), c)) == "LARGE"
    names = [c.evaluate(enum_name(colour.type, Number(n), c)) for n in (-4, -3, -2, -1, 40, 41)]
    assert names == ["-4", "RED", "GREEN", "-1", "BLUE", "41"]


def test_kinds(c: Sample) -> None:
    assert [is_float(c.object(name).type) for name in ("f", "ld", "d", "z", "all.i")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [is_aggregate(c.object(name).type) for name in ("all", "either", "head", "text")] == [
        True,
        True,
        False,
        False,
    ]
    found = [string_like(c.object(name).type) for name in ("text", "raw", "all.list->name", "words", "all.p")]
    assert found == ["array", "pointer", "pointer", None, None]


MISTAKES: list[tuple[Callable[[Sample], object], type[object]]] = [
    (lambda c: value(c.object("all.inner"), c), variables.AggregateValue),
    (lambda c: c.object("all.inne"), variables.UnknownMember),
    (lambda c: c.object("all.i.x"), variables.NotFollowable),
    (lambda c: c.object("all.pp->id"), variables.NotFollowable),
    (lambda c: c.object("all.p->id"), variables.UntypedPointer),
    (lambda c: c.object("nothing[1]"), variables.UntypedPointer),
    (lambda c: c.object("all.i[1]"), variables.NotFollowable),
    (lambda c: c.object("all[1]"), variables.NotFollowable),
    (lambda c: c.object("unknown->x"), variables.NotFollowable),
    (lambda c: c.object("unknown[1]"), variables.NotFollowable),
    (lambda c: c.object("function[1]"), variables.NotFollowable),
    (lambda c: c.object("big[2]"), variables.NotFollowable),
    (lambda c: address(c.object("bits.u5"), c), variables.NoAddress),
]


@pytest.mark.parametrize(("read", "mistake"), MISTAKES)
def test_mistakes_say_what_is_wrong(
    c: Sample, read: Callable[[Sample], object], mistake: type[object]
) -> None:
    with pytest.raises(TargetMistake) as caught:
        read(c)
    assert isinstance(caught.value.diagnostic, mistake)
    assert caught.value.diagnostic.title()


def test_an_unknown_member_names_near_ones_and_what_there_is(c: Sample) -> None:
    with pytest.raises(TargetMistake) as caught:
        c.object("all.inner.deeper")
    found = caught.value.diagnostic
    assert isinstance(found, variables.UnknownMember)
    assert (found.similar, found.available) == (("deep",), ("a", "deep", "low", "bytes"))


def test_memory_that_is_not_there_is_a_soft_error_of_the_operator(c: Sample) -> None:
    assert c.number("all.list->next->next->next->id") == "error: user read fault at 0x8"


# ----------------------------------------------------------------------------------------------------- C++

CPP = r"""
#include <cstdint>
struct Base { int base; virtual int f() { return 1; } };
struct Left : virtual Base { short left; };
struct Right : virtual Base { long right; };
struct Other { int64_t other; int hidden; };
namespace shop {
class Item : public Left, public Right, private Other {
 public:
  Item(int &r) : ref(r), moved(static_cast<Item &&>(*this)) { base = 11; left = -12; right = 1L << 40; other = -14; hidden = 1; }
  int &ref; Item &&moved; int hidden = 16; static int count; static const int limit = 99; bool on = true; enum class Kind : char { A = 'a', B } kind = Kind::B;
  int (&grid())[2] { return cells; } int cells[2] = { 17, 18 };
  union { unsigned whole; struct { unsigned char low, high; }; } parts = { 0x1234 };
};
int Item::count = 5;
}
template <typename T, int N> struct Box { T value[N]; Box *self; };
int target = -15;
shop::Item item(target);
shop::Item *pointer = &item;
shop::Item &alias = item;
shop::Item *&alias_of_pointer = pointer;
Base *as_base = &item;
Left *as_left = &item;
Box<short, 3> box = { { 1, -2, 3 }, &box };
int (&cells)[2] = item.cells;
"""
CPP_TOLD = [
    "item.base", "item.left", "item.right", "item.hidden", "item.ref", "item.on", "item.kind", "item.cells[1]", "pointer->base",
    "pointer->right", "alias.base", "alias.left", "alias.ref", "alias_of_pointer->right", "alias_of_pointer->moved.left",
    "as_base->base", "as_left->base", "as_left->left", "box.value[1]", "box.self->value[2]", "item.count", "alias.count", "cells[0]",
    "item.parts.whole", "item.parts.high", "alias_of_pointer", "pointer->ref",
]  # fmt: skip


@pytest.fixture(scope="module", params=["-gdwarf-5", "-gdwarf-4"])
def cpp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with Sample(
        tmp_path_factory.mktemp("values"),
        "cpp",
        CPP,
        CPP_TOLD,
        request.param,
        "-fno-access-control",
        compiler="g++",
    ) as sample:
        yield sample


def test_classes_bases_and_references(cpp: Sample) -> None:
    assert {path: cpp.number(path) for path in CPP_TOLD} == cpp.told


def test_the_address_of_a_reference_is_that_of_what_it_refers_to(cpp: Sample) -> None:
    assert at(cpp, "item.ref") == at(cpp, "target")
    assert at(cpp, "alias") == at(cpp, "item") == cpp.number("pointer")


def test_a_scoped_enumeration_has_names(cpp: Sample) -> None:
    kind = cpp.object("alias.kind")
    assert cpp.evaluate(enum_name(kind.type, value(kind, cpp), cpp)) == "B"


# --------------------------------------------------------------------------- values that are not in memory

INT, CHAR, LONG = Base("int", 4, "signed"), Base("char", 1, "signed char"), Base("long", 8, "signed")
ULONG = Base("unsigned long", 8, "unsigned")


def lazy(found: CType) -> Lazy[CType]:
    return Lazy(lambda: found)


def make_struct(*members: Member, size: int = 16) -> Struct:
    return Struct("struct", "s", size, Lazy(lambda: members))


PAIR = make_struct(
    Member("a", lazy(INT), 0),
    Member("b", lazy(CHAR), 4),
    Member("bits", lazy(INT), 4, 5, 11),
    Member("p", lazy(Pointer(8, lazy(INT))), 8),
)
REGISTERS = {"rax": 0x1122_D480_FFFF_FFFE, "rdx": 0x1000}
RAX, RDX = InRegister(0, register("rax")), InRegister(1, register("rdx"))
BOTH = Pieces((Piece(64, RAX), Piece(64, RDX)))
MEMORY = {0x1000: (77).to_bytes(4, "little"), 0x2000: bytes(range(16))}


class Alone:
    """Surroundings without a file. `target`: what the entry 7 describes."""

    at = 0
    target = Object(PAIR, BOTH)

    def entry_object(self, entry: int) -> Object:
        assert entry == 7
        return self.target

    def member_location(self, expression: bytes, owner_address: Expr) -> Expr:
        raise AssertionError

    def complete(self, struct: Struct) -> Struct:
        return struct

    def static_member(self, name: str) -> Object | None:
        return None

    def keep(self) -> Local:
        return Local(0, Type.LONG)


ALONE = Alone()


def run(expr: Expr) -> int | str:
    return evaluate(expr, Hit(MEMORY, REGISTERS))


def test_a_register_holds_a_value_in_its_lowest_bits() -> None:
    assert run(value(Object(INT, RAX), ALONE)) == -2
    assert run(value(Object(CHAR, Computed(register("rdx"))), ALONE)) == 0
    assert run(value(Object(Base("bool", 1, "bool"), RAX), ALONE)) == 0xFE


def test_a_constant_is_bytes_as_in_memory() -> None:
    assert run(value(Object(INT, Constant(b"\xfe\xff\xff\xff")), ALONE)) == -2
    assert (
        run(value(index(Object(Array(lazy(CHAR), (3,)), Constant(b"\1\x82\3")), Number(1), ALONE), ALONE))
        == -126
    )
    with pytest.raises(Unavailable):
        value(Object(LONG, Constant(b"\1\2")), ALONE)


def test_members_of_a_struct_in_registers() -> None:
    pair = Object(PAIR, BOTH)
    assert run(value(member(pair, "a", ALONE), ALONE)) == -2
    assert run(value(member(pair, "b", ALONE), ALONE)) == -128
    assert run(value(member(pair, "p", ALONE), ALONE)) == 0x1000
    assert run(value(dereference(member(pair, "p", ALONE), ALONE), ALONE)) == 77
    with pytest.raises(TargetMistake) as caught:
        address(member(pair, "a", ALONE), ALONE)
    assert "in a register" in caught.value.diagnostic.title()


def test_bits_of_a_struct_in_registers() -> None:
    word = 0x1122_D480 & 0xFFFF_FFFF
    expected = word >> 11 & 31
    found = run(value(member(Object(PAIR, BOTH), "bits", ALONE), ALONE))
    assert found == (expected - 32 if expected > 15 else expected)


def test_a_part_that_was_optimised_out_hides_only_what_needs_it() -> None:
    pair = Object(PAIR, Pieces((Piece(32, RAX), Piece(32, None), Piece(64, RDX))))
    assert run(value(member(pair, "a", ALONE), ALONE)) == -2
    assert run(value(member(pair, "p", ALONE), ALONE)) == 0x1000
    with pytest.raises(Unavailable) as caught:
        value(member(pair, "b", ALONE), ALONE)
    assert caught.value.optimised
    with pytest.raises(Unavailable):
        value(Object(LONG, pair.location), ALONE)
    with pytest.raises(Unavailable):
        value(Object(LONG, Pieces((Piece(32, RAX),))), ALONE)


@pytest.mark.parametrize("start", range(0, 24, 3))
def test_a_number_in_many_pieces_is_put_together(start: int) -> None:
    whole = int.from_bytes(bytes(range(16)), "little")
    places: list[Location] = [InMemory(Number(0x2000)), Constant(bytes(range(16)))]
    pieces = tuple(Piece(13, places[i % 2], start + 13 * i) for i in range(5))
    found = run(value(Object(LONG, Pieces(pieces)), ALONE))
    expected = whole >> start & (1 << 64) - 1
    assert found == (expected - (1 << 64) if expected >> 63 else expected)


def test_only_the_bytes_of_a_bit_field_are_read() -> None:
    edge = make_struct(Member("f", lazy(ULONG), 0, 20, 3), size=3)
    found = value(member(Object(edge, InMemory(Number(0x2FFD))), "f", ALONE), ALONE)
    assert evaluate(found, Hit({0x2FFD: b"\xff\x00\x55"})) == (0x5500FF >> 3) & 0xFFFFF


@pytest.mark.parametrize("first", [1, 5, 7])
@pytest.mark.parametrize("bits", [1, 17, 33, 57, 60, 64])
def test_bit_fields_over_nine_bytes(first: int, bits: int) -> None:
    data = bytes.fromhex("a5b6c7d8e9fa0b1c2d")
    packed = make_struct(Member("f", lazy(LONG), 0, bits, first), Member("u", lazy(ULONG), 0, bits, first))
    memory = Hit({0x3000: data[: (first + bits + 7) // 8]})
    plain = int.from_bytes(data, "little") >> first & (1 << bits) - 1
    negative = plain - (1 << bits) if plain >> bits - 1 else plain
    struct_ = Object(packed, InMemory(Number(0x3000)))
    assert evaluate(value(member(struct_, "f", ALONE), ALONE), memory) == negative
    as_signed = negative if bits == 64 else plain
    assert evaluate(value(member(struct_, "u", ALONE), ALONE), memory) == as_signed


def test_a_pointer_that_is_nowhere_is_followed_to_what_is_somewhere() -> None:
    pointer = Object(Pointer(8, lazy(PAIR)), PointerTo(7, 0))
    assert run(value(member(pointer, "a", ALONE), ALONE)) == -2
    inner = Object(Pointer(8, lazy(CHAR)), PointerTo(7, 4))
    assert run(value(dereference(inner, ALONE), ALONE)) == -128
    numbers = Object(Pointer(8, lazy(INT)), PointerTo(7, 4))
    assert run(value(index(numbers, Number(-1), ALONE), ALONE)) == -2
    with pytest.raises(Unavailable) as caught:
        value(pointer, ALONE)
    assert not caught.value.optimised


def test_a_struct_may_hold_such_a_pointer() -> None:
    holder = make_struct(Member("x", lazy(LONG), 0), Member("to", lazy(Pointer(8, lazy(PAIR))), 8))
    obj = Object(holder, Pieces((Piece(64, RDX), Piece(64, PointerTo(7, 0)))))
    assert run(value(member(member(obj, "to", ALONE), "a", ALONE), ALONE)) == -2


def test_an_array_in_registers_has_elements_but_no_address() -> None:
    array = Object(Array(lazy(INT), (4,)), BOTH)
    assert run(value(index(array, Number(0), ALONE), ALONE)) == -2
    assert run(value(index(array, Number(2), ALONE), ALONE)) == 0x1000
    with pytest.raises(TargetMistake):
        value(array, ALONE)
    with pytest.raises(TargetMistake):
        index(array, register("rdx"), ALONE)
    with pytest.raises(Unavailable):
        index(array, Number(4), ALONE)


def test_damaged_types_end() -> None:
    def inside() -> tuple[Member, ...]:
        return (Member(None, lazy(loop), 0), Member(None, lazy(loop), 8))

    loop = Struct("struct", "loop", 16, Lazy(inside))
    with pytest.raises(TargetMistake):
        member(Object(loop, InMemory(Number(0))), "x", ALONE)
    reference: Pointer = Pointer(8, Lazy(lambda: reference), "reference")
    assert value(Object(reference, InMemory(Number(0))), ALONE)
    negative = make_struct(Member("x", lazy(INT), 0, 3, -40))
    with pytest.raises(Unavailable):
        member(Object(negative, InMemory(Number(0))), "x", ALONE)
