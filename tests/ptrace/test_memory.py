"""The memory of another process: what the program could read, and what breakpoints write."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator

import pytest

from probelang.runtime.evaluate.context import MemoryFault, WriteFault
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


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_what_is_written_is_there_and_nothing_beside_it_changes(
    child: Child, memory: Memory, size: int
) -> None:
    memory.write(child.address + 5, b"ABCDEFGH"[:size])
    assert memory.read(child.address, 20) == TEXT[:5] + b"ABCDEFGH"[:size] + TEXT[5 + size : 20]
    assert child.area[:20] == TEXT[:20]  # the child's own copy


@pytest.mark.parametrize("address", [0, 16, (1 << 47) - 8, 1 << 63, (1 << 64) - 4, -8])
def test_nothing_is_written_where_nothing_is_mapped(memory: Memory, address: int) -> None:
    with pytest.raises(WriteFault):
        memory.write(address, bytes(8))


def test_nothing_is_written_where_the_program_could_not(child: Child, memory: Memory) -> None:
    function = ctypes.cast(ctypes.CDLL(None).getppid, ctypes.c_void_p).value
    assert function is not None
    before = memory.read(function, 8)
    with pytest.raises(WriteFault):
        memory.write(function, bytes(8))
    assert memory.read(function, 8) == before


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS])
def test_where_the_system_call_is_filtered_the_same_is_written(
    child: Child, memory: Memory, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refused(*_: int) -> int:
        ctypes.set_errno(error)
        return -1

    monkeypatch.setattr("probelang.runtime.ptrace.memory._writev", refused)
    memory.write(child.address, b"written")
    assert memory.read(child.address, 8) == b"written" + TEXT[7:8]
    test_nothing_is_written_where_the_program_could_not(child, memory)
    with pytest.raises(WriteFault):
        memory.write(0, bytes(8))


def test_breakpoints_are_not_written_over(child: Child, memory: Memory) -> None:
    memory.occupied = {child.address + 8}
    for address in (child.address + 1, child.address + 8):
        with pytest.raises(WriteFault):
            memory.write(address, bytes(8))
    memory.write(child.address, b"ABCDEFGH")
    memory.write(child.address + 9, b"IJ")
    assert memory.read(child.address, 11) == b"ABCDEFGH" + TEXT[8:9] + b"IJ"


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
