"""The tracer: every stop of every thread, one after the other.

    tracer.tracees.seize_command(pid)   or   tracer.tracees.seize_tree(pid)
    tracer.start();   tracer.work(deadline_ns) ...;   tracer.stop()

A thread that hits a breakpoint stops; its handlers run; it goes on in the slot. All others run on meanwhile. Each stop is answered by exactly
one request that lets the thread go on. What the tracer does not ask for goes through unchanged: signals are delivered,
group stops are kept (PTRACE_LISTEN).

Source: ptrace(2), "Stopped states" and following.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from probelang.runtime.command import Command
from probelang.runtime.mappings import mapping_of, read_mappings
from probelang.runtime.ptrace import calls
from probelang.runtime.ptrace.inject import add_area
from probelang.runtime.ptrace.loader import loader_hook
from probelang.runtime.ptrace.machine import CannotRelocate, Machine
from probelang.runtime.ptrace.probes import EventProbe, Probes
from probelang.runtime.ptrace.refusals import setuid_warning
from probelang.runtime.ptrace.release import SYSCALL_TRAP, Release, interrupt, restart_syscall
from probelang.runtime.ptrace.sampling import Sampler
from probelang.runtime.ptrace.sites import LOADER, RETURN_PLACE
from probelang.runtime.ptrace.space import BREAKPOINT_CODES, Sites, Space
from probelang.runtime.ptrace.tracee import Process, Thread
from probelang.runtime.ptrace.tracees import Tracees
from probelang.runtime.ptrace.waiting import Waiter
from probelang.runtime.services import SessionServices
from probelang.runtime.signals import EndSignals

_OPTIONS = (
    calls.O_TRACESYSGOOD | calls.O_TRACEFORK | calls.O_TRACEVFORK | calls.O_TRACECLONE | calls.O_TRACEEXEC
    | calls.O_EXITKILL
)  # fmt: skip
_TRAP = int(signal.SIGTRAP)
_STOP_SIGNALS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


class Tracer:
    """`lost_places`: breakpoints that could not be set or gone on from; `lost_returns`: calls whose return could not be waited for."""

    def __init__(
        self,
        machine: Machine,
        probes: Probes,
        services: SessionServices,
        signals: EndSignals,
        command: Command | None,
    ) -> None:
        self.machine = machine
        self.registers = machine.registers()
        self.lost_places = 0
        self.lost_returns = 0
        self._probes = probes
        self._services = services
        self._signals = signals
        self._command = command
        tells_end = bool(probes.end or probes.thread_end)
        self.tracees = Tracees(machine, _OPTIONS | (calls.O_TRACEEXIT if tells_end else 0), tells_end)
        self._waiter = Waiter()
        self._sampler = Sampler([], 0)
        self._is_running = False
        self._programs: set[str] = set()  # that have been executed

    @property
    def next_sample_ns(self) -> int:
        """When `work` wants to look at the clock, on time.monotonic_ns()."""
        return self._sampler.next_ns

    @property
    def is_alone(self) -> bool:
        """Whether nobody is traced any more."""
        return not self.tracees.threads

    def start(self) -> None:
        """Handlers run from here on, first of all those of processes and threads that live already."""
        self._is_running = True
        self._sampler = Sampler(self._probes.profile, time.monotonic_ns())
        for process in list(self.tracees.processes.values()):
            if process.has_begun:
                self._set_up(process)
                for thread in list(process.threads.values()):
                    self._tell_begin(thread)
                    if process.traces_syscalls:
                        interrupt(thread)

    def work(self, deadline_ns: int) -> None:
        """Handles stops until the time has come, a signal arrives, or a handler ends the session. Needs a timer whose
        signals interrupt it."""
        services, signals, threads = self._services, self._signals, self.tracees.threads
        while not services.is_ending and not signals.count:
            tid, status = self._waiter.wait(len(threads))
            if tid > 0:
                self._changed(tid, status)
            elif tid == -2:
                time.sleep(max(0, deadline_ns - time.monotonic_ns()) / 1e9)
            now = time.monotonic_ns()
            if now >= self._sampler.next_ns:
                self._sampler.tick(now, threads.values())
            if now >= deadline_ns or (self._command and self._command.status is not None):
                return

    def _changed(self, tid: int, status: int) -> None:
        thread = self.tracees.threads.get(tid)
        if thread is None:
            if not self._services.has_started(tid):
                self.tracees.early[tid] = status  # its parent's report comes later
        elif status & 0xFF == 0x7F:
            thread.stop = status >> 8
            with contextlib.suppress(ProcessLookupError):  # killed; its end is reported next
                self._stopped(thread, status >> 8 & 0xFF, status >> 16)
        else:
            self._gone(thread, status)

    def _stopped(self, thread: Thread, number: int, event: int) -> None:
        if event == 0:
            if number == _TRAP:
                self._trapped(thread)
            elif number == SYSCALL_TRAP:
                self._at_syscall(thread)
            else:
                self._signalled(thread, number)
        elif event == calls.EVENT_STOP:
            self._came_to_stop(thread, number)
        elif event == calls.EVENT_EXEC:
            self._executed(thread)
        elif event == calls.EVENT_EXIT:
            self._exits(thread)
        else:
            self._has_child(thread)

    def _resume(self, thread: Thread, number: int = 0) -> None:
        """`number`: of a signal to deliver."""
        thread.stop = None
        request = calls.PTRACE_SYSCALL if thread.process.traces_syscalls else calls.PTRACE_CONT
        calls.request(request, thread.tid, 0, number)

    # ---------------------------------------------------------------------------------------- breakpoints

    def _trapped(self, thread: Thread) -> None:
        registers, space = self.registers, thread.process.space
        registers.fetch(thread.tid)
        address = self.machine.breakpoint_address(registers.pc)
        sites = space.sites.get(address)
        if (sites is None and address not in space.left) or (
            calls.signal_code(thread.tid) not in BREAKPOINT_CODES
        ):
            self._resume(thread, _TRAP)  # the program's own
            return
        if sites is not None and self._is_running and not _is_retry(thread, address, registers.sp):
            registers.pc = address
            for site in sites:
                site.hit(self, thread, address)
        self._go_on(thread, address)

    def _go_on(self, thread: Thread, address: int) -> None:
        """From a breakpoint."""
        space = thread.process.space
        pc = address
        if address in space.originals:
            pc = space.slots.get(address) or self._make_slot(thread, address) or address
        self.machine.set_pc(thread.tid, pc)
        self._resume(thread)

    def _make_slot(self, thread: Thread, address: int) -> int | None:
        """None where there can be none: then the breakpoint is gone."""
        space = thread.process.space
        area = space.room_near(address) or add_area(thread, self.machine, address)
        try:
            if area is not None:
                return space.add_slot(address, area)
        except (CannotRelocate, OSError):
            pass
        space.drop(address)
        self.lost_places += 1
        return None

    def await_return(self, space: Space, address: int) -> bool:
        """Gives a return address its breakpoint; False where it cannot have one."""
        if address in space.idle_returns:
            return True
        if not space.add(address, RETURN_PLACE):
            return False
        space.idle_returns[address] = 0
        return True

    def forget_return(self, space: Space, address: int) -> None:
        """Unless some thread has yet to return there."""
        if any(t.process.space is space and t.returns.awaits(address) for t in self.tracees.threads.values()):
            space.idle_returns[address] = 0
        else:
            del space.idle_returns[address]
            space.remove(address, RETURN_PLACE)

    def libraries_changed(self, process: Process) -> None:
        """Sets the sites of what is mapped now, and forgets those of what is no longer."""
        space = process.space
        mappings = read_mappings(process.pid)
        code = frozenset(m for m in mappings if m.executable)
        if code == space.seen:
            return
        space.seen = code
        wanted: dict[int, Sites] = self._probes.sites_in(process, mappings)
        if self._probes.places and (hook := loader_hook(process.pid, mappings)) is not None:
            wanted[hook] = (*wanted.get(hook, ()), LOADER)
        gone = [
            address
            for address, sites in space.sites.items()
            if address not in wanted and (RETURN_PLACE not in sites or mapping_of(mappings, address) is None)
        ]
        self.lost_places += space.set_sites(wanted, gone)
        space.semaphores.want(self._probes.semaphores_in(process, mappings))

    def _set_up(self, process: Process) -> None:
        """Of a program that begins, or is met while it runs."""
        process.traces_syscalls = self._probes.traces_syscalls(process)
        if self._probes.places:
            self.libraries_changed(process)

    # -------------------------------------------------------------------------------------------- signals

    def _signalled(self, thread: Thread, number: int) -> None:
        if number in _FAULTS and thread.process.space.areas:
            self._show_real_place(thread)
        self._resume(thread, number)

    def _show_real_place(self, thread: Thread) -> None:
        """A fault in a slot is one of the instruction that was copied there: handlers of the program and its core dump shall
        see that. When the program repairs the cause and tries again, the hit is not told twice."""
        self.registers.fetch(thread.tid)
        address = thread.process.space.slot_owner(self.registers.pc)
        if address is not None:
            self.machine.set_pc(thread.tid, address)
            thread.retries.add((address, self.registers.sp))

    def _came_to_stop(self, thread: Thread, number: int) -> None:
        """A group stop, the first stop of a new thread, or one that was asked for."""
        if thread.is_new:
            thread.is_new = False
            self._tell_begin(thread)
            self._tell_first_return(thread)
        restart_syscall(thread, self.machine, self.registers)
        if self._is_running:
            self._sampler.tell(self.machine, thread, self.registers)
        if number in _STOP_SIGNALS:
            calls.request(calls.PTRACE_LISTEN, thread.tid)
            thread.stop = None
        else:
            self._resume(thread)

    # ------------------------------------------------------------------------------------- system calls

    def _at_syscall(self, thread: Thread) -> None:
        if self._is_running:
            entry = calls.is_syscall_entry(thread.tid)
            self.registers.fetch(thread.tid)
            for probe in self._probes.syscall if entry else self._probes.syscall_return:
                probe.run(self.machine, thread, self.registers, syscall=True)
        self._resume(thread)

    def _tell_first_return(self, thread: Thread) -> None:
        """A child returns from the system call that made it, and stops only behind that."""
        if self._is_running and self._probes.syscall_return and thread.process.traces_syscalls:
            self.registers.fetch(thread.tid)
            for probe in self._probes.syscall_return:
                probe.run(self.machine, thread, self.registers, syscall=True)

    # ------------------------------------------------------------------------------- life of processes

    def _tell_begin(self, thread: Thread) -> None:
        if self._is_running:
            is_leader = thread.tid == thread.process.pid
            self._tell(thread, self._probes.begin if is_leader else self._probes.thread_begin)

    def _tell(self, thread: Thread, probes: list[EventProbe]) -> None:
        """Of an event of its life. One that has not stopped (at the start, when it lives already) has no registers to show."""
        registers = None
        if probes and thread.stop is not None:
            registers = self.registers
            registers.fetch(thread.tid)
        for probe in probes:
            probe.run(self.machine, thread, registers)

    def _has_child(self, parent: Thread) -> None:
        """After fork, vfork or clone: a new thread, or a new process."""
        child = self.tracees.add_child(parent, self.registers)
        self._resume(parent)
        if child is not None and (status := self.tracees.early.pop(child.tid, None)) is not None:
            self._changed(child.tid, status)

    def _executed(self, thread: Thread) -> None:
        """Another program in the same process."""
        self.tracees.begin_program(thread)
        process = thread.process
        if not process.has_begun:
            process.has_begun = True
            if self._command is not None:
                self._command.check_begun()
        if self._is_running:
            self._warn_of_rights(process.pid)
            self._set_up(process)
            self._tell_begin(thread)
        self._resume(thread)

    def _warn_of_rights(self, pid: int) -> None:
        """A program with setuid has lost its rights by being traced."""
        path = f"/proc/{pid}/exe"
        with contextlib.suppress(OSError):
            name = os.readlink(path)
            if name not in self._programs:
                self._programs.add(name)
                warning = setuid_warning(path, name)
                if warning is not None:
                    self._services.warn(warning.title().encode("utf-8", "surrogateescape"))

    def _exits(self, thread: Thread) -> None:
        """Its memory is still there."""
        self._tell_end(thread)
        self._resume(thread)

    def _tell_end(self, thread: Thread) -> None:
        process = thread.process
        thread.is_ending = True
        if not self._is_running or not process.has_begun:
            return
        if thread.tid != process.pid:
            self._tell(thread, self._probes.thread_end)
        if all(t.is_ending for t in process.threads.values()):
            self._tell(thread, self._probes.end)

    def _gone(self, thread: Thread, status: int) -> None:
        if not thread.is_ending:
            # SIGKILL can put EVENT_EXIT in the place of the stop that we were just answering: the answer was taken for it
            thread.stop = None
            self._tell_end(thread)
        if self.tracees.end_thread(thread):
            self._tell_command(thread, status)

    def _tell_command(self, thread: Thread, status: int) -> None:
        """Where the process that has ended is that of -c. Raises CompileError when it could not be executed."""
        if self._command is not None and self._command.pid == thread.tid:
            self._command.has_ended(status)
            if not thread.process.has_begun:
                self._command.check_begun()

    # ------------------------------------------------------------------------------------------- the end

    def stop(self) -> None:
        """Restores every byte and lets every thread go."""
        with EndSignals.held():
            self._is_running = False
            release = Release(self.machine, self.tracees)
            release.release_all()
            for thread, status in release.ended:
                self._tell_command(thread, status)
            if self._command is not None:
                self._command.is_traced = False


def _is_retry(thread: Thread, address: int, sp: int) -> bool:
    if not thread.retries or (address, sp) not in thread.retries:
        return False
    thread.retries.discard((address, sp))
    return True
