"""The backend that needs no privilege: one process tree, traced with ptrace, all handlers run here.

Source: ptrace(2); kernel Documentation/admin-guide/LSM/Yama.rst for who may trace whom.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Generator
from types import FrameType

from probelang.diag import CompileError
from probelang.runtime.backend import CUT_STACKS, Surroundings
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.ptrace.machine import this_machine
from probelang.runtime.ptrace.probes import compile_probes
from probelang.runtime.ptrace.tracer import Tracer
from probelang.runtime.ptrace.unwinder import Unwinder
from probelang.runtime.store import Store
from probelang.runtime.userhalf import UserHalf

_SHORTEST_NS = 100_000
_AGAIN_S = 0.001  # should the first signal come just before the wait begins


class PtraceBackend:
    """A `Backend`. Without probes in processes, and without -c and -x, nobody is traced."""

    is_behind = False
    is_ending = False  # handlers tell the session themselves, and count their errors there
    errors = 0
    cut_strings = (0, -1)

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._store = MemoryStore(around.manifest.variables, around.manifest.limits.map_entries)
        self._unwinder = Unwinder(around.services.symbols)
        self._tracer: Tracer | None = None
        self._is_done = False

    @property
    def store(self) -> Store:
        return self._store

    def attach(self, half: UserHalf) -> None:
        around, command = self._around, self._around.command
        if not around.manifest.has_process_probes:
            return
        probes = compile_probes(around.manifest, half, self._unwinder)
        tracer = Tracer(this_machine(), probes, around.services, around.signals, command)
        try:
            if command is not None:
                tracer.tracees.seize_command(command.pid)
                command.is_traced = True
            elif around.options.pid is not None:
                tracer.tracees.seize_tree(around.options.pid)
        except OSError as error:
            tracer.stop()
            from probelang.runtime.ptrace.refusals import explain_refusal

            raise CompileError([explain_refusal(around.target_pid, error)]) from None
        self._tracer = tracer

    def start(self) -> None:
        if self._tracer is not None:
            self._tracer.start()
        command = self._around.command
        if command is None:
            return
        if self._tracer is None:
            command.release()
        else:
            command.let_go()

    def handle(self, timeout_ms: int) -> None:
        if self._tracer is None or self._tracer.is_alone:
            time.sleep(timeout_ms / 1000)
            return
        now = time.monotonic_ns()
        deadline = now + timeout_ms * 1_000_000
        first = min(deadline, self._tracer.next_sample_ns)
        with _alarm(max(first - now, _SHORTEST_NS) / 1e9):
            self._tracer.work(deadline)

    def stop(self) -> None:
        if self._tracer is not None and not self._is_done:
            self._tracer.stop()
            self._is_done = True

    def losses(self) -> list[str]:
        tracer = self._tracer
        if tracer is None:
            return []
        counts = (
            (tracer.lost_places, "%d places could not be probed in the memory of a process"),
            (tracer.lost_returns + tracer.tracees.lost_returns, "%d returns could not be waited for"),
            (self._unwinder.cut_stacks, CUT_STACKS),
        )
        return [text % count for count, text in counts if count]

    def close(self) -> None:
        self.stop()


def _ignore(number: int, frame: FrameType | None) -> None: ...


@contextlib.contextmanager
def _alarm(seconds: float) -> Generator[None]:
    """A signal that interrupts the wait for a stop, after so long and again until this ends."""
    before = signal.signal(signal.SIGALRM, _ignore)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
