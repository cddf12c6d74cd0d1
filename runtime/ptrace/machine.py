"""What a tracer must know of the instruction set, and nothing else does: registers, breakpoints, slots, system calls.

    this_machine().slot_code(bytes.fromhex("4883ec08"), 0x401136, 0x700000)  ->  sub rsp, 8; jmp 0x40113a

`probelang.runtime.ptrace.x86_64` is the only one so far.
"""

from __future__ import annotations

import platform
from typing import Protocol

from probelang.runtime.ptrace.memory import Memory


class CannotRelocate(Exception):
    """The instruction does something else at another address, and nothing can be done about it."""


class UnsupportedMachine(Exception):
    """The name of the architecture."""


class Registers(Protocol):
    """Of one stopped thread; a buffer that is filled again and again. Values are unsigned."""

    @property
    def pc(self) -> int: ...
    @pc.setter
    def pc(self, value: int) -> None: ...
    @property
    def sp(self) -> int: ...
    def move(self, pc: int, sp: int) -> None:
        """Here only, not in the thread."""
        ...

    @property
    def frame_pointer(self) -> int: ...
    def fetch(self, tid: int) -> None:
        """Raises OSError."""
        ...

    def store(self, tid: int) -> None: ...
    def argument(self, number: int, memory: Memory) -> int:
        """The n-th integer argument (from 1), at the entry of a function. Raises MemoryFault."""
        ...

    def return_value(self) -> int: ...
    def named(self, name: bytes) -> tuple[int, int]:
        """Value and bits. Raises KeyError."""
        ...

    def set_named(self, tid: int, name: bytes, value: int) -> None:
        """Of the stopped thread too. `name`: of a whole general register."""
        ...

    def set_return_value(self, tid: int, value: int) -> None: ...

    def syscall_number(self) -> int: ...
    def syscall_argument(self, number: int) -> int:
        """From 1 to 6."""
        ...

    def syscall_result(self) -> int: ...


class Machine(Protocol):
    @property
    def breakpoint(self) -> bytes:
        """The instruction."""
        ...

    @property
    def slot_bytes(self) -> int: ...
    @property
    def near_bytes(self) -> int:
        """How far a slot may be from its instruction."""
        ...

    def registers(self) -> Registers: ...
    def set_pc(self, tid: int, pc: int) -> None: ...
    def breakpoint_address(self, pc: int) -> int:
        """Of the breakpoint that stopped a thread with this pc."""
        ...

    def slot_code(self, code: bytes, address: int, slot: int) -> bytes:
        """`code`: at most 16 bytes from `address`, as the program has them. Executed at `slot`, the result does what the first
        instruction does at its place, and goes on behind it. Raises CannotRelocate."""
        ...

    def return_address(self, registers: Registers, memory: Memory) -> int:
        """At a function's entry. Raises MemoryFault."""
        ...

    def sp_after_return(self, registers: Registers) -> int:
        """The stack pointer behind the return, known at the entry."""
        ...

    def syscall_instruction(self, code: bytes) -> int | None:
        """Where in some code a system call instruction lies."""
        ...

    def prepare_mmap(self, registers: Registers, instruction: int, address: int, size: int) -> None:
        """So that executing the `instruction` maps private memory at `address`, readable and executable."""
        ...

    def restart_syscall(self, registers: Registers) -> bool:
        """Where a system call has ended with EINTR only because the thread was stopped: does it again. Whether so."""
        ...

    def shares_memory(self, registers: Registers, memory: Memory) -> bool:
        """Whether the system call that has just made a new process gave it the same memory."""
        ...

    def jumps_to_entry(self, code: bytes, address: int) -> bool:
        """Whether a function, whose code begins at `address`, jumps to its own beginning."""
        ...


def this_machine() -> Machine:
    """Raises UnsupportedMachine."""
    name = platform.machine()
    if name != "x86_64":
        raise UnsupportedMachine(name)
    from probelang.runtime.ptrace.x86_64 import X86_64

    return X86_64()
