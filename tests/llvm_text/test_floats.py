"""Floating point numbers by integer instructions: both halves give what the processor gives."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.llvm_text.builtins import Bench, builtin
from tests.llvm_text.machine import Routine
from tests.llvm_text.reference import Reference

SIZE = 64
NAMES = (
    "float_to_double",
    "double_to_float",
    "double_to_long",
    "long_to_double",
    "double_order",
    "double_text",
)
some = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)
DOUBLES = (
    st.integers(0, 2**64 - 1)
    | st.floats(-1e20, 1e20).map(lambda n: bits_of(n))
    | st.integers(-(10**12), 10**12).map(lambda n: bits_of(n / 2000000))  # ties when rounded to six digits
    | st.floats().map(lambda n: bits_of(n))
)


def bits_of(number: float) -> int:
    found: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    return found


def double_of(bits: int) -> float:
    found: float = struct.unpack("<d", struct.pack("<Q", bits % 2**64))[0]
    return found


def signed(bits: int) -> int:
    return ctypes.c_int64(bits).value


class Kernel(Bench):
    """The kernel half."""

    def value(self, name: str, *arguments: int) -> int | bytes:
        return self.text(name, *arguments) if name.endswith("text") else self.call(name, *arguments)


class User(Reference):
    """The user half."""

    def value(self, name: str, *arguments: int) -> int | bytes:
        return self.call(name, *(signed(a) for a in arguments))


def everything(places: Callable[[], list[int]]) -> dict[str, Routine]:
    made = {name: builtin(places, name, ("long",)) for name in NAMES}
    return made | {"long_double_to_double": builtin(places, "long_double_to_double", ("long", "long"))}


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with Kernel(everything, SIZE) as made:
        yield made


@pytest.fixture(params=["kernel half", "user half"])
def half(request: pytest.FixtureRequest, requires: Callable[..., None]) -> Kernel | User:
    if request.param == "user half":
        return User(SIZE)
    requires("root", "raw_tracepoints", "iterators")
    made: Kernel = request.getfixturevalue("kernel")
    return made


@some
@given(st.integers(0, 2**32 - 1) | st.integers(0, 2**23) | st.integers(0x7F7FFFFE, 0x7F800002))
def test_a_float_becomes_the_same_double(half: Kernel | User, bits: int) -> None:
    (expected,) = struct.unpack("<f", struct.pack("<I", bits))
    found = half.value("float_to_double", bits)
    assert isinstance(found, int)
    if math.isnan(expected):
        assert math.isnan(double_of(found))
    else:
        assert found % 2**64 == bits_of(expected)


def as_float(bits: int) -> float:
    return ctypes.c_float.from_buffer_copy(struct.pack("<I", bits)).value


FLOATS = st.integers(0, 2**32 - 1).map(lambda bits: bits_of(as_float(bits)))
NEAR_FLOATS = FLOATS.flatmap(  # ties are 2^28 away from a float
    lambda bits: st.sampled_from((0, 1, 1 << 28, (1 << 28) - 1, (1 << 28) + 1)).map(
        lambda off: (bits + off) % 2**64
    )
)


@some
@given(DOUBLES | NEAR_FLOATS | st.floats(-1e-36, 1e-36).map(bits_of) | st.floats(3.3e38, 3.5e38).map(bits_of))
def test_a_double_becomes_the_nearest_float(half: Kernel | User, bits: int) -> None:
    number, found = double_of(bits), half.value("double_to_float", bits)
    assert isinstance(found, int) and 0 <= found < 2**32
    expected = ctypes.c_float(number).value  # as the processor rounds
    value = as_float(found)
    assert math.isnan(value) if math.isnan(number) else bits_of(value) == bits_of(expected)


def test_what_lies_above_a_float_is_not_read(half: Kernel | User) -> None:
    assert half.value("float_to_double", (0xFFFF << 32) + 0x3FC00000) == bits_of(1.5)


@some
@given(DOUBLES)
def test_a_double_is_cut_towards_zero(half: Kernel | User, bits: int) -> None:
    number = double_of(bits)
    expected = (
        0
        if math.isnan(number)
        else max(
            -(2**63),
            min(
                2**63 - 1, math.trunc(number) if math.isfinite(number) else 2**64 * (1 if number > 0 else -1)
            ),
        )
    )
    assert half.value("double_to_long", bits) == expected


@some
@given(LONGS)
def test_a_number_becomes_the_nearest_double(half: Kernel | User, number: int) -> None:
    assert half.value("long_to_double", number) == signed(bits_of(ctypes.c_double(number).value))


@some
@given(DOUBLES, DOUBLES)
def test_order_is_that_of_the_doubles(half: Kernel | User, left: int, right: int) -> None:
    a, b = double_of(left), double_of(right)
    first, second = half.value("double_order", left), half.value("double_order", right)
    assert isinstance(first, int) and isinstance(second, int)
    if not (math.isnan(a) or math.isnan(b)):
        assert (first < second, first == second) == (a < b, a == b)


def test_zero_has_no_sign_in_the_order_and_nan_is_outside(half: Kernel | User) -> None:
    assert half.value("double_order", 1 << 63) == half.value("double_order", 0) == 0
    infinite, nan = (
        half.value("double_order", bits_of(math.inf)),
        half.value("double_order", bits_of(math.nan)),
    )
    assert isinstance(infinite, int) and isinstance(nan, int) and nan > infinite


@some
@given(DOUBLES)
def test_text_is_that_of_f(half: Kernel | User, bits: int) -> None:
    number = double_of(bits)
    found = half.value("double_text", bits)
    assert isinstance(found, bytes)
    if math.isnan(number):
        assert found == b"nan"
    elif math.isinf(number) or abs(number) < 2.0**63:
        assert found == b"%f" % number
    else:
        assert float.fromhex(found.decode()) == number


def test_text_of_large_numbers_has_no_more_digits_than_it_needs(half: Kernel | User) -> None:
    assert half.value("double_text", bits_of(-(2.0**70) * 1.5)) == b"-0x1.8p+70"
    assert half.value("double_text", bits_of(2.0**1023)) == b"0x1p+1023"
    assert half.value("double_text", bits_of(1.7976931348623157e308)) == b"0x1.fffffffffffffp+1023"


class Extended(ctypes.Union):
    """C's long double, which the processor converts."""

    _fields_ = [
        ("number", ctypes.c_longdouble),
        ("bytes", ctypes.c_ubyte * ctypes.sizeof(ctypes.c_longdouble)),
    ]


@some
@given(
    st.integers(2**63, 2**64 - 1)
    | st.sampled_from([2**63, 2**63 + 0x400, 2**63 + 0xC00, 2**63 + 0x401, 2**64 - 1]),
    st.integers(0, 0x7FFF)
    | st.integers(16383 - 1090, 16383 - 1010)
    | st.integers(16383 + 1020, 16383 + 1030)
    | st.just(16383),
    st.booleans(),
)
def test_a_long_double_becomes_the_nearest_double(
    half: Kernel | User, low: int, exponent: int, negative: bool
) -> None:
    high = exponent | negative << 15
    extended = Extended()
    extended.bytes[:10] = (low | high << 64).to_bytes(10, "little")
    expected = extended.number
    found = half.value("long_double_to_double", low, high)
    assert isinstance(found, int)
    if math.isnan(expected):
        assert math.isnan(double_of(found))
    else:
        assert found % 2**64 == bits_of(expected)


def test_long_double_zero_and_its_smallest_numbers_are_zero(half: Kernel | User) -> None:
    assert half.value("long_double_to_double", 0, 0) == 0
    assert half.value("long_double_to_double", 0, 1 << 15) == -(1 << 63)
    assert half.value("long_double_to_double", 12345, 0) == 0
