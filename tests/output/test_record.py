"""Records of the kernel half, from bytes to text."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.artifact.code import HistogramShape, Piece
from probelang.artifact.manifest import FieldKind, Record
from probelang.runtime.output.histogram import render_histogram
from probelang.runtime.output.pieces import format_pieces
from probelang.runtime.output.record import (
    HEADER_SIZE,
    compile_batch,
    compile_packed,
    compile_record,
    compile_unpacker,
)
from probelang.runtime.store import Value

LOG = HistogramShape("log")
LONGS = st.integers(-(2**63), 2**63 - 1)


class Resolver:
    show = None

    def symbol(self, address: int, pid: int, data: bool) -> bytes:
        return f"{'data' if data else 'name'}:{address:#x}:{pid}".encode()


def pack(kinds: list[str], values: list[Value]) -> bytes:
    """A record as programs write it, with its header."""
    fields, strings = b"", b""
    for kind, value in zip(kinds, values, strict=True):
        if isinstance(value, bytes):
            assert kind == "string"
            fields += struct.pack("<II", len(value), 0)
            strings += value
        else:
            fields += struct.pack("<q", value)
    return struct.pack("<II", 3, 0) + fields + strings


VALUES = st.lists(LONGS | st.binary(max_size=20), max_size=6)


@given(VALUES, st.data())
def test_all_forms_print_what_the_format_says(values: list[Value], data: st.DataObject) -> None:
    kinds: list[FieldKind] = ["string" if isinstance(value, bytes) else "long" for value in values]
    pieces = [Piece("text", b"100% ")]
    for kind in kinds:
        conversion = "s" if kind == "string" else data.draw(st.sampled_from("diuxXopcfFeEgG"))
        pieces += [Piece(conversion, width=data.draw(st.none() | st.integers(1, 9))), Piece("text", b"|")]
    record = Record("print", tuple(kinds), pieces=tuple(pieces))
    expected = format_pieces(pieces, values)
    assert compile_record(record, Resolver())(values) == expected
    assert (
        compile_packed(record, Resolver())(b"junk" + pack(list(kinds), values), 4 + HEADER_SIZE) == expected
    )
    packed = pack(list(kinds), values)
    offsets = range(HEADER_SIZE, HEADER_SIZE + 70 * len(packed), len(packed))
    assert compile_batch(record, Resolver())(packed * 70, offsets) == expected * 70


@given(VALUES)
def test_fields_come_out_as_they_went_in(values: list[Value]) -> None:
    kinds: list[FieldKind] = ["string" if isinstance(value, bytes) else "long" for value in values]
    unpack = compile_unpacker(Record("call", tuple(kinds), "warn"))
    assert unpack(memoryview(pack(list(kinds), values)), HEADER_SIZE) == tuple(values)


def test_stars_and_unsigned_numbers() -> None:
    record = Record(
        "print", ("long", "long", "long"), pieces=(Piece("x", width=-1), Piece("text", b" "), Piece("u"))
    )
    assert (
        compile_packed(record, Resolver())(pack(["long"] * 3, [6, 255, -1]), HEADER_SIZE)
        == b"    ff 18446744073709551615"
    )


@pytest.mark.parametrize(
    ("fields", "values", "text"),
    [
        (("user_symbol", "long"), [0x40, 7, 5], b"name:0x40:7 5"),
        (("string", "user_symbol_data"), [b"s", 0x40, 7], b"s data:0x40:7"),
    ],
)
def test_symbols_are_looked_up(fields: tuple[FieldKind, ...], values: list[Value], text: bytes) -> None:
    kinds = ["s" if kind != "long" else "d" for kind in fields]
    record = Record("print", fields, pieces=(Piece(kinds[0]), Piece("text", b" "), Piece(kinds[1])))
    packed = pack(["string" if isinstance(value, bytes) else "long" for value in values], values)
    assert compile_packed(record, Resolver())(packed, HEADER_SIZE) == text


def test_histograms_are_drawn_from_the_counters_in_the_record() -> None:
    linear = HistogramShape("linear", 0, 10, 5)
    record = Record(
        "print",
        ("histogram", "long", "histogram"),
        pieces=(Piece("hist"), Piece("d"), Piece("hist")),
        histograms=(LOG, linear),
    )
    log_counts, linear_counts = [0] * 64 + [3] + [0] * 64, [0, 1, 2, 0, 0]
    values: list[Value] = [struct.pack("<129Q", *log_counts), 77, struct.pack("<5Q", *linear_counts)]
    packed = pack(["string", "long", "string"], values)
    drawn = render_histogram(LOG, log_counts) + b"77" + render_histogram(linear, linear_counts)
    assert compile_packed(record, Resolver())(packed, HEADER_SIZE) == drawn
