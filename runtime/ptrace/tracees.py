"""Who is traced: the tables of threads and processes, and how they change with fork, clone, exec and exit.

Source: ptrace(2), "Attaching and detaching", "execve(2) under ptrace".
"""

from __future__ import annotations

import contextlib
import os

from probelang.runtime.ptrace import calls
from probelang.runtime.ptrace.machine import Machine, Registers
from probelang.runtime.ptrace.memory import Memory
from probelang.runtime.ptrace.probes import file_id
from probelang.runtime.ptrace.returns import Returns
from probelang.runtime.ptrace.space import Space
from probelang.runtime.ptrace.supervise import own_pids
from probelang.runtime.ptrace.task import Task
from probelang.runtime.ptrace.tracee import Process, Thread
from probelang.runtime.targets import descendants


class Tracees:
    """`options`: of ptrace. `tells_end`: whether handlers run when threads end, perhaps when those are gone already. `early`: the first stop (or the end) of threads that their parent has not told of yet. `lost_returns`: of
    threads that are gone."""

    def __init__(self, machine: Machine, options: int, tells_end: bool) -> None:
        self.threads: dict[int, Thread] = {}
        self.processes: dict[int, Process] = {}
        self.early: dict[int, int] = {}
        self.lost_returns = 0
        self._machine = machine
        self._options = options
        self._tells_end = tells_end

    def spaces(self) -> list[Space]:
        return list({id(p.space): p.space for p in self.processes.values()}.values())

    # ------------------------------------------------------------------------------------------ beginning

    def seize_command(self, pid: int) -> None:
        """The child that will execute the command. Raises OSError."""
        calls.seize(pid, self._options)
        process = self._add_process(pid)
        process.has_begun = False
        self._add_thread(process, pid)

    def seize_tree(self, root: int) -> None:
        """A process that lives and all that come from it. Raises OSError: of `root`; what else cannot be traced is left alone."""
        while True:
            # not our own, where the target is the shell that we were started from
            new = [pid for pid in sorted(descendants(root) - own_pids()) if pid not in self.processes]
            for pid in new:
                try:
                    self._seize_process(pid)
                except OSError:
                    if pid == root:
                        raise
            if not any(pid in self.processes for pid in new):
                return

    def _seize_process(self, pid: int) -> None:
        calls.seize(pid, self._options)
        process = self._add_process(pid)
        self._add_thread(process, pid)
        found = True
        while found:
            found = False
            for name in os.listdir(f"/proc/{pid}/task"):
                tid = int(name)
                # a thread that is born of a traced one is traced already, and tells so later
                if tid not in self.threads:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        calls.seize(tid, self._options)
                        self._add_thread(process, tid)
                        found = True

    def _add_process(self, pid: int, parent: Process | None = None) -> Process:
        """`parent`: whose memory it shares. Raises OSError."""
        memory = Memory(pid)
        if parent is not None:
            space = parent.space
            space.users += 1
        else:
            space = Space(memory, self._machine)
        process = Process(pid, memory, space, file_id(f"/proc/{pid}/exe"))
        self.processes[pid] = process
        return process

    def _add_thread(self, process: Process, tid: int) -> Thread:
        thread = Thread(tid, process, Task(process.pid, tid))
        if self._tells_end:
            thread.task.execname()  # which remembers it
        process.threads[tid] = thread
        self.threads[tid] = thread
        return thread

    # -------------------------------------------------------------------------------------------- changes

    def add_child(self, parent: Thread, registers: Registers) -> Thread | None:
        """The thread or process that `parent`, stopped behind fork, vfork or clone, has made; None when it is known or gone
        again. `registers`: a buffer."""
        tid = calls.event_message(parent.tid)
        if tid in self.threads:
            return None
        process = parent.process
        if os.path.exists(f"/proc/{process.pid}/task/{tid}"):
            thread = self._add_thread(process, tid)
        else:
            registers.fetch(parent.tid)
            try:
                thread = self._add_thread(self._child_of(process, tid, registers), tid)
            except OSError:
                return None  # killed already
            thread.returns = parent.returns.copy()
        thread.is_new = True
        return thread

    def _child_of(self, process: Process, pid: int, registers: Registers) -> Process:
        if self._machine.shares_memory(registers, process.memory):
            child = self._add_process(pid, process)
        else:
            child = self._add_process(pid)
            child.space = process.space.copy(child.memory)
            if len(process.threads) > 1:
                child.space.repair()
        child.has_begun, child.traces_syscalls = process.has_begun, process.traces_syscalls
        return child

    def begin_program(self, thread: Thread) -> None:
        """After exec: all threads but this one are gone, and it has the leader's id now. A program that may not be read goes on
        without probes."""
        process = thread.process
        for other in [t for t in process.threads.values() if t is not thread]:
            self.forget(other)
        thread.returns, thread.is_interrupted, thread.is_ending = Returns(), False, False
        thread.retries.clear()
        process.leave_space()
        process.memory = Memory(process.pid, must_open=False)
        process.space = Space(process.memory, self._machine)
        process.executable = file_id(f"/proc/{process.pid}/exe")

    def end_thread(self, thread: Thread) -> bool:
        """Whether its process has ended with it."""
        process = thread.process
        self.forget(thread)
        if thread.tid != process.pid:
            return False
        for other in list(process.threads.values()):
            self.forget(other)
        self.processes.pop(process.pid, None)
        process.leave_space()
        return True

    def forget(self, thread: Thread) -> None:
        """Of a thread that is gone or let go."""
        self.lost_returns += thread.returns.lost
        thread.task.close()
        thread.process.threads.pop(thread.tid, None)
        self.threads.pop(thread.tid, None)

    def clear(self) -> None:
        for thread in list(self.threads.values()):
            self.forget(thread)
        for process in self.processes.values():
            process.leave_space()
        self.processes.clear()
