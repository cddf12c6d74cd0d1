"""Reading the BPF ring buffer through its memory mapping.

    reader.read()  ->  [Batch(record=2, rows=((7, b"x"), (8, b"y"))), Batch(record=0, rows=(...))]

A batch is a run of records with the same number, in the order in which the programs reserved them. Records that hold
only numbers are of one size, so a run of them is decoded by one call.

The buffer: a page with the consumer's position, a page with the producer's, then the data, mapped twice in a row so that no
record is ever split. A record's header is `u32 length, u32 page`, bit 31 of the length: still being written, bit 30:
discarded. Source: kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from probelang.artifact.code import Type
from probelang.artifact.manifest import Record

_BUSY, _DISCARDED, _HEADER = 1 << 31, 1 << 30, 8
_PREFIX = 8  # u32 record, u32 cpu
_READ_BYTES = 1 << 20
_LONGEST_RUN = 1 << 13

Row = tuple[int | bytes, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one record number: longs and strings in order; a `user_symbol` gives two longs, a `histogram` its key."""

    record: int
    rows: Sequence[Row]


def field_types(record: Record) -> tuple[Type, ...]:
    """The values that stand in a record, field by field."""
    types: list[Type] = []
    histograms = iter(record.histograms)
    for kind in record.fields:
        match kind:
            case "long":
                types.append(Type.LONG)
            case "string":
                types.append(Type.STRING)
            case "user_symbol" | "user_symbol_data":
                types += [Type.LONG, Type.LONG]
            case "histogram":
                types += next(histograms)[2]
    return tuple(types)


class RecordDecoder:
    """Turns the bytes behind a record's prefix into values."""

    def __init__(self, record: Record) -> None:
        self.types = field_types(record)
        self.is_fixed = Type.STRING not in self.types
        fixed = "".join("q" if t is Type.LONG else "I4x" for t in self.types)
        self._values = struct.Struct("<" + fixed)
        self.size = _PREFIX + self._values.size
        self._run = struct.Struct(f"<{_HEADER + _PREFIX}x{fixed}")
        self._strings = tuple(i for i, t in enumerate(self.types) if t is Type.STRING)

    def one(self, data: bytes) -> Row:
        """The values of one record, `data` from its prefix on."""
        values = list(self._values.unpack_from(data, _PREFIX))
        at = self.size
        for index in self._strings:
            end = at + values[index]
            values[index] = data[at:end]
            at = end
        return tuple(values)

    def run(self, data: bytes) -> list[Row]:
        """The values of many fixed records, one behind the other with their headers."""
        return list(self._run.iter_unpack(data))


class RingReader:
    """The reading end of the ring buffer map `fd` of `size_bytes` (a power of two)."""

    def __init__(self, fd: int, size_bytes: int, records: Sequence[Record]) -> None:
        self.fd = fd
        page = mmap.PAGESIZE
        self._mask = size_bytes - 1
        self._consumer = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._data = mmap.mmap(fd, page + 2 * size_bytes, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumed = memoryview(self._consumer).cast("Q")
        self._view = memoryview(self._data)
        self._produced = self._view[:8].cast("Q")
        self._words = self._view[page:].cast("I")
        self._bytes = self._view[page:]
        self._decoders = [RecordDecoder(r) for r in records]
        self._guess = [1] * len(records)  # how many alike to expect

    def close(self) -> None:
        for view in (self._consumed, self._produced, self._words, self._bytes, self._view):
            view.release()
        self._consumer.close()
        self._data.close()

    def is_empty(self) -> bool:
        return self._consumed[0] == self._produced[0]

    def read(self, limit_bytes: int = _READ_BYTES) -> list[Batch]:
        """What has been written so far, at most about `limit_bytes`; an empty list when there is nothing."""
        position, produced = self._consumed[0], self._produced[0]
        end = min(produced, position + limit_bytes)
        batches: list[tuple[int, list[Row]]] = []
        while position < end:
            length = self._words[(position & self._mask) >> 2]
            if length & _BUSY:
                break
            if length & _DISCARDED:
                position += _stride(length & ~_DISCARDED)
                continue
            number, rows, position = self._run(position, length, produced)
            if batches and batches[-1][0] == number:
                batches[-1][1].extend(rows)
            else:
                batches.append((number, rows))
        # the programs may write there again only now that everything has been copied out
        self._consumed[0] = position
        return [Batch(number, rows) for number, rows in batches]

    def _run(self, position: int, length: int, produced: int) -> tuple[int, list[Row], int]:
        """The record at `position` and those behind that are like it: number, rows, new position."""
        at = position & self._mask
        number = self._words[(at + _HEADER) >> 2]
        decoder = self._decoders[number]
        stride = _stride(length)
        count = min(self._guess[number], (produced - position) // stride) if decoder.is_fixed else 1
        if count <= 1:
            self._guess[number] = 2
            if not decoder.is_fixed:
                row = decoder.one(bytes(self._bytes[at + _HEADER : at + _HEADER + length]))
                return number, [row], position + stride
            count = 1
        count = min(count, (self._mask + 1) // stride)
        count = self._count_alike(at, stride, count, length, number)
        data = bytes(self._bytes[at : at + count * stride])
        return number, decoder.run(data), position + count * stride

    def _count_alike(self, at: int, stride: int, count: int, length: int, number: int) -> int:
        """How many records from `at` on are complete and alike. Looked at before their contents are copied: what is
        committed then stays as it is."""
        first, step, last = at >> 2, stride >> 2, (at + count * stride) >> 2
        lengths = self._words[first:last:step].tolist()
        numbers = self._words[first + 2 : last : step].tolist()
        alike = _leading(lengths, length)
        alike = min(alike, _leading(numbers[:alike], number))
        self._guess[number] = min(count * 2, _LONGEST_RUN) if alike == count else max(alike, 2)
        return alike


def _stride(length: int) -> int:
    """Bytes from a record to the next: header and contents, in multiples of 8."""
    return (length + _HEADER + 7) & ~7


def _leading(values: list[int], wanted: int) -> int:
    """How many of `values` are `wanted` before another comes."""
    if values.count(wanted) == len(values):
        return len(values)
    return next(i for i, v in enumerate(values) if v != wanted)
