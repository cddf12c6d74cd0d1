"""Bytes of the maps and Python values, both ways: keys, longs, strings and aggregates.

    KeyCodec((KeyField(0, 8, LONG), KeyField(8, 16, STRING)), 24).encode((1, b"ab"))  ->  24 bytes
    StatCodec(StatLayout(size=16, count=0, sum=8, ...)).decode(value)                 ->  Stat(count=3, sum=12)

The layouts are those of `probelang.artifact.manifest`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from probelang.artifact.code import Type
from probelang.artifact.histogram import bucket_of
from probelang.artifact.manifest import STRING_HEADER, KeyField, StatLayout
from probelang.runtime.store import Key, Stat, Value

INT64_MAX, INT64_MIN = (1 << 63) - 1, -(1 << 63)
_WORD = 1 << 64


def signed(value: int) -> int:
    """The low 64 bits as a signed number."""
    value &= _WORD - 1
    return value - _WORD if value > INT64_MAX else value


@dataclass(frozen=True, slots=True)
class KeyCodec:
    """Keys of one array. Strings longer than their field are cut: layout makes the fields large enough."""

    fields: tuple[KeyField, ...]
    size: int
    layout: struct.Struct = field(init=False)

    def __post_init__(self) -> None:
        text, at = "<", 0
        for f in self.fields:
            text += "x" * (f.offset - at) + ("q" if f.type is Type.LONG else f"{f.size}s")
            at = f.offset + f.size
        object.__setattr__(self, "layout", struct.Struct(text + "x" * (self.size - at)))

    def encode(self, key: Key) -> bytes:
        return self.layout.pack(*key)

    def decode(self, data: bytes) -> Key:
        return tuple(v if isinstance(v, int) else v.rstrip(b"\0") for v in self.layout.unpack(data))


def encode_string(text: bytes, size_bytes: int) -> bytes:
    """A string in memory, with its header, padded to the whole size."""
    cut = text[: size_bytes - STRING_HEADER]
    return (struct.pack("<II", len(cut), 0) + cut).ljust(size_bytes, b"\0")


def decode_string(data: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", data)
    return data[STRING_HEADER : STRING_HEADER + length]


def encode_value(value: Value, size_bytes: int) -> bytes:
    return struct.pack("<q", value) if isinstance(value, int) else encode_string(value, size_bytes)


@dataclass(frozen=True, slots=True)
class StatCodec:
    """Aggregates of one variable."""

    layout: StatLayout

    def decode(self, data: bytes) -> Stat:
        layout = self.layout

        def word(offset: int | None) -> int:
            return 0 if offset is None else int.from_bytes(data[offset : offset + 8], "little", signed=True)

        squares = layout.squares
        return Stat(
            count=word(layout.count),
            sum=word(layout.sum),
            minimum=word(layout.minimum) ^ INT64_MAX,
            maximum=word(layout.maximum) ^ INT64_MIN,
            squares=0 if squares is None else int.from_bytes(data[squares : squares + 16], "little"),
            histograms=[
                list(struct.unpack_from(f"<{h.buckets}Q", data, h.offset)) for h in layout.histograms
            ],
        )

    def encode(self, stat: Stat) -> bytes:
        layout, data = self.layout, bytearray(self.layout.size)
        if not stat.count:
            return bytes(data)
        struct.pack_into("<q", data, layout.count, stat.count)
        for offset, value in (
            (layout.sum, stat.sum),
            (layout.minimum, stat.minimum ^ INT64_MAX),
            (layout.maximum, stat.maximum ^ INT64_MIN),
        ):
            if offset is not None:
                struct.pack_into("<q", data, offset, value)
        if layout.squares is not None:
            data[layout.squares : layout.squares + 16] = stat.squares.to_bytes(16, "little")
        for h, counts in zip(layout.histograms, stat.histograms, strict=True):
            struct.pack_into(f"<{h.buckets}Q", data, h.offset, *counts)
        return bytes(data)

    def add(self, stat: Stat, value: int) -> Stat:
        """`stat` with one value more: what the kernel half does, for aggregates that are detached from it."""
        single = Stat(
            count=1,
            sum=value,
            minimum=value,
            maximum=value,
            squares=value * value,
            histograms=self._one(value),
        )
        return merge_stats(stat, single)

    def _one(self, value: int) -> list[list[int]]:
        rows: list[list[int]] = []
        for h in self.layout.histograms:
            row = [0] * h.buckets
            row[bucket_of(h.shape, value)] = 1
            rows.append(row)
        return rows


def merge_stats(one: Stat, two: Stat) -> Stat:
    """What would have been accumulated had all values gone to one aggregate."""
    if not one.count or not two.count:
        return one if one.count else two
    return Stat(
        count=one.count + two.count,
        sum=signed(one.sum + two.sum),
        minimum=min(one.minimum, two.minimum),
        maximum=max(one.maximum, two.maximum),
        squares=(one.squares + two.squares) % (1 << 128),
        histograms=[
            [a + b for a, b in zip(x, y, strict=True)]
            for x, y in zip(one.histograms, two.histograms, strict=True)
        ],
    )


def empty_stat(layout: StatLayout) -> Stat:
    return Stat(histograms=[[0] * h.buckets for h in layout.histograms])


def merge_values(one: Value | Stat, two: Value | Stat) -> Value | Stat:
    """What an element is when `two` was counted while `one` was detached: numbers and aggregates add up, of strings
    the later one stands."""
    if isinstance(one, Stat) and isinstance(two, Stat):
        return merge_stats(one, two)
    if isinstance(one, int) and isinstance(two, int):
        return signed(one + two)
    return two or one


def merge_items(
    base: Sequence[tuple[Key, Value | Stat]], later: Sequence[tuple[Key, Value | Stat]]
) -> dict[Key, Value | Stat]:
    """Both, element by element."""
    merged = dict(base)
    for key, value in later:
        merged[key] = merge_values(merged[key], value) if key in merged else value
    return merged
