"""What a ring-buffer record prints: its format, compiled once for each kind of record.

    Record("print", ("long", "string"), pieces="%d %s\\n")  and the bytes  7, "ab"  ->  b"7 ab\\n"

Three forms: `compile_record` takes the fields as Python values, `compile_packed` the bytes of a record (layout in
`probelang.artifact.manifest`), `compile_batch` those of many, which is how a million records a second go through.
In `fields` an entry `user_symbol` is two longs (address, pid); an entry `histogram` is a string of counters, the n-th of them
of shape `record.histograms[n]`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, cast

from probelang.artifact.code import HistogramShape, Piece
from probelang.artifact.formats import FLOATS
from probelang.artifact.manifest import Record
from probelang.runtime.output.histogram import render_histogram
from probelang.runtime.output.pieces import UNSIGNED, compile_pieces, native_template
from probelang.runtime.store import Value

HEADER_SIZE = 8  # u32 record, u32 cpu
AT_ONCE = 64  # records that one format takes

Fields: TypeAlias = Sequence[Value]
Buffer: TypeAlias = bytes | bytearray | memoryview


class Resolver(Protocol):
    """What a record only names. `show`: what becomes of a string before it is formatted; None: it is shown as it is."""

    @property
    def show(self) -> Callable[[bytes], bytes] | None: ...

    def symbol(self, address: int, pid: int, data: bool) -> bytes: ...


def compile_record(record: Record, resolver: Resolver) -> Callable[[Fields], bytes]:
    """`fields`: one value for each long and string in the record, signed."""
    format_ = compile_pieces(record.pieces)
    if _is_plain(record, resolver):
        return format_
    plan = _argument_plan(record, resolver)
    return lambda fields: format_([take(fields) for take in plan])


def compile_packed(record: Record, resolver: Resolver) -> Callable[[Buffer, int], bytes]:
    """A function of a record's bytes and the offset of its first field."""
    unpack, run = compile_unpacker(record), compile_record(record, resolver)
    return lambda data, offset: run(unpack(data, offset))


def compile_batch(record: Record, resolver: Resolver) -> Callable[[Buffer, Sequence[int]], bytes]:
    """The text of many records of this kind, given the offsets of their first fields."""
    template = native_template(record.pieces)
    if template is None or not _is_plain(record, resolver):
        one = compile_packed(record, resolver)
        return lambda data, offsets: b"".join([one(data, offset) for offset in offsets])
    if "string" in record.fields:
        return _string_batch(record, template)
    return _long_batch("".join(_codes(record)), template)


def _is_plain(record: Record, resolver: Resolver) -> bool:
    """Whether the fields are the format's arguments as they are."""
    kinds = ("long", "string") if resolver.show is None else ("long",)
    return all(kind in kinds for kind in record.fields)


def _long_batch(codes: str, template: bytes) -> Callable[[Buffer, Sequence[int]], bytes]:
    """Records of one size at even distances are unpacked and formatted many at a time."""
    read = struct.Struct("<" + codes).unpack_from
    many: dict[int, Callable[[Buffer, int], tuple[int | float, ...]]] = {}  # by distance
    templates, size = template * AT_ONCE, struct.calcsize("<" + codes)

    def render(data: Buffer, offsets: Sequence[int]) -> bytes:
        parts: list[bytes] = []
        done = 0
        if isinstance(offsets, range) and len(offsets) >= AT_ONCE:
            step = offsets.step
            read_many = many.get(step)
            if read_many is None:
                gap = f"{codes}{step - size}x" * (AT_ONCE - 1)
                read_many = many[step] = struct.Struct(f"<{gap}{codes}").unpack_from
            done = len(offsets) // AT_ONCE * AT_ONCE
            parts = [templates % read_many(data, offset) for offset in offsets[:done:AT_ONCE]]
        parts += [template % read(data, offset) for offset in offsets[done:]]
        return b"".join(parts)

    return render


def _string_batch(record: Record, template: bytes) -> Callable[[Buffer, Sequence[int]], bytes]:
    """A function made to measure, which takes half the time of one that loops over the fields:

    for ("long", "string"):
        def render(data, offsets):
            parts = []
            for offset in offsets:
                f0, f1, = read(data, offset)
                e0 = offset + 16; e1 = e0 + f1
                parts.append(template % (f0, data[e0:e1], ))
            return b"".join(parts)
    """
    layout = struct.Struct("<" + "".join(_codes(record)))
    names = [f"f{place}" for place in range(len(record.fields))]
    ends, values = [f"e0 = offset + {layout.size}"], list(names)
    for place, kind in enumerate(record.fields):
        if kind == "string":
            last = len(ends)
            ends.append(f"e{last} = e{last - 1} + f{place}")
            values[place] = f"data[e{last - 1}:e{last}]"
    source = (
        "def render(data, offsets):",
        "    parts = []",
        "    for offset in offsets:",
        f"        {''.join(f'{name}, ' for name in names)} = read(data, offset)",
        f"        {'; '.join(ends)}",
        f"        parts.append(template % ({''.join(f'{value}, ' for value in values)}))",
        "    return b''.join(parts)",
    )
    scope: dict[str, object] = {"read": layout.unpack_from, "template": template}
    exec("\n".join(source), scope)  # noqa: S102 -- made of numbers only
    return cast(Callable[[Buffer, Sequence[int]], bytes], scope["render"])


def compile_unpacker(record: Record) -> Callable[[Buffer, int], tuple[Value, ...]]:
    """The fields as Python values, for `compile_record` and for the arguments of a call or an error."""
    codes = {"long": "q", "histogram": "I4x", "string": "I4x", "user_symbol": "qq", "user_symbol_data": "qq"}
    layout = struct.Struct("<" + "".join(codes[kind] for kind in record.fields))
    read, size = layout.unpack_from, layout.size
    strings = [place for place, kind in enumerate(_value_kinds(record)) if kind in ("string", "histogram")]
    match strings:
        case []:
            return read
        case [only]:

            def unpack_one(data: Buffer, offset: int) -> tuple[Value, ...]:
                values = read(data, offset)
                start = offset + size
                text = bytes(data[start : start + values[only]])
                return (*values[:only], text, *values[only + 1 :])

            return unpack_one
        case _:

            def unpack(data: Buffer, offset: int) -> tuple[Value, ...]:
                values = list(read(data, offset))
                start = offset + size
                for place in strings:
                    end = start + values[place]
                    values[place] = bytes(data[start:end])
                    start = end
                return tuple(values)

            return unpack


def _value_kinds(record: Record) -> list[str]:
    kinds: list[str] = []
    for kind in record.fields:
        kinds += ["long", "long"] if kind in ("user_symbol", "user_symbol_data") else [kind]
    return kinds


def _codes(record: Record) -> list[str]:
    """Struct codes: what the conversion wants, so that nothing is left to do for each value."""
    return [_code(piece) for piece in record.pieces if piece.kind != "text"]


def _code(piece: Piece) -> str:
    if piece.kind in ("s", "m", "M"):
        return "I4x"
    return "d" if piece.kind in FLOATS else "Q" if piece.kind in UNSIGNED else "q"


def _argument_plan(record: Record, resolver: Resolver) -> list[Callable[[Fields], Value]]:
    """For each argument of the format, how it comes out of the fields."""
    plan: list[Callable[[Fields], Value]] = []
    place = entry = histogram = 0
    while entry < len(record.fields):
        kind = record.fields[entry]
        entry += 1
        match kind:
            case "string" if resolver.show is not None:
                plan.append(_text_taker(resolver.show, place))
                place += 1
            case "long" | "string":
                plan.append(_taker(place))
                place += 1
            case "user_symbol" | "user_symbol_data":
                plan.append(_symbol_taker(resolver, place, kind == "user_symbol_data"))
                place += 2
            case "histogram":
                plan.append(_histogram_taker(record.histograms[histogram], place))
                histogram += 1
                place += 1
    return plan


def _taker(place: int) -> Callable[[Fields], Value]:
    return lambda fields: fields[place]


def _text_taker(show: Callable[[bytes], bytes], place: int) -> Callable[[Fields], Value]:
    def take(fields: Fields) -> Value:
        text = fields[place]
        assert isinstance(text, bytes)
        return show(text)

    return take


def _symbol_taker(resolver: Resolver, place: int, data: bool) -> Callable[[Fields], Value]:
    def take(fields: Fields) -> Value:
        address, pid = fields[place : place + 2]
        assert isinstance(address, int) and isinstance(pid, int)
        return resolver.symbol(address, pid, data)

    return take


def _histogram_taker(shape: HistogramShape, place: int) -> Callable[[Fields], Value]:
    def take(fields: Fields) -> Value:
        counters = fields[place]
        assert isinstance(counters, bytes)
        return render_histogram(shape, struct.unpack(f"<{len(counters) // 8}Q", counters))

    return take
