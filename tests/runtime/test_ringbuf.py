"""Reading a real ring buffer, written by a real program."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from itertools import groupby

import pytest

from probelang.runtime import bpf
from probelang.runtime.ringbuf import RingReader

pytestmark = pytest.mark.kernel

SIZE = 1 << 16


class Writer:
    """A program that sends its context, as a record of `words` words, run on demand."""

    def __init__(self, ring_fd: int) -> None:
        self._ring_fd = ring_fd
        self._programs: dict[int, int] = {}

    def send(self, record: int, *values: int) -> int:
        """What bpf_ringbuf_output returned."""
        context = struct.pack(f"<II{len(values)}q", record, 0, *values)
        fd = self._programs.get(len(context))
        if fd is None:
            fd = self._programs[len(context)] = self._load(len(context))
        return bpf.test_run(fd, context)

    def _load(self, size: int) -> int:
        code = b""
        for at in range(0, size, 8):
            code += struct.pack("<BBhi", 0x79, 1 << 4 | 2, at, 0)  # r2 = *(u64 *)(r1 + at)
            code += struct.pack("<BBhi", 0x7B, 2 << 4 | 10, at - size, 0)  # *(u64 *)(r10 + at - size) = r2
        code += struct.pack("<BBhi", 0x18, bpf.PSEUDO_MAP_FD << 4 | 1, 0, self._ring_fd) + bytes(8)
        code += struct.pack("<BBhi", 0xBF, 10 << 4 | 2, 0, 0) + struct.pack("<BBhi", 0x07, 2, 0, -size)
        code += struct.pack("<BBhi", 0xB7, 3, 0, size) + struct.pack("<BBhi", 0xB7, 4, 0, 0)
        code += struct.pack("<BBhi", 0x85, 0, 0, 130) + struct.pack("<BBhi", 0x95, 0, 0, 0)
        return bpf.load_program("send", bpf.PROG_RAW_TRACEPOINT, code)

    def close(self) -> None:
        for fd in self._programs.values():
            os.close(fd)


@pytest.fixture
def ring(requires: Callable[..., None]) -> Iterator[tuple[Writer, RingReader]]:
    requires("root", "ring_buffer", "raw_tracepoints")
    fd = bpf.create_map("ring", bpf.MAP_RINGBUF, 0, 0, SIZE)
    writer, reader = Writer(fd), RingReader(fd, SIZE)
    yield writer, reader
    reader.close()
    writer.close()
    os.close(fd)


def read_all(reader: RingReader, limit_bytes: int = 1 << 20) -> list[tuple[int, int]]:
    """Record number and first field of everything there."""
    found: list[tuple[int, int]] = []
    while batches := reader.read(limit_bytes):
        for batch in batches:
            found += [(batch.record, struct.unpack_from("<q", batch.data, at)[0]) for at in batch.offsets]
    return found


def test_nothing_was_written(ring: tuple[Writer, RingReader]) -> None:
    assert ring[1].read() == []
    assert ring[1].is_empty()


def test_records_of_one_kind_come_in_runs(ring: tuple[Writer, RingReader]) -> None:
    writer, reader = ring
    for i in range(300):
        writer.send(7, i, -i)
    batches = reader.read()
    assert {b.record for b in batches} == {7}
    assert len(batches) < 30
    rows = [struct.unpack_from("<qq", b.data, at) for b in batches for at in b.offsets]
    assert rows == [(i, -i) for i in range(300)]


def test_kinds_and_sizes_may_be_mixed_as_they_like(ring: tuple[Writer, RingReader]) -> None:
    writer, reader = ring
    pattern = [0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0, 3, 3, 3, 3, 3, 0, 2, 1]
    sent: list[tuple[int, int]] = []
    for turn in range(40):
        for i, kind in enumerate(pattern):
            # kinds 0 and 3 have one size, so a run must not go by size alone
            writer.send(kind, turn * 100 + i, *([0] * (kind % 3)))
            sent.append((kind, turn * 100 + i))
        if turn % 7 == 6:
            assert read_all(reader) == sent
            sent = []
    assert read_all(reader) == sent


def test_the_buffer_wraps_many_times(ring: tuple[Writer, RingReader]) -> None:
    writer, reader = ring
    numbers: list[int] = []
    for i in range(12_000):
        assert writer.send(i % 3 // 2, i, *([1] * (i % 5))) == 0
        if i % 777 == 0:
            # a limit may end anywhere in a record
            numbers += [n for _, n in read_all(reader, 1000 + i % 97)]
    numbers += [n for _, n in read_all(reader)]
    assert numbers == list(range(12_000))


def test_a_full_buffer_refuses_and_goes_on_after_reading(ring: tuple[Writer, RingReader]) -> None:
    writer, reader = ring
    results = [writer.send(1, i) for i in range(4000)]
    delivered = results.count(0)
    assert 0 < delivered < 4000
    assert [r == 0 for r, _ in groupby(results)] == [True, False]
    assert [n for _, n in read_all(reader)] == list(range(delivered))
    assert writer.send(1, 5) == 0
    assert read_all(reader) == [(1, 5)]
