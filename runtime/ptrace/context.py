"""A hit in a stopped thread, as handlers ask about it: a `Context` of the evaluator with registers and memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.runtime.evaluate.context import NO_SESSION, NOT_MAPPED, Fault, Session
from probelang.runtime.mappings import code_start
from probelang.runtime.ptrace.machine import Machine, Registers
from probelang.runtime.ptrace.memory import Memory
from probelang.runtime.ptrace.task import Task

if TYPE_CHECKING:
    from probelang.runtime.ptrace.space import Space
    from probelang.runtime.ptrace.unwinder import Unwinder

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Texts:
    """What pp(), ppfunc() and pn() say. `place`: the number of the site in its probe. `site`: its file, and where it lies there."""

    point: bytes
    function: bytes
    probe: bytes
    is_return: bool
    place: int = 0
    site: tuple[str, int] | None = None


class HitContext:
    """`registers`: None where there are none, in process.begin of a process that lives already. `at`: the address of the
    site. `sampled`: the hit is a tick of timer.profile, which may meet a system call.
    `space`, `unwinder`: for stacks. `session`: of a call that begins or returns."""

    __slots__ = (
        "_at", "_machine", "_memory", "_registers", "_sampled", "_space", "_syscall", "_task", "_texts", "_unwinder",
        "session",
    )  # fmt: skip

    def __init__(
        self,
        texts: Texts,
        task: Task,
        memory: Memory,
        machine: Machine,
        registers: Registers | None,
        at: int = 0,
        syscall: bool = False,
        sampled: bool = False,
        space: Space | None = None,
        unwinder: Unwinder | None = None,
        session: Session = NO_SESSION,
    ) -> None:
        self.session = session
        self._texts = texts
        self._task = task
        self._memory = memory
        self._machine = machine
        self._registers = registers
        self._at = at
        self._syscall = syscall
        self._sampled = sampled
        self._space = space
        self._unwinder = unwinder

    def pid(self) -> int:
        return self._task.pid

    def tid(self) -> int:
        return self._task.tid

    def ppid(self) -> int:
        return self._task.ppid()

    def uid(self) -> int:
        return self._task.uid()

    def euid(self) -> int:
        return self._task.euid()

    def gid(self) -> int:
        return self._task.gid()

    def egid(self) -> int:
        return self._task.egid()

    def execname(self) -> bytes:
        return self._task.execname()

    def pexecname(self) -> bytes:
        return self._task.pexecname()

    def cpu(self) -> int:
        return self._task.cpu()

    def user_mode(self) -> bool:
        return not self._sampled or self.syscall_number() < 0

    def command_line(self) -> bytes:
        return self._task.command_line()

    def environment(self, name: bytes) -> bytes:
        return self._task.environment(name)

    def cpu_times_ns(self) -> tuple[int, int]:
        return self._task.cpu_times_ns()

    def point(self) -> bytes:
        return self._texts.point

    def probe_name(self) -> bytes:
        return self._texts.probe

    def function(self) -> bytes:
        return self._texts.function

    def is_return(self) -> bool:
        return self._texts.is_return

    def place_number(self) -> int:
        return self._texts.place

    def site(self) -> tuple[str, int] | None:
        return self._texts.site

    def instruction(self) -> int:
        return self._at or (self._registers.pc if self._registers is not None else 0)

    def _saved(self) -> Registers:
        if self._registers is None:
            raise Fault(b"no registers in this probe")
        return self._registers

    def register(self, name: bytes, signed: bool) -> int:
        value, bits = self._saved().named(name)
        if (signed or bits == 64) and value >> (bits - 1):
            value -= 1 << bits
        return value

    def argument(self, number: int) -> int:
        registers = self._saved()
        if self._syscall:
            return _signed(registers.syscall_argument(number)) if 1 <= number <= 6 else 0
        return _signed(registers.argument(number, self._memory))

    def return_value(self) -> int:
        registers = self._saved()
        return _signed(registers.syscall_result() if self._syscall else registers.return_value())

    def syscall_number(self) -> int:
        return _signed(self._saved().syscall_number())

    def stack(self, depth: int) -> list[int]:
        return self.walk(depth)[0]

    def walk(self, depth: int, kept: bool = True) -> tuple[list[int], bool]:
        registers, unwinder, space = self._registers, self._unwinder, self._space
        if registers is None or unwinder is None or space is None or depth <= 0:
            return [], False
        walked = unwinder.walk(self._task.pid, space, self._memory, registers, self.instruction(), depth)
        unwinder.cut_stacks += walked[1] and kept
        return walked

    def mapped_code(self, path: bytes, offset: int) -> int:
        found = code_start(self._task.pid, os.fsdecode(path), offset)
        if found is None:
            raise Fault(NOT_MAPPED)
        return found

    def read_memory(self, address: int, size: int) -> bytes:
        return self._memory.read(address, size)

    def write_memory(self, address: int, data: bytes) -> None:
        self._memory.write(address, data)

    def set_register(self, name: bytes, value: int) -> None:
        self._saved().set_named(self._task.tid, name, value)

    def set_return_value(self, value: int) -> None:
        self._saved().set_return_value(self._task.tid, value)


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value
