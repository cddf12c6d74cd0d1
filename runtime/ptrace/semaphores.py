"""The semaphores of marks in one address space: 16-bit numbers that a program looks at before it goes to the trouble of a mark.

    semaphores.want({0x55d0c1a04010})     one more than it was: somebody probes the mark
    semaphores.lower_all()                one less than it was

Others may count there as well, the kernel for its own probes among them, so numbers are added and subtracted, never set.
Source: sys/sdt.h of SystemTap, "semaphore"; kernel/events/uprobes.c, __update_ref_ctr.
"""

from __future__ import annotations

import contextlib
import struct

from probelang.runtime.ptrace.memory import Memory

_COUNTER = struct.Struct("<H")
_MOST = 0xFFFF


class Semaphores:
    """Those that have been raised, and those that were lowered again, by address."""

    __slots__ = ("_lowered", "_memory", "_raised")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._raised: set[int] = set()
        self._lowered: set[int] = set()

    def want(self, addresses: set[int]) -> None:
        """These shall be raised. Of others the memory is gone."""
        for address in addresses - self._raised:
            self._add(address, 1)
        self._raised = addresses
        self._lowered.clear()

    def lower_all(self) -> None:
        for address in self._raised:
            self._add(address, -1)
        self._lowered |= self._raised
        self._raised = set()

    def copy(self, memory: Memory) -> Semaphores:
        """Of a child after fork, whose pages are copies. Between those and this call another thread of the parent may have made us change
        something there: then the two memories differ."""
        child = Semaphores(memory)
        child._raised = set(self._raised)
        for address in self._raised:
            if self._more_than_in(memory, address) == 1:
                child._add(address, 1)
        child._raised |= {a for a in self._lowered if self._more_than_in(memory, a) == -1}
        return child

    def _more_than_in(self, memory: Memory, address: int) -> int:
        try:
            return _value(self._memory, address) - _value(memory, address)
        except OSError:
            return 0

    def _add(self, address: int, amount: int) -> None:
        with contextlib.suppress(OSError):  # the process is gone, or the memory
            value = _value(self._memory, address) + amount
            if 0 <= value <= _MOST:
                self._memory.poke(address, _COUNTER.pack(value))


def _value(memory: Memory, address: int) -> int:
    (value,) = _COUNTER.unpack(memory.peek(address, _COUNTER.size))
    return int(value)
