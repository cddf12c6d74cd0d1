"""Output that is kept until the script knows whether it wants it.

id = speculation(); speculate(id, "maybe"); ...; commit(id)  ->  prints `maybe`
"""

from __future__ import annotations

from collections.abc import Callable

MAX_BYTES = 1 << 24


class Speculations:
    """Buffers by number; text for a number that was committed or discarded starts a new buffer, as in SystemTap. Text
    beyond MAX_BYTES of one buffer is dropped and counted in `dropped`. `first`: where numbers start, so that they are not
    those that the kernel half gives out."""

    def __init__(self, write: Callable[[bytes], None], first: int = 1) -> None:
        self._write = write
        self._last = first - 1
        self._buffers: dict[int, list[bytes]] = {}
        self._sizes: dict[int, int] = {}
        self.dropped = 0

    def create(self) -> int:
        self._last += 1
        return self._last

    def add(self, number: int, text: bytes) -> None:
        size = self._sizes.get(number, 0) + len(text)
        if size > MAX_BYTES:
            self.dropped += 1
            return
        self._sizes[number] = size
        self._buffers.setdefault(number, []).append(text)

    def commit(self, number: int) -> None:
        parts = self._buffers.get(number)
        self.discard(number)
        if parts:
            self._write(b"".join(parts))

    def discard(self, number: int) -> None:
        self._buffers.pop(number, None)
        self._sizes.pop(number, None)
