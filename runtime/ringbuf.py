"""Reading the BPF ring buffer through its memory mapping.

    for batch in reader.read():      batch.record, batch.data, batch.offsets = 2, b"...", range(16, 4000, 40)

A batch is a run of records with the same number, in the order in which the programs reserved them; the first field of
each stands at its offset in `data`. Runs of records of one size are recognised at once, whatever their length.

The buffer: a page with the consumer's position, a page with the producer's, then the data, mapped twice in a row so that no
record is ever split. A record's header is `u32 length, u32 page`, bit 31 of the length: still being written, bit 30:
discarded. Source: kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass

_BUSY, _DISCARDED, _HEADER = 1 << 31, 1 << 30, 8
_FIELDS = 16  # of a record behind its header: u32 record, u32 cpu
_READ_BYTES = 1 << 20
_LONGEST_RUN = 1 << 13


@dataclass(frozen=True, slots=True)
class Batch:
    """Records with number `record`; `offsets`: of their first fields in `data`."""

    record: int
    data: bytes
    offsets: Sequence[int]


class RingReader:
    """The reading end of the ring buffer map `fd` of `size_bytes` (a power of two)."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self.fd = fd
        page = mmap.PAGESIZE
        self._size = size_bytes
        self._consumer = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._data = mmap.mmap(fd, page + 2 * size_bytes, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumed = memoryview(self._consumer).cast("Q")
        self._view = memoryview(self._data)
        self._produced = self._view[:8].cast("Q")
        self._bytes = self._view[page:]
        self._words = self._bytes.cast("I")
        self._guess: dict[int, int] = {}  # how many alike to expect, by record number

    def close(self) -> None:
        for view in (self._consumed, self._produced, self._words, self._bytes, self._view):
            view.release()
        self._consumer.close()
        self._data.close()

    def is_empty(self) -> bool:
        return self._consumed[0] == self._produced[0]

    def read(self, limit_bytes: int = _READ_BYTES) -> list[Batch]:
        """What has been written so far, at most `limit_bytes`; an empty list when there is nothing."""
        position, produced = self._consumed[0], self._produced[0]
        if position == produced:
            return []
        start = position & (self._size - 1)
        size, runs = self._survey(start, min(produced - position, limit_bytes))
        # only what is committed for certain is copied, and the programs may write there again only afterwards
        data = bytes(self._bytes[start : start + size])
        self._consumed[0] = position + size
        return [Batch(number, data, offsets) for number, offsets in runs]

    def _survey(self, start: int, available: int) -> tuple[int, list[tuple[int, Sequence[int]]]]:
        """Bytes that are complete, and the runs in them."""
        words, guesses = self._words, self._guess
        runs: list[tuple[int, Sequence[int]]] = []
        at, single, last = 0, list[int](), -1
        while at < available:
            word = (start + at) >> 2
            length = words[word]
            if length & _BUSY:
                break
            if length & _DISCARDED:
                at += _stride(length & ~_DISCARDED)
                continue
            stride, number = _stride(length), words[word + 2]
            guess = guesses.get(number, 1)
            # a last record may reach beyond what was asked for, never beyond what was produced
            count = max(1, min(guess, (available - at) // stride))
            if count > 1:
                count = self._count_alike(word, stride >> 2, count, length, number)
            guesses[number] = min(guess * 2, _LONGEST_RUN) if count >= guess else max(count, 2)
            if count == 1 and number == last:
                single.append(at + _FIELDS)
            elif count == 1:
                single, last = [at + _FIELDS], number
                runs.append((number, single))
            else:
                last = -1
                runs.append((number, range(at + _FIELDS, at + _FIELDS + count * stride, stride)))
            at += count * stride
        return at, runs

    def _count_alike(self, first: int, step: int, count: int, length: int, number: int) -> int:
        """How many records from word `first` on are complete and alike, the first one included."""
        last = first + count * step
        lengths = self._words[first:last:step].tolist()
        alike = _leading(lengths, length)
        numbers = self._words[first + 2 : first + 2 + alike * step : step].tolist()
        return _leading(numbers, number)


def _stride(length: int) -> int:
    """Bytes from a record to the next: header and contents, in multiples of 8."""
    return (length + _HEADER + 7) & ~7


def _leading(values: list[int], wanted: int) -> int:
    """How many of `values` are `wanted` before another comes."""
    if values.count(wanted) == len(values):
        return len(values)
    return next(i for i, v in enumerate(values) if v != wanted)
