"""The tracer: every stop of every thread, one after the other.

    tracer.trace_command(pid)   or   tracer.trace_process(pid)
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
from probelang.runtime.ptrace import calls
from probelang.runtime.ptrace.inject import add_area
from probelang.runtime.ptrace.loader import loader_hook
from probelang.runtime.ptrace.machine import CannotRelocate, Machine
from probelang.runtime.ptrace.mappings import mapping_of, read_mappings
from probelang.runtime.ptrace.memory import Memory
from probelang.runtime.ptrace.probes import Probes, file_id
from probelang.runtime.ptrace.returns import Returns
from probelang.runtime.ptrace.sites import LOADER, RETURN_PLACE
from probelang.runtime.ptrace.space import Sites, Space
from probelang.runtime.ptrace.supervise import own_pids
from probelang.runtime.ptrace.task import Task
from probelang.runtime.ptrace.tracee import Process, Thread, has_signal, is_zombie
from probelang.runtime.services import SessionServices
from probelang.runtime.signals import EndSignals
from probelang.runtime.targets import descendants

_OPTIONS = (
    calls.O_TRACESYSGOOD | calls.O_TRACEFORK | calls.O_TRACEVFORK | calls.O_TRACECLONE | calls.O_TRACEEXEC
    | calls.O_EXITKILL
)  # fmt: skip
_TRAP, _SYSCALL_TRAP = int(signal.SIGTRAP), int(signal.SIGTRAP) | 0x80
_STOP_SIGNALS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
_BREAKPOINT_CODES = (0x80, 1)  # SI_KERNEL (x86), TRAP_BRKPT


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
        self._options = _OPTIONS | (calls.O_TRACEEXIT if probes.end or probes.thread_end else 0)
        self._threads: dict[int, Thread] = {}
        self._processes: dict[int, Process] = {}
        self._early: dict[int, int] = {}
        self._is_running = False

    # -------------------------------------------------------------------------------------- who is traced

    def trace_command(self, pid: int) -> None:
        """The child that will execute the command. Raises OSError."""
        self._seize(pid)
        process = self._add_process(pid)
        process.has_begun = False
        self._add_thread(process, pid)

    def trace_process(self, root: int) -> None:
        """A process that lives and all that come from it. Raises OSError: of `root`; what else cannot be traced is left alone."""
        while True:
            # our own where the target is the shell that we were started from
            new = [pid for pid in sorted(descendants(root) - own_pids()) if pid not in self._processes]
            for pid in new:
                try:
                    self._trace_threads(pid)
                except OSError:
                    if pid == root:
                        raise
            if not any(pid in self._processes for pid in new):
                return

    def _trace_threads(self, pid: int) -> None:
        self._seize(pid)
        process = self._add_process(pid)
        self._add_thread(process, pid)
        found = True
        while found:
            found = False
            for name in os.listdir(f"/proc/{pid}/task"):
                tid = int(name)
                # a thread that is born of a traced one is traced already, and tells so later
                if tid not in self._threads:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        self._seize(tid)
                        self._add_thread(process, tid)
                        found = True

    def _seize(self, tid: int) -> None:
        calls.seize(tid, self._options)

    def _add_process(self, pid: int, parent: Process | None = None) -> Process:
        """`parent`: whose memory it shares. Raises OSError."""
        memory = Memory(pid)
        if parent is not None:
            space = parent.space
            space.users += 1
        else:
            space = Space(memory, self.machine)
        process = Process(pid, memory, space, file_id(f"/proc/{pid}/exe"))
        self._processes[pid] = process
        return process

    def _add_thread(self, process: Process, tid: int) -> Thread:
        thread = Thread(tid, process, Task(process.pid, tid))
        process.threads[tid] = thread
        self._threads[tid] = thread
        return thread

    @property
    def is_alone(self) -> bool:
        """Whether nobody is traced any more."""
        return not self._threads

    # ------------------------------------------------------------------------------------- begin and work

    def start(self) -> None:
        """Handlers run from here on, first of all those of processes and threads that live already."""
        self._is_running = True
        for process in list(self._processes.values()):
            if process.has_begun:
                self._set_up(process)
                for thread in list(process.threads.values()):
                    self._tell_begin(thread)
                    if process.traces_syscalls:
                        self._interrupt(thread)

    def work(self, deadline_ns: int) -> None:
        """Handles stops until the time has come, a signal arrives, or a handler ends the session. Needs a timer whose
        signals interrupt it."""
        services, signals = self._services, self._signals
        while not services.is_ending and not signals.count:
            tid, status = calls.wait(-1)
            if tid > 0:
                self._changed(tid, status)
            elif tid == -2:
                time.sleep(max(0, deadline_ns - time.monotonic_ns()) / 1e9)
            if time.monotonic_ns() >= deadline_ns or (self._command and self._command.status is not None):
                return

    def _changed(self, tid: int, status: int) -> None:
        thread = self._threads.get(tid)
        if thread is None:
            if not self._services.has_started(tid):
                self._early[tid] = status  # its parent's report comes later
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
            elif number == _SYSCALL_TRAP:
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
            calls.signal_code(thread.tid) not in _BREAKPOINT_CODES
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
        if any(t.process.space is space and t.returns.awaits(address) for t in self._threads.values()):
            space.idle_returns[address] = 0
        else:
            del space.idle_returns[address]
            space.remove(address, RETURN_PLACE)

    def libraries_changed(self, process: Process) -> None:
        """Sets the sites of what is mapped now, and forgets those of what is no longer."""
        space = process.space
        mappings = read_mappings(process.pid)
        wanted: dict[int, Sites] = self._probes.sites_in(process, mappings)
        if self._probes.places and (hook := loader_hook(process.pid, mappings)) is not None:
            wanted[hook] = (*wanted.get(hook, ()), LOADER)
        gone = [
            address
            for address, sites in space.sites.items()
            if address not in wanted and (RETURN_PLACE not in sites or mapping_of(mappings, address) is None)
        ]
        self.lost_places += space.set_sites(wanted, gone)

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
            self._tell_first_return(thread)
            self._tell_begin(thread)
        if thread.is_interrupted:
            thread.is_interrupted = False
            self._restart_syscall(thread)
        if number in _STOP_SIGNALS:
            calls.request(calls.PTRACE_LISTEN, thread.tid)
            thread.stop = None
        else:
            self._resume(thread)

    def _interrupt(self, thread: Thread) -> None:
        if thread.stop is None and not thread.is_interrupted:
            with contextlib.suppress(ProcessLookupError):
                calls.interrupt(thread.tid)
                thread.is_interrupted = True

    def _restart_syscall(self, thread: Thread) -> None:
        """Some system calls end with EINTR because of our stop, which they would not without."""
        self.registers.fetch(thread.tid)
        if not has_signal(thread.tid) and self.machine.restart_syscall(self.registers):
            self.registers.store(thread.tid)

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
            for probe in self._probes.begin if is_leader else self._probes.thread_begin:
                probe.run(self.machine, thread, None)

    def _has_child(self, parent: Thread) -> None:
        """After fork, vfork or clone: a new thread, or a new process."""
        tid = calls.event_message(parent.tid)
        if tid not in self._threads:
            with contextlib.suppress(OSError):  # killed already
                self._add_child(parent, tid)
        self._resume(parent)
        if tid in self._threads and (status := self._early.pop(tid, None)) is not None:
            self._changed(tid, status)

    def _add_child(self, parent: Thread, tid: int) -> None:
        process = parent.process
        if os.path.exists(f"/proc/{process.pid}/task/{tid}"):
            self._add_thread(process, tid).is_new = True
            return
        self.registers.fetch(parent.tid)
        if self.machine.shares_memory(self.registers, process.memory):
            child = self._add_process(tid, process)
        else:
            child = self._add_process(tid)
            child.space = process.space.copy(child.memory)
            if len(process.threads) > 1:
                child.space.repair()
        child.has_begun, child.traces_syscalls = process.has_begun, process.traces_syscalls
        thread = self._add_thread(child, tid)
        thread.returns, thread.is_new = parent.returns.copy(), True

    def _executed(self, thread: Thread) -> None:
        """Another program in the same process; all threads but this one are gone, and it has the leader's id now."""
        process = thread.process
        for other in [t for t in process.threads.values() if t is not thread]:
            self._forget(other)
        thread.returns, thread.is_interrupted, thread.is_ending = Returns(), False, False
        thread.retries.clear()
        process.leave_space()
        process.memory = Memory(process.pid)
        process.space = Space(process.memory, self.machine)
        process.executable = file_id(f"/proc/{process.pid}/exe")
        if not process.has_begun:
            process.has_begun = True
            if self._command is not None:
                self._command.check_begun()
        if self._is_running:
            self._set_up(process)
            self._tell_begin(thread)
        self._resume(thread)

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
            for probe in self._probes.thread_end:
                probe.run(self.machine, thread, None)
        if all(t.is_ending for t in process.threads.values()):
            for probe in self._probes.end:
                probe.run(self.machine, thread, None)

    def _gone(self, thread: Thread, status: int) -> None:
        process = thread.process
        self._forget(thread)
        if thread.tid == process.pid:
            for other in list(process.threads.values()):
                self._forget(other)
            del self._processes[process.pid]
            process.leave_space()
            if self._command is not None and self._command.pid == process.pid:
                self._command.has_ended(status)
                if not process.has_begun:
                    self._command.check_begun()

    def _forget(self, thread: Thread) -> None:
        self.lost_returns += thread.returns.lost
        thread.task.close()
        thread.process.threads.pop(thread.tid, None)
        self._threads.pop(thread.tid, None)

    # ------------------------------------------------------------------------------------------- the end

    def stop(self) -> None:
        """Restores every byte and lets every thread go."""
        with EndSignals.held():
            self._is_running = False
            for space in {id(p.space): p.space for p in self._processes.values()}.values():
                space.reset_all()
            for thread in list(self._threads.values()):
                if thread.stop is not None:
                    self._release(thread)
                else:
                    self._interrupt(thread)
            while any(not is_zombie(tid) for tid in self._threads):
                tid, status = calls.wait(-1)
                if tid == -2:
                    break
                if tid > 0:
                    self._changed_at_end(tid, status)
            for thread in list(self._threads.values()):
                self._forget(thread)
            self._processes.clear()
            if self._command is not None:
                self._command.is_traced = False

    def _changed_at_end(self, tid: int, status: int) -> None:
        thread = self._threads.get(tid)
        if thread is None or status & 0xFF != 0x7F:
            self._changed(tid, status)
        else:
            thread.stop = status >> 8
            self._release(thread)

    def _release(self, thread: Thread) -> None:
        """Detaches a stopped thread; what it has stopped with is taken into account."""
        stop = thread.stop or 0
        number, event = stop & 0xFF, stop >> 8
        try:
            if event in (calls.EVENT_FORK, calls.EVENT_VFORK, calls.EVENT_CLONE):
                self._release_child(thread)
            calls.detach(
                thread.tid, self._leave(thread, number) if event == 0 else self._leave_event(thread, event)
            )
        except ProcessLookupError:
            return  # killed; its end is reported next
        self._forget(thread)

    def _leave(self, thread: Thread, number: int) -> int:
        """The signal that a thread shall get on its way."""
        registers, space = self.registers, thread.process.space
        registers.fetch(thread.tid)
        if number == _SYSCALL_TRAP:
            self._restart_interrupted(thread)
            return 0
        if number == _TRAP:
            address = self.machine.breakpoint_address(registers.pc)
            if address in space.left and calls.signal_code(thread.tid) in _BREAKPOINT_CODES:
                self.machine.set_pc(thread.tid, address)
                return 0
        self._leave_slot(thread)
        return number

    def _leave_event(self, thread: Thread, event: int) -> int:
        if event == calls.EVENT_STOP:
            self._restart_interrupted(thread)
            self.registers.fetch(thread.tid)
            self._leave_slot(thread)
        return 0

    def _restart_interrupted(self, thread: Thread) -> None:
        if thread.is_interrupted:
            self._restart_syscall(thread)

    def _leave_slot(self, thread: Thread) -> None:
        """Back to where the instruction belongs, as its breakpoint is gone; slots stay mapped, for a signal handler
        may have interrupted one."""
        address = thread.process.space.slot_owner(self.registers.pc)
        if address is not None:
            self.machine.set_pc(thread.tid, address)

    def _release_child(self, parent: Thread) -> None:
        """A child that was born while we end has breakpoints in its memory."""
        tid = calls.event_message(parent.tid)
        if tid in self._threads:
            return
        with contextlib.suppress(OSError):
            self._add_child(parent, tid)
            self._threads[tid].process.space.reset_all()
            if (status := self._early.pop(tid, None)) is not None:
                self._changed_at_end(tid, status)


def _is_retry(thread: Thread, address: int, sp: int) -> bool:
    if not thread.retries or (address, sp) not in thread.retries:
        return False
    thread.retries.discard((address, sp))
    return True
