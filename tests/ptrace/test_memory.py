"""The memory of another process: what the program could read, and what breakpoints write."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

import pytest

from probelang.runtime.evaluate.context import MemoryFault
from probelang.runtime.ptrace.memory import Memory

TEXT = b"something to read, " * 300
PROT_NONE = 0


class Child:
    """A forked process that waits; its memory is a copy of ours: a page with text, and one behind it that cannot be read."""

    def __init__(self) -> None:
        self.area = mmap.mmap(-1, 3 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.area[: len(TEXT)] = TEXT
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.area))
        held, self.release = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.release)
            ctypes.CDLL(None).mprotect(ctypes.c_void_p(self.hidden), mmap.PAGESIZE, PROT_NONE)
            os.read(held, 1)
            os._exit(0)
        os.close(held)

    @property
    def hidden(self) -> int:
        return self.address + 2 * mmap.PAGESIZE


@pytest.fixture
def child() -> Iterator[Child]:
    process = Child()
    yield process
    os.close(process.release)
    os.waitpid(process.pid, 0)


@pytest.fixture
def memory(child: Child) -> Iterator[Memory]:
    opened = Memory(child.pid)
    yield opened
    opened.close()


def test_reads_are_exact(child: Child, memory: Memory) -> None:
    assert memory.read(child.address, len(TEXT)) == TEXT
    assert memory.word(child.address + 3) == int.from_bytes(TEXT[3:11], "little")
    assert memory.read(child.address, 0) == b""


@pytest.mark.parametrize("address", [0, 16, (1 << 47) - 8, 1 << 63, (1 << 64) - 4, -8])
def test_where_nothing_is_mapped_is_a_fault(memory: Memory, address: int) -> None:
    with pytest.raises(MemoryFault):
        memory.read(address, 8)
    with pytest.raises(MemoryFault):
        memory.word(address)


def test_a_page_that_the_program_may_not_read_is_a_fault(child: Child, memory: Memory) -> None:
    deadline = 1000
    while deadline and memory_is_readable(memory, child.hidden):  # until the child has protected it
        deadline -= 1
        os.sched_yield()
    with pytest.raises(MemoryFault):
        memory.read(child.hidden, 1)
    with pytest.raises(MemoryFault):
        memory.read(child.hidden - 4, 8)
    assert memory.read(child.hidden - 4, 4) == bytes(4)


def memory_is_readable(memory: Memory, address: int) -> bool:
    try:
        memory.read(address, 1)
    except MemoryFault:
        return False
    return True


def test_code_is_written_where_the_program_could_not(child: Child, memory: Memory) -> None:
    """Into this process only: the page of another that has the same file is not touched."""
    function = ctypes.cast(ctypes.CDLL(None).getppid, ctypes.c_void_p).value
    assert function is not None
    before = ctypes.string_at(function, 16)
    memory.poke(function, b"\xcc")
    assert memory.peek(function, 16) == b"\xcc" + before[1:]
    memory.poke(function, before[:1])
    assert ctypes.string_at(function, 16) == memory.peek(function, 16) == before


def test_of_a_process_that_has_ended() -> None:
    process = Child()
    memory = Memory(process.pid)
    os.close(process.release)
    os.waitpid(process.pid, 0)
    with pytest.raises(MemoryFault):
        memory.read(process.address, 8)
    with pytest.raises(OSError):
        memory.peek(process.address, 8)
    with pytest.raises(OSError):
        Memory(process.pid)
    memory.close()
    memory.close()
