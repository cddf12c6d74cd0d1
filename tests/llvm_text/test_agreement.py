"""Both halves agree: the routines in the kernel give what the user half's functions give."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probelang.artifact.code import Piece
from probelang.llvm import strings
from probelang.llvm.calls.lowering import Result
from probelang.llvm.emitter import Emitter
from probelang.llvm.values import StrVal
from tests.llvm_text.builtins import Bench, Kinds, builtin, formatted, routine
from tests.llvm_text.machine import Routine
from tests.llvm_text.reference import Reference

SIZE = 64  # small, so that much is cut
PLACES = Callable[[], list[int]]
BUILTINS: dict[str, Kinds] = {
    "strlen": ("string",),
    "substr": ("string", "long", "long"),
    "stringat": ("string", "long"),
    "isinstr": ("string", "string"),
    "strtol": ("string", "long"),
    "text_str": ("string",),
    "text_strn": ("string", "long", "long"),
    "str_replace": ("string", "string", "string"),
}
NUMBER_KINDS, FLAGS = "diuxXopc", ("", "0", "-", "+", " ", "#")

some = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.one_of(
    st.text("ab,", max_size=SIZE - 1).map(str.encode),
    st.binary(max_size=SIZE - 1).map(lambda data: data.replace(b"\0", b"")),
    st.text("0123456789abcdefxXzZ- ", max_size=24).map(str.encode),
)
longs = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-3, 70), st.sampled_from([-(2**63), 2**63 - 1])
)


def comparison(op: str) -> Callable[[Emitter, list[Result]], Result]:
    def make(e: Emitter, operands: list[Result]) -> Result:
        left, right = operands
        assert isinstance(left, StrVal) and isinstance(right, StrVal)
        return strings.compare(e, op, left, right)

    return make


def concatenation(e: Emitter, operands: list[Result]) -> Result:
    texts = [operand for operand in operands if isinstance(operand, StrVal)]
    return strings.concat(e, [texts[0], e.literal(b"<>"), texts[1], texts[2]])


def everything(places: PLACES) -> dict[str, Routine]:
    made = {name: builtin(places, name, kinds) for name, kinds in BUILTINS.items()}
    made |= {
        op: routine(places, ("string", "string"), comparison(op)) for op in ("==", "!=", "<", "<=", ">", ">=")
    }
    made["."] = routine(places, ("string", "string", "string"), concatenation)
    made["first token"] = builtin(places, "tokenize", ("string", "string"))
    made["next token"] = builtin(places, "tokenize", ("string",))
    return made


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(everything, SIZE) as made:
        yield made


@pytest.fixture
def reference() -> Reference:
    return Reference(SIZE)


def arguments_of(kinds: Kinds) -> st.SearchStrategy[list[int | bytes]]:
    return st.tuples(*(texts if kind == "string" else longs for kind in kinds)).map(list)


@pytest.mark.parametrize("name", BUILTINS)
def test_a_builtin_gives_what_the_user_half_gives(name: str, bench: Bench, reference: Reference) -> None:
    @some
    @given(arguments_of(BUILTINS[name]))
    def check(arguments: list[int | bytes]) -> None:
        expected = reference.call(name, *arguments)
        found = bench.text(name, *arguments) if isinstance(expected, bytes) else bench.call(name, *arguments)
        assert found == expected

    check()


@some
@given(texts, texts, st.booleans())
def test_comparisons_are_in_byte_order(bench: Bench, left: bytes, right: bytes, same: bool) -> None:
    right = left if same else right
    found = {op: bench.call(op, left, right) for op in ("==", "!=", "<", "<=", ">", ">=")}
    assert found == {
        "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right,
        ">=": left >= right,
    }  # fmt: skip


@some
@given(texts, texts, texts)
def test_a_concatenation_is_cut_once_at_its_end(
    bench: Bench, reference: Reference, first: bytes, second: bytes, third: bytes
) -> None:
    assert bench.text(".", first, second, third) == reference.cut(first + b"<>" + second + third)


@some
@given(texts, st.lists(st.sampled_from([b",", b"a", b", ", b"", b"ab"]), min_size=1, max_size=6))
def test_tokens_of_a_string_come_one_after_the_other(
    bench: Bench, reference: Reference, text: bytes, delimiters: list[bytes]
) -> None:
    found = [bench.text("first token", text, delimiters[0])]
    expected = [reference.call("tokenize", text, delimiters[0])]
    for delimiter in delimiters[1:]:
        found.append(bench.text("next token", delimiter))
        expected.append(reference.call("tokenize", delimiter))
    assert found == expected


# --------------------------------------------------------------------------------------------------- formats


def number_formats(places: PLACES) -> dict[str, Routine]:
    made: dict[str, Routine] = {}
    for kind in NUMBER_KINDS:
        for flag in FLAGS:
            stars = (Piece("text", b"<"), Piece(kind, flag=flag, width=-1, precision=-1), Piece("text", b">"))
            made[f"{kind}{flag}"] = formatted(places, stars, ("long", "long", "long"))
            made[f"{kind}{flag} plain"] = formatted(places, (Piece(kind, flag=flag),), ("long",))
            fixed = (Piece("text", b"ab"), Piece(kind, flag=flag, width=9, precision=5))
            made[f"{kind}{flag} fixed"] = formatted(places, fixed, ("long",))
    return made


def text_formats(places: PLACES) -> dict[str, Routine]:
    made: dict[str, Routine] = {}
    for flag in FLAGS:
        stars = (Piece("text", b"<"), Piece("s", flag=flag, width=-1, precision=-1), Piece("text", b">"))
        made[f"s{flag}"] = formatted(places, stars, ("long", "long", "string"))
        plain = (Piece("s", flag=flag), Piece("text", b"-"), Piece("s", flag=flag, width=30), Piece("d"))
        made[f"s{flag} plain"] = formatted(places, plain, ("string", "string", "long"))
    for width in (None, 1, 2, 4, 8):
        made[f"b{width}"] = formatted(places, (Piece("b", width=width), Piece("text", b"!")), ("long",))
    return made


@pytest.fixture(scope="module")
def numbers() -> Iterator[Bench]:
    with Bench(number_formats, SIZE) as made:
        yield made


@pytest.fixture(scope="module")
def words() -> Iterator[Bench]:
    with Bench(text_formats, SIZE) as made:
        yield made


sizes = st.one_of(st.integers(-40, 80), longs)


@settings(some, max_examples=2500)
@given(st.sampled_from(NUMBER_KINDS), st.sampled_from(FLAGS), sizes, sizes, longs)
def test_a_number_is_formatted_as_in_the_user_half(
    numbers: Bench, reference: Reference, kind: str, flag: str, width: int, precision: int, value: int
) -> None:
    stars = (Piece("text", b"<"), Piece(kind, flag=flag, width=-1, precision=-1), Piece("text", b">"))
    assert numbers.text(kind + flag, width, precision, value) == reference.format(
        stars, width, precision, value
    )
    assert numbers.text(f"{kind}{flag} plain", value) == reference.format((Piece(kind, flag=flag),), value)
    fixed = (Piece("text", b"ab"), Piece(kind, flag=flag, width=9, precision=5))
    assert numbers.text(f"{kind}{flag} fixed", value) == reference.format(fixed, value)


@settings(some, max_examples=1000)
@given(st.sampled_from(FLAGS), sizes, sizes, texts, texts, longs)
def test_a_string_is_formatted_as_in_the_user_half(
    words: Bench,
    reference: Reference,
    flag: str,
    width: int,
    precision: int,
    text: bytes,
    other: bytes,
    value: int,
) -> None:
    stars = (Piece("text", b"<"), Piece("s", flag=flag, width=-1, precision=-1), Piece("text", b">"))
    assert words.text(f"s{flag}", width, precision, text) == reference.format(stars, width, precision, text)
    plain = (Piece("s", flag=flag), Piece("text", b"-"), Piece("s", flag=flag, width=30), Piece("d"))
    assert words.text(f"s{flag} plain", text, other, value) == reference.format(plain, text, other, value)


@some
@given(st.sampled_from([None, 1, 2, 4, 8]), longs)
def test_binary_output_ends_at_its_first_nul(
    words: Bench, reference: Reference, width: int | None, value: int
) -> None:
    pieces = (Piece("b", width=width), Piece("text", b"!"))
    assert words.text(f"b{width}", value) == reference.format(pieces, value)
