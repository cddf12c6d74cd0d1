"""The stacks of a session, by the numbers that stand in tokens.

    table = MemoryStacks();   table.add((1 << 48 | 0x1149, ...), pid=4711, is_cut=False)  ->  b"\\x1bS9f03.."
    table.get(0x9f03..)       ->  Stack(frames=(...), pid=0, is_cut=False)

Equal stacks are one, also of different processes, unless a frame lies in no file's code: then the process counts as well.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

from probelang.artifact.stacks import (
    FILE_SHIFT,
    STACK_BYTES,
    STACK_FLAG_CALLERS,
    STACK_FLAG_CUT,
    STACK_HEADER,
    STACK_TOKEN,
)
from probelang.runtime import bpf


class Stack(NamedTuple):
    """`frames`: innermost first. `pid`: the process, 0 where every frame is of a file. `is_cut`: it goes on where it could not be followed.
    `of_callers`: all frames are return addresses, also the first."""

    frames: tuple[int, ...]
    pid: int = 0
    is_cut: bool = False
    of_callers: bool = False


class StackTable(Protocol):
    def get(self, number: int) -> Stack | None:
        """None of what is no stack of this session."""
        ...


def token(number: int) -> bytes:
    return STACK_TOKEN + b"%016x" % number


class MemoryStacks:
    """Of handlers that run in this process."""

    def __init__(self) -> None:
        self._stacks: dict[int, Stack] = {}

    def add(self, frames: Sequence[int], pid: int, is_cut: bool = False, of_callers: bool = False) -> bytes:
        """The token."""
        has_bare = any(not frame >> FILE_SHIFT for frame in frames)
        stack = Stack(tuple(frames), pid if has_bare else 0, is_cut, of_callers)
        data = struct.pack(f"<{len(frames)}QI??", *stack.frames, *stack[1:])
        number = int.from_bytes(blake2b(data, digest_size=8).digest(), "little") or 1
        self._stacks.setdefault(number, stack)
        return token(number)

    def get(self, number: int) -> Stack | None:
        return self._stacks.get(number)


class KernelStacks:
    """Of programs in the kernel: the map `stacks`. A stack never changes, so what was read is kept."""

    def __init__(self, map_fd: int, max_entries: int) -> None:
        self._fd = map_fd
        self._max_entries = max_entries
        self._stacks: dict[int, Stack] = {}

    def get(self, number: int) -> Stack | None:
        known = self._stacks.get(number)
        if known is None:
            value = bpf.lookup(self._fd, struct.pack("<Q", number), STACK_BYTES)
            if value is not None:
                known = self._stacks[number] = unpack_stack(value)
        return known

    def read_new(self) -> list[Stack]:
        """Those that have not been read before."""
        found: list[Stack] = []
        for key, value in bpf.lookup_batch(self._fd, 8, STACK_BYTES, self._max_entries):
            (number,) = struct.unpack("<Q", key)
            if number not in self._stacks:
                found.append(unpack_stack(value))
                self._stacks[number] = found[-1]
        return found


def unpack_stack(value: bytes) -> Stack:
    count, flags, pid, _ = STACK_HEADER.unpack_from(value)
    count = min(count, (len(value) - STACK_HEADER.size) // 8)
    frames = struct.unpack_from(f"<{count}Q", value, STACK_HEADER.size)
    return Stack(frames, pid, bool(flags & STACK_FLAG_CUT), bool(flags & STACK_FLAG_CALLERS))
