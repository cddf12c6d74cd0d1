"""Objects as text: what `$x$`, `$x$$` and `$$vars` give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from probelang.artifact.code import Number, Text
from probelang.dwarf.ctypes import Array, Base, CType, Lazy, Member, Struct
from probelang.target.build import register
from probelang.target.location import Computed, InMemory, InRegister, Piece, Pieces, PointerTo, Unavailable
from probelang.target.pretty import listing, pretty
from probelang.target.values import Object
from tests.target.samples import Hit, Sample, evaluate

C = r"""
#include <stdbool.h>
enum colour { RED = -3, BLUE = 40 };
struct point { int x, y; };
struct deep { struct point at; struct { short in; union { unsigned whole; unsigned char low; }; }; struct point row[2]; };
struct list { struct list *next; int id; const char *name; char text[8]; char c; bool yes; enum colour colour; unsigned u : 5; int s : 3;
  double d; float f; int *p; int arr[3]; struct deep deep; struct point none[0]; };
int number = -5;
struct list last = { 0, 2, 0, "tail" };
struct list first = { &last, 1, "say \"hi\"\n", "12345678", '\n', true, RED, 31, -3, 1.5, -0.25f, &number, { 1, 2, 3 },
  { { 4, 5 }, { 6, { 0x107 } }, { { 8, 9 }, { 10, 11 } } } };
struct list *head = &first, *null = 0, *wild = (struct list *)8, **pp = &head;
int many[40] = { 1, 2, 3 }, grid[2][2] = { { 1, 2 }, { 3, 4 } };
union { int i; unsigned char bytes[2]; } either = { 0x4241 };
char *name = "a name", letter = 'q'; unsigned char empty[4]; const char *wild_name = (char *)16; const char *words[2] = { "one", "two" };
__int128 big = ((__int128)1 << 64) + 2; _Complex double z = 1.5; double pi = 3.14159; struct point structs[2] = { { 1, 2 }, { 3, 4 } };
struct wide { int v[30]; struct point p; int more; } wide;
struct blank {} blank; struct { struct blank b; int x; } holder = { {}, 1 };
int (*function)(int);
"""
HEXADECIMAL = ["head", "null", "number", "first"]


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    told = [f"&{name}" if name in ("number", "first", "last") else name for name in (*HEXADECIMAL, "last")]
    with Sample(tmp_path_factory.mktemp("pretty"), "c", C, told) as sample:
        yield sample


def shown(sample: Sample, path: str, depth: int = 1) -> int | str:
    sample.kept = 0
    return sample.evaluate(pretty(sample.object(path), depth, sample))


def test_one_dollar_shows_one_level(c: Sample) -> None:
    assert shown(c, "first") == (
        f'{{.next={c.told["&last"]:#x}, .id=1, .name="say \\"hi\\"\\n", .text="12345678", .c=\'\\n\', .yes=1, .colour=-3, .u=31, .s=-3, '
        f".d=1.500000, .f=-0.250000, .p={c.told['&number']:#x}, .arr=[...], .deep={{...}}, .none=[...]}}"
    )


def test_two_show_all_levels_but_follow_no_pointers(c: Sample) -> None:
    text = shown(c, "first", 2)
    assert isinstance(text, str)
    assert text.startswith(f"{{.next={c.told['&last']:#x}, .id=1, ")
    assert text.endswith(
        ".arr=[1, 2, 3], .deep={.at={.x=4, .y=5}, {.in=6, {.whole=263, .low='\\a'}}, .row=[{.x=8, .y=9}, {.x=10, .y=11}]}, .none=[]}"
    )


def test_members_of_anonymous_ones_are_of_the_same_level(c: Sample) -> None:
    assert shown(c, "first.deep") == "{.at={...}, {.in=6, {.whole=263, .low='\\a'}}, .row=[...]}"


def test_a_pointer_to_a_struct_is_followed(c: Sample) -> None:
    assert shown(c, "head") == shown(c, "first")
    assert str(shown(c, "head->next")).startswith('{.next=0x0, .id=2, .name=NULL, .text="tail", ')


def test_one_that_cannot_be_followed_is_a_number(c: Sample) -> None:
    assert [shown(c, "null"), shown(c, "wild"), shown(c, "pp")] == ["0x0", "0x8", hex(int(c.number("pp")))]


def test_a_string_that_cannot_be_read_hides_nothing_else(c: Sample) -> None:
    assert shown(c, "wild_name") == "0x10"
    assert shown(c, "words") == '["one", "two"]'


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("number", "-5"), ("letter", "'q'"), ("name", '"a name"'), ("empty", '""'), ("pi", "3.141590"), ("big", "0x10000000000000002"),
        ("z", "(1.500000, 0.000000)"), ("first.colour", "-3"), ("first.s", "-3"), ("first.text", '"12345678"'), ("function", "0x0"),
        ("either", "{.i=16961, .bytes=\"AB\"}"), ("structs", "[{...}, {...}]"), ("grid", "[[...], [...]]"), ("blank", "{}"),
        ("holder", "{.b={...}, .x=1}"),
    ],
)  # fmt: skip
def test_values_of_every_type(c: Sample, path: str, text: str) -> None:
    assert shown(c, path) == text


def test_two_dollars_show_what_is_in_arrays(c: Sample) -> None:
    assert shown(c, "grid", 2) == "[[1, 2], [3, 4]]"
    assert shown(c, "structs", 2) == "[{.x=1, .y=2}, {.x=3, .y=4}]"


def test_at_most_32_values_are_shown(c: Sample) -> None:
    assert shown(c, "many") == "[1, 2, 3, " + "0, " * 29 + "...]"
    assert shown(c, "wide", 2) == "{.v=[" + ", ".join("0" * 30) + "], .p={.x=0, .y=0}, ...}"


CPP = r"""
struct Base { int base = 1; virtual ~Base() {} };
struct Middle : virtual Base { int middle = 2; };
struct Item : Middle { int own = 3; int &ref; static int count; Item(int &r) : ref(r) {} };
int Item::count, seven = 7;
Item item(seven); Item &alias = item; Item *pointer = &item;
"""


def test_base_classes_stand_beside_the_members(tmp_path: Path) -> None:
    with Sample(tmp_path, "cpp", CPP, [], compiler="g++") as cpp:
        for name in ("item", "alias", "pointer"):
            assert shown(cpp, name) == "{.base=1, .middle=2, .own=3, .ref=7}"


STRINGS = r"""
#include <string>
struct holder { std::string a; int x; };
holder h = { "short", 1 };
std::string text = "a text that is too long to lie in the object itself", empty, *pointer = &text, &alias = text;
"""


def test_a_string_of_cpp_is_text(tmp_path: Path) -> None:
    with Sample(tmp_path, "strings", STRINGS, [], compiler="g++") as cpp:
        text = '"a text that is too long to lie in the object itself"'
        assert [shown(cpp, name) for name in ("text", "pointer", "alias", "empty")] == [
            text,
            text,
            text,
            '""',
        ]
        assert shown(cpp, "h") == '{.a="short", .x=1}'


# ------------------------------------------------------------------------------------------------ listings


def listed(sample: Sample, rows: list[tuple[str, str]], depth: int) -> int | str:
    sample.kept = 0
    found = [(name, sample.object(path)) for name, path in rows]
    return sample.evaluate(
        listing([*found, ("gone", Unavailable("it was optimised out", True))], depth, sample)
    )


ROWS = [
    ("a", "number"),
    ("s", "name"),
    ("p", "null"),
    ("st", "structs[1]"),
    ("ar", "grid"),
    ("d", "pi"),
    ("e", "first.colour"),
]


def test_a_listing_has_numbers_in_hexadecimal(c: Sample) -> None:
    assert listed(c, ROWS, 0) == (
        f"a=0xfffffffffffffffb s={c.number('name'):#x} p=0x0 st={{...}} ar=[...] d=3.141590 e=0xfffffffffffffffd gone=?"
    )


def test_or_objects_as_dollars_show_them(c: Sample) -> None:
    assert (
        listed(c, ROWS, 1) == 'a=-5 s="a name" p=0x0 st={.x=3, .y=4} ar=[[...], [...]] d=3.141590 e=-3 gone=?'
    )
    assert (
        listed(c, ROWS, 2)
        == 'a=-5 s="a name" p=0x0 st={.x=3, .y=4} ar=[[1, 2], [3, 4]] d=3.141590 e=-3 gone=?'
    )


def test_an_empty_listing_is_empty(c: Sample) -> None:
    assert listing([], 0, c) == Text(b"")


# ------------------------------------------------------------------------------------------ not in memory

INT = Base("int", 4, "signed")


def lazy(found: CType) -> Lazy[CType]:
    return Lazy(lambda: found)


def test_what_was_optimised_out_is_a_question_mark(c: Sample) -> None:
    pair = Struct("struct", "pair", 8, Lazy(lambda: (Member("a", lazy(INT), 0), Member("b", lazy(INT), 4))))
    half = Object(pair, Pieces((Piece(32, InRegister(0, register("rax"))), Piece(32, None))))
    hit = Hit(registers={"rax": 7})
    assert evaluate(pretty(half, 1, c), hit) == "{.a=7, .b=?}"
    rows = [("x", Object(INT, PointerTo(1, 0))), ("y", Object(INT, Computed(Number(3))))]
    assert evaluate(listing(rows, 0, c), hit) == "x=? y=0x3"
    numbers = Array(lazy(INT), (2,))
    assert evaluate(pretty(Object(numbers, half.location), 1, c), hit) == "[7, ?]"


def test_a_string_in_a_register_is_characters(c: Sample) -> None:
    text = Object(Array(lazy(Base("char", 1, "signed char")), (2,)), InRegister(0, register("rax")))
    assert evaluate(pretty(text, 1, c), Hit(registers={"rax": 0x4241})) == "['A', 'B']"


def test_damaged_types_end(c: Sample) -> None:
    inside = Struct(
        "struct", "loop", 8, Lazy(lambda: (Member(None, lazy(inside), 0), Member("x", lazy(inside), 0)))
    )
    bases = Struct("struct", "b", 8, Lazy(lambda: (Member(None, lazy(bases), 0, inherited=True),) * 2))
    for damaged in (inside, bases):
        assert evaluate(pretty(Object(damaged, InMemory(Number(0))), 2, c), Hit())
