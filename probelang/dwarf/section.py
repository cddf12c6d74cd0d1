"""The bytes of one section, where they lie: in a mapped file, or decompressed.

    Section("/usr/lib/debug/x.debug", ".debug_str", map, start=0x3040, size=90_000_000).text(17)  ->  b"long int"

Nothing is copied before it is asked for, and pages of a large section are given back to the kernel as reading goes on: what
stays resident does not grow with the file.
"""

from __future__ import annotations

import mmap
import re
from functools import cached_property

from probelang.dwarf.image import BinaryError, corrupt

LARGE_BYTES = 16 << 20
"""Sections from this size on give their pages back, and so often."""
_FAULT_BYTES = (
    64 << 10
)  # what the kernel maps around a page that is touched (mm/memory.c, fault_around_bytes)
_LONGEST_TEXT = 1 << 18


class Section:
    """`size` bytes from `start` of `data`. All offsets count from `start`; beyond `size` there is nothing. `strings`: where some are,
    as `probelang.dwarf.naming` found out."""

    def __init__(
        self, path: str, name: str, whole: bytes | mmap.mmap, start: int = 0, size: int | None = None
    ) -> None:
        self.path = path
        self.name = name
        self.size = len(whole) - start if size is None else size
        self._whole = whole
        self._start = start
        self.strings: dict[bytes, list[int] | None] = {}
        self._resident = 0
        self._large = self.size >= LARGE_BYTES and isinstance(whole, mmap.mmap)

    def __len__(self) -> int:
        return self.size

    @cached_property
    def data(self) -> bytes:
        """A copy of it all, which stays: for small sections."""
        return self.take(0, self.size)

    def take(self, offset: int, size: int) -> bytes:
        """Raises BinaryError where that leaves the section."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise self.damaged(offset)
        if self._large:
            self._note(size + _FAULT_BYTES)
        start = self._start + offset
        return self._whole[start : start + size]

    def number(self, offset: int, size: int) -> int:
        return int.from_bytes(self.take(offset, size), "little")

    def text(self, offset: int) -> bytes:
        """Up to the zero byte."""
        if not 0 <= offset < self.size:
            raise self.damaged(offset)
        if self._large:
            self._note(_FAULT_BYTES)
        start = self._start + offset
        end = self._whole.find(b"\0", start, min(start + _LONGEST_TEXT, self._start + self.size))
        if end < 0:
            raise self.damaged(offset)
        return self._whole[start:end]

    def find(self, needle: bytes, start: int = 0, end: int | None = None) -> int:
        """Where `needle` stands first between two offsets, or -1."""
        # `re` looks at the map as it lies, several times as fast as mmap.find
        search = re.compile(re.escape(needle), re.DOTALL).search
        stop = self.size if end is None else min(end, self.size)
        position = max(start, 0)
        while position + len(needle) <= stop:
            window = min(position + LARGE_BYTES, stop)
            first, last = self._start + position, self._start + min(window + len(needle) - 1, stop)
            found = search(self._whole, first, last)
            if self._large:
                self._note(window - position)
            if found is not None:
                return found.start() - self._start
            position = window
        return -1

    def part(self, start: int, size: int) -> Section:
        """Some of it as a section of its own."""
        if start < 0 or size < 0 or start + size > self.size:
            raise self.damaged(start)
        return Section(self.path, self.name, self._whole, self._start + start, size)

    def damaged(self, offset: int) -> BinaryError:
        return corrupt(
            self.path, f"section `{self.name}`", f"ends before {offset:#x}, to which something refers"
        )

    def _note(self, size: int) -> None:
        """Counts what may have become resident, and gives the pages back when that is much."""
        self._resident += size
        if self._resident >= LARGE_BYTES and isinstance(self._whole, mmap.mmap):
            self._resident = 0
            first = -(-self._start // mmap.PAGESIZE) * mmap.PAGESIZE
            length = self._start + self.size - first
            self._whole.madvise(mmap.MADV_DONTNEED, first, length)
