"""`timer.profile` without a clock of the kernel's: at each tick every traced thread that has a processor is stopped for a moment.

sampler.next_ns                          when the next tick is due
sampler.tick(now_ns, threads)            stops those that run; each then comes to `sampler.tell`
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probelang.runtime.ptrace.machine import Machine, Registers
from probelang.runtime.ptrace.probes import EventProbe
from probelang.runtime.ptrace.release import interrupt
from probelang.runtime.ptrace.tracee import Thread, is_running

_NEVER = 1 << 63


@dataclass(slots=True)
class _Clock:
    period_ns: int
    due_ns: int
    probe: EventProbe


class Sampler:
    """`probes`: each with its period in ns."""

    def __init__(self, probes: list[tuple[int, EventProbe]], now_ns: int) -> None:
        self._clocks = [_Clock(period, now_ns + period, probe) for period, probe in probes]
        self.next_ns = self._next()

    def _next(self) -> int:
        return min((clock.due_ns for clock in self._clocks), default=_NEVER)

    def tick(self, now_ns: int, threads: Iterable[Thread]) -> None:
        due = [clock for clock in self._clocks if clock.due_ns <= now_ns]
        for clock in due:
            clock.due_ns += (now_ns - clock.due_ns) // clock.period_ns * clock.period_ns + clock.period_ns
        self.next_ns = self._next()
        for thread in threads:
            if thread.stop is None and thread.process.has_begun and is_running(thread.tid):
                interrupt(thread)
                thread.samples += [clock.probe for clock in due]

    def tell(self, machine: Machine, thread: Thread, registers: Registers) -> None:
        """Of a thread that has stopped."""
        probes, thread.samples = thread.samples, []
        if probes:
            registers.fetch(thread.tid)
        for probe in probes:
            probe.run(machine, thread, registers, sampled=True)
