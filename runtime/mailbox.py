"""Atomic operations of the user half on variables that programs in the kernel change at the same time.

    mailbox.compare_exchange(variable, key, old, new)  ->  OK, LOST_RACE or FULL

The request is written into words of `.bss` that the manifest names; then the object's own host program, run once with
BPF_PROG_TEST_RUN, does it with the same atomic instructions as the kernel half.
"""

from __future__ import annotations

import errno
from enum import IntEnum

from probelang.runtime import bpf
from probelang.runtime.bssmemory import BssMemory
from probelang.runtime.store import ArrayOverflow


class Operation(IntEnum):
    COMPARE_EXCHANGE = 1
    ACCUMULATE = 2
    COMPARE_EXCHANGE_STRING = 3


OK, LOST_RACE = 0, 1


class Mailbox:
    """`words` are the offsets of the manifest; `program_fd` the host program."""

    def __init__(self, program_fd: int, memory: BssMemory, words: dict[str, int]) -> None:
        self._program_fd = program_fd
        self._memory = memory
        self._words = {n.removeprefix("mailbox_"): o for n, o in words.items() if n.startswith("mailbox_")}

    def _run(
        self, operation: Operation, variable: int, key: bytes, old: int, new: int, text: bytes = b""
    ) -> bool:
        """Whether it was done; False when another change came first. Raises ArrayOverflow."""
        words, memory = self._words, self._memory
        memory.set_long(words["op"], operation)
        memory.set_long(words["variable"], variable)
        if key:
            memory.write(words["key"], key)
        memory.set_long(words["old"], old)
        memory.set_long(words["new"], new)
        if text:
            memory.write(words["text"], text)
        bpf.test_run(self._program_fd)
        result = memory.long(words["result"])
        if result == -errno.E2BIG:
            raise ArrayOverflow
        return result == OK

    def compare_exchange(self, variable: int, key: bytes, old: int, new: int) -> bool:
        """Of a long: a scalar (`key` empty) or an element, which is inserted when missing and `old` is 0."""
        return self._run(Operation.COMPARE_EXCHANGE, variable, key, old, new)

    def accumulate(self, variable: int, key: bytes, value: int) -> None:
        self._run(Operation.ACCUMULATE, variable, key, 0, value)

    def compare_exchange_string(self, variable: int, key: bytes, sequence: int, text: bytes) -> bool:
        """Of a scalar, when its sequence word still is `sequence`; of an element always. `text` with its header."""
        return self._run(Operation.COMPARE_EXCHANGE_STRING, variable, key, sequence, 0, text)
