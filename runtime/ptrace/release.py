"""Letting all traced threads go: every byte restored, every thread where it would be without us.

Breakpoints go first; then every thread is stopped once more and detached. What it has stopped with is taken into account: a hit goes on at its
own place, a signal is delivered, a child that was just born is cleaned as well.

Source: ptrace(2), "PTRACE_DETACH"; signal(7), "Interruption of system calls and library functions by stop signals".
"""

from __future__ import annotations

import contextlib
import signal

from probelang.runtime.ptrace import calls
from probelang.runtime.ptrace.machine import Machine, Registers
from probelang.runtime.ptrace.space import BREAKPOINT_CODES
from probelang.runtime.ptrace.tracee import Thread, has_signal, has_trap, is_zombie
from probelang.runtime.ptrace.tracees import Tracees

SYSCALL_TRAP = int(signal.SIGTRAP) | 0x80  # PTRACE_O_TRACESYSGOOD
_BIRTHS = (calls.EVENT_FORK, calls.EVENT_VFORK, calls.EVENT_CLONE)


def interrupt(thread: Thread) -> None:
    """Makes a running thread stop."""
    if thread.stop is None and not thread.is_interrupted:
        with contextlib.suppress(ProcessLookupError):
            calls.interrupt(thread.tid)
            thread.is_interrupted = True


class Release:
    """`release_all` returns when nobody is traced any more. `ended`: threads that ended meanwhile, and their status."""

    def __init__(self, machine: Machine, tracees: Tracees) -> None:
        self._machine = machine
        self._tracees = tracees
        self._registers = machine.registers()
        self.ended: list[tuple[Thread, int]] = []

    def release_all(self) -> None:
        tracees = self._tracees
        for space in tracees.spaces():
            space.reset_all()
        for thread in list(tracees.threads.values()):
            if thread.stop is not None:
                self._release(thread)
            else:
                interrupt(thread)
        while any(not is_zombie(tid) for tid in tracees.threads):
            tid, status = calls.wait(-1)
            if tid == -2:
                break
            if tid > 0:
                self._changed(tid, status)
        tracees.clear()

    def _changed(self, tid: int, status: int) -> None:
        thread = self._tracees.threads.get(tid)
        if thread is None:
            self._tracees.early[tid] = status
        elif status & 0xFF == 0x7F:
            thread.stop = status >> 8
            self._release(thread)
        else:
            self.ended.append((thread, status))
            self._tracees.end_thread(thread)

    def _release(self, thread: Thread) -> None:
        """Detaches a stopped thread."""
        stop = thread.stop or 0
        number, event = stop & 0xFF, stop >> 8
        with contextlib.suppress(ProcessLookupError):  # killed; its end is reported next
            if event == calls.EVENT_STOP and has_trap(thread.tid):
                # a stop that was asked for comes before the report of a breakpoint that was hit at that moment: without
                # its tracer the thread would die of it
                thread.stop = None
                calls.request(calls.PTRACE_CONT, thread.tid)
                return
            if event in _BIRTHS:
                self._release_child(thread)
            elif event == calls.EVENT_EXEC:
                self._tracees.begin_program(thread)
            if event == calls.EVENT_STOP or number == SYSCALL_TRAP:
                restart_syscall(thread, self._machine, self._registers)
            calls.detach(thread.tid, self._leave(thread, number, event))
            self._tracees.forget(thread)

    def _leave(self, thread: Thread, number: int, event: int) -> int:
        """The signal that a thread shall get on its way."""
        registers, space = self._registers, thread.process.space
        registers.fetch(thread.tid)
        address = self._machine.breakpoint_address(registers.pc)
        is_trap = event == 0 and number == signal.SIGTRAP and address in space.left
        if is_trap and calls.signal_code(thread.tid) in BREAKPOINT_CODES:
            self._machine.set_pc(thread.tid, address)
            return 0
        # back to where the instruction belongs; slots stay mapped, for a signal handler may have interrupted one
        owner = space.slot_owner(registers.pc)
        if owner is not None:
            self._machine.set_pc(thread.tid, owner)
        return number if event == 0 and number != SYSCALL_TRAP else 0

    def _release_child(self, parent: Thread) -> None:
        """A child that was born while we end has breakpoints in its memory."""
        child = self._tracees.add_child(parent, self._registers)
        if child is not None:
            child.process.space.reset_all()
            if (status := self._tracees.early.pop(child.tid, None)) is not None:
                self._changed(child.tid, status)


def restart_syscall(thread: Thread, machine: Machine, registers: Registers) -> None:
    """Some system calls end with EINTR because of a stop that we asked for, which they would not without."""
    if thread.is_interrupted:
        thread.is_interrupted = False
        registers.fetch(thread.tid)
        if not has_signal(thread.tid) and machine.restart_syscall(registers):
            registers.store(thread.tid)
