"""The mapped `.bss` of a loaded object: the scalars that both halves share.

Words are read and written with one machine access each, so a long is never seen half written.
"""

from __future__ import annotations

import mmap


class BssMemory:
    """`memory` is the mapping; offsets are in bytes, of longs a multiple of 8."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        # struct writes byte by byte in its standard sizes; a cast view moves whole words
        self._view = memoryview(memory)
        self._words = self._view.cast("q")

    def long(self, offset: int) -> int:
        return self._words[offset >> 3]

    def set_long(self, offset: int, value: int) -> None:
        self._words[offset >> 3] = value

    def read(self, offset: int, size_bytes: int) -> bytes:
        return bytes(self._view[offset : offset + size_bytes])

    def write(self, offset: int, data: bytes) -> None:
        self._view[offset : offset + len(data)] = data

    def release(self) -> None:
        """Before the mapping is closed."""
        self._words.release()
        self._view.release()
