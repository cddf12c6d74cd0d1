"""Semaphores of marks in memories that a test makes: what fork copies, and what changed meanwhile."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from ctypes import addressof, create_string_buffer

import pytest

from probelang.runtime.ptrace.memory import Memory
from probelang.runtime.ptrace.semaphores import Semaphores

ABSENT = 16


class Counters(Memory):
    """Our own memory, and the numbers in it, two places of it."""

    __slots__ = ("_room",)

    def __init__(self, *values: int) -> None:
        super().__init__(os.getpid())
        self._room = create_string_buffer(struct.pack("<2H", *values))

    def poke(self, address: int, data: bytes) -> None:
        super().poke(addressof(self._room) + address, data)

    def peek(self, address: int, size: int) -> bytes:
        if address == ABSENT:
            raise OSError
        return super().peek(addressof(self._room) + address, size)

    @property
    def values(self) -> tuple[int, ...]:
        return struct.unpack("<2H", self._room.raw[:4])


@contextmanager
def memories(*rows: tuple[int, int]) -> Generator[list[Counters]]:
    made = [Counters(*row) for row in rows]
    yield made
    for memory in made:
        memory.close()


def test_raised_once_and_lowered_once() -> None:
    with memories((0, 5)) as (memory,):
        semaphores = Semaphores(memory)
        semaphores.want({0})
        semaphores.want({0, 2})
        assert memory.values == (1, 6)
        semaphores.lower_all()
        semaphores.lower_all()
        assert memory.values == (0, 5)


def test_memory_that_is_gone_is_forgotten() -> None:
    with memories((0, 0)) as (memory,):
        semaphores = Semaphores(memory)
        semaphores.want({0, ABSENT})
        semaphores.want({2, ABSENT})  # another library where the first was
        semaphores.lower_all()
        assert memory.values == (1, 0)


def test_a_number_that_is_full_or_empty_stays() -> None:
    with memories((0xFFFF, 0)) as (memory,):
        semaphores = Semaphores(memory)
        semaphores.want({0, 2})
        assert memory.values == (0xFFFF, 1)
        memory.poke(2, bytes(2))
        semaphores.lower_all()
        assert memory.values == (0xFFFE, 0)


def test_a_child_by_fork_has_them_raised_already() -> None:
    with memories((3, 0), (4, 1)) as (parent, child):
        semaphores = Semaphores(parent)
        semaphores.want({0, 2})
        copied = semaphores.copy(child)
        assert child.values == (4, 1)
        copied.lower_all()
        assert (parent.values, child.values) == ((4, 1), (3, 0))


@pytest.mark.parametrize("copy", [(3, 1), (4, 0), (3, 0)])
def test_raised_after_the_pages_were_copied(copy: tuple[int, int]) -> None:
    with memories((3, 0), copy) as (parent, child):
        semaphores = Semaphores(parent)
        semaphores.want({0, 2})
        copied = semaphores.copy(child)
        assert child.values == (4, 1)
        copied.lower_all()
        assert child.values == (3, 0)


@pytest.mark.parametrize("copy", [(4, 1), (4, 0), (3, 1), (3, 0)])
def test_lowered_after_the_pages_were_copied(copy: tuple[int, int]) -> None:
    """At the end of a session, when a child appears that was made just before."""
    with memories((3, 0), copy) as (parent, child):
        semaphores = Semaphores(parent)
        semaphores.want({0, 2})
        semaphores.lower_all()
        semaphores.copy(child).lower_all()
        assert (parent.values, child.values) == ((3, 0), (3, 0))
