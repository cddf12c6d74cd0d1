"""What is done at a breakpoint.

    site.hit(tracer, thread, address)      the thread's registers are in tracer.registers, with the site as pc

An `EntrySite` runs a handler; a `CallSite` waits for the return of a function and makes a `ReturnPlace` at its return address; a
`LoaderSite` is the dynamic linker's own hook for debuggers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from probelang.runtime.ptrace.context import HitContext, Texts

if TYPE_CHECKING:
    from probelang.runtime.evaluate.context import Context
    from probelang.runtime.ptrace.tracee import Process, Thread
    from probelang.runtime.ptrace.tracer import Tracer
    from probelang.runtime.ptrace.unwinder import Unwinder

_IDLE_HITS = 8  # of a return place where nobody is waited for, until its breakpoint goes


@dataclass(slots=True, eq=False)
class Probe:
    """A probe's handler and which processes it is for. `executable`: (device, inode), None: any. `unwinder`: for the stacks that it asks
    for."""

    run: Callable[[Context], None]
    pid: int | None
    executable: tuple[int, int] | None
    unwinder: Unwinder | None = None

    def is_for(self, process: Process) -> bool:
        return (self.pid is None or self.pid == process.pid) and (
            self.executable is None or self.executable == process.executable
        )


@dataclass(slots=True, eq=False)
class EntrySite:
    probe: Probe
    texts: Texts

    def hit(self, tracer: Tracer, thread: Thread, address: int) -> None:
        process = thread.process
        if self.probe.is_for(process):
            context = HitContext(
                self.texts, thread.task, process.memory, tracer.machine, tracer.registers, address,
                space=process.space, unwinder=self.probe.unwinder,
            )  # fmt: skip
            self.probe.run(context)


@dataclass(slots=True, eq=False)
class CallSite:
    """The entry of a function with return probes, all of them. `jumps_to_entry`: see `Returns.enter`."""

    sites: tuple[EntrySite, ...]
    jumps_to_entry: bool

    def hit(self, tracer: Tracer, thread: Thread, address: int) -> None:
        process = thread.process
        if not any(site.probe.is_for(process) for site in self.sites):
            return
        machine, registers = tracer.machine, tracer.registers
        back = machine.return_address(registers, process.memory)
        if tracer.await_return(process.space, back):
            thread.returns.enter(back, machine.sp_after_return(registers), self, self.jumps_to_entry)
        else:
            tracer.lost_returns += 1


@dataclass(slots=True, eq=False)
class ReturnPlace:
    """A return address. A place that other calls return to as well is left alone after some hits for nothing, until a
    return is waited for there again."""

    def hit(self, tracer: Tracer, thread: Thread, address: int) -> None:
        returned = thread.returns.leave(address, tracer.registers.sp)
        for call in returned:
            for site in call.sites:
                site.hit(tracer, thread, address)
        idle = thread.process.space.idle_returns
        idle[address] = 0 if returned else idle.get(address, 0) + 1
        if idle[address] >= _IDLE_HITS:
            tracer.forget_return(thread.process.space, address)


@dataclass(slots=True, eq=False)
class LoaderSite:
    """Libraries have come or gone."""

    def hit(self, tracer: Tracer, thread: Thread, address: int) -> None:
        tracer.libraries_changed(thread.process)


Site: TypeAlias = EntrySite | CallSite | ReturnPlace | LoaderSite
RETURN_PLACE, LOADER = ReturnPlace(), LoaderSite()
