"""Resolved probe points: where a handler runs. Shared by compiler and runtime.

    process("/bin/x").function("f*").return  ->  FunctionPoint(sites=(Site(...), Site(...)), is_return=True, ...)

The kernel half (or a tracer) runs handlers of FunctionPoint, ProcessPoint, SyscallPoint and ProfilePoint; the user half those of
LifecyclePoint and TimerPoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class LifecyclePoint:
    """`begin(n)`, `end(n)`, `error(n)` (ascending by `priority`), `never`."""

    kind: Literal["begin", "end", "error", "never"]
    priority: int = 0


@dataclass(frozen=True, slots=True)
class TimerPoint:
    """Every `period_ns`, plus or minus up to `randomize_ns`, evenly distributed."""

    period_ns: int
    randomize_ns: int = 0


@dataclass(frozen=True, slots=True)
class ProfilePoint:
    """`timer.profile`: on every CPU, `frequency_hz` times a second (None: 1000 / 4 as the kernel's tick)."""

    frequency_hz: int | None = None


@dataclass(frozen=True, slots=True)
class BinaryFile:
    """An ELF file a probe depends on. `build_id` is hexadecimal, empty where the file has none."""

    path: str
    build_id: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One place in a file where a probe is set. `offset`: in the file (what the kernel takes); `address`: in the ELF
    image; `function`: the symbol as shown by ppfunc(), demangled for C++; `point`: the probe point as pp() shows it. `semaphore`:
    offset in the file of the 16-bit counter that a mark wants raised while it is probed (sys/sdt.h), 0: none. `returns`: offsets of
    the instructions that return from the function, where these are probed."""

    offset: int
    address: int
    function: str
    point: str
    semaphore: int = 0
    returns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionPoint:
    """Entries (or returns) of functions, PLT slots, statements and marks, all in one `binary`. `pid`: only this process (and no
    child), for process(PID). `executable`: only processes that run this file, for process("P").library("L"). `at_returns`: of returns, the probes stand
    on the instructions that return (`Site.returns`), and nothing on the stack is changed."""

    binary: BinaryFile
    sites: tuple[Site, ...]
    is_return: bool
    pid: int | None = None
    executable: str | None = None
    at_returns: bool = False


ProcessEvent = Literal["begin", "end", "thread.begin", "thread.end"]


@dataclass(frozen=True, slots=True)
class ProcessPoint:
    """Life of processes that run `executable` (None with `pid` None: every process), or of process `pid`. `end` and
    `thread.end` run in the dying task. `begin` and `thread.begin` also run for those that live at start-up."""

    event: ProcessEvent
    executable: str | None
    pid: int | None
    point: str


@dataclass(frozen=True, slots=True)
class SyscallPoint:
    """Every system call (entry or return) of such processes."""

    is_return: bool
    executable: str | None
    pid: int | None
    point: str


Point: TypeAlias = LifecyclePoint | TimerPoint | ProfilePoint | FunctionPoint | ProcessPoint | SyscallPoint


def is_process_point(point: Point) -> bool:
    """Whether it happens in a process: then the kernel half runs its handlers, or the tracer. The others are the user half's."""
    return not isinstance(point, LifecyclePoint | TimerPoint)
