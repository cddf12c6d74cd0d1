"""The map of unwind rows: those of all files one behind the other in one array, which programs search.

    table = RowMap(rows_for(known))      before the object is loaded: how large it shall be
    table.open(map_fd)                   mapped, so that rows are written as memory is
    table.add(rows)                      ->  the number of the first row, or None where there is no room left

Source: BPF_F_MMAPABLE, Documentation/bpf/map_array.rst.
"""

from __future__ import annotations

import mmap

from probelang.artifact.stacks import UNWIND_ROW

LEAST_ROWS, MOST_ROWS = 1 << 20, 1 << 26


def rows_for(known: int) -> int:
    """How many rows the map shall have room for, a power of two: `known` ones and as many again for files that are met later."""
    rows = LEAST_ROWS
    while rows < 2 * known and rows < MOST_ROWS:
        rows *= 2
    return rows


class RowMap:
    """`capacity`: in rows."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._memory: mmap.mmap | None = None
        self._used = 0

    @property
    def size_bytes(self) -> int:
        return self.capacity * UNWIND_ROW.size

    def open(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, self.size_bytes, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)

    def add(self, rows: bytes) -> int | None:
        count = len(rows) // UNWIND_ROW.size
        if self._memory is None or self._used + count > self.capacity:
            return None
        first, start = self._used, self._used * UNWIND_ROW.size
        self._memory[start : start + len(rows)] = rows
        self._used += count
        return first

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None
