"""The processes that are traced, and their threads.

Source: ptrace(2), "Attaching and detaching", "execve(2) under ptrace".
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probelang.runtime.ptrace.memory import Memory
from probelang.runtime.ptrace.returns import Returns
from probelang.runtime.ptrace.space import Space
from probelang.runtime.ptrace.task import Task

if TYPE_CHECKING:
    from probelang.runtime.ptrace.probes import EventProbe


@dataclass(slots=True, eq=False)
class Process:
    """A thread group. `executable`: (device, inode) of its program. `has_begun`: its program is one of the user's (the command of -c is not, before it executes)."""

    pid: int
    memory: Memory
    space: Space
    executable: tuple[int, int] | None = None
    threads: dict[int, Thread] = field(default_factory=dict[int, "Thread"])
    has_begun: bool = True
    traces_syscalls: bool = False

    def leave_space(self) -> None:
        """The memory is gone for this process: it has ended, or executes another program."""
        self.space.users -= 1
        if self.space.users == 0:
            self.space.memory.close()
        if self.memory is not self.space.memory:
            self.memory.close()


@dataclass(slots=True, eq=False)
class Thread:
    """`stop`: what it has stopped with (signal, and 256 times the event), None while it runs. `is_new`: its first stop is still to come.
    `is_interrupted`: PTRACE_INTERRUPT was asked for, and the stop is still to come. `retries`: (address, stack pointer) of hits that were told already and
    come again, because the instruction there faulted. `samples`: to be taken at the next stop."""

    tid: int
    process: Process
    task: Task
    returns: Returns = field(default_factory=Returns)
    stop: int | None = None
    is_new: bool = False
    is_interrupted: bool = False
    is_ending: bool = False
    samples: list[EventProbe] = field(default_factory=list["EventProbe"])
    retries: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])


def is_zombie(tid: int) -> bool:
    """Whether a thread has ended: the leader of a process stays one until all other threads have."""
    return _state(tid) in (b"Z", b"X")


def is_running(tid: int) -> bool:
    """Whether a thread has a processor, or waits for one."""
    return _state(tid) == b"R"


def _state(tid: int) -> bytes:
    """proc_pid_stat(5), field 3."""
    try:
        with open(f"/proc/{tid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()[0]
    except OSError:
        return b"X"


def has_signal(tid: int) -> bool:
    """Whether a signal waits for a thread that it does not block."""
    masks = _signal_masks(tid)
    return bool((masks[b"SigPnd"] | masks[b"ShdPnd"]) & ~masks[b"SigBlk"])


def has_trap(tid: int) -> bool:
    """Whether SIGTRAP waits for just this thread, as it does behind a breakpoint."""
    masks = _signal_masks(tid)
    return bool(masks[b"SigPnd"] & ~masks[b"SigBlk"] & 1 << signal.SIGTRAP - 1)


def _signal_masks(tid: int) -> dict[bytes, int]:
    """Of the thread, of its process, and what it blocks; all 0 when it is gone. Source: proc_pid_status(5)."""
    masks = {b"SigPnd": 0, b"ShdPnd": 0, b"SigBlk": 0}
    try:
        with open(f"/proc/{tid}/status", "rb") as f:
            for line in f.read().splitlines():
                name, _, value = line.partition(b":")
                if name in masks:
                    masks[name] = int(value, 16)
    except OSError:
        pass
    return masks
