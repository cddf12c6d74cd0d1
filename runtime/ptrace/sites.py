"""What is done at a breakpoint.

    site.hit(tracer, thread, address)      the thread's registers are in tracer.registers, with the site as pc

An `EntrySite` runs a handler; a `CallSite` waits for the return of a function and makes a `ReturnPlace` at its return address; a
`LoaderSite` is the dynamic linker's own hook for debuggers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from probelang.runtime.evaluate.context import NO_SESSION, Session
from probelang.runtime.ptrace.context import HitContext, Texts
from probelang.runtime.ptrace.returns import Call

if TYPE_CHECKING:
    from probelang.runtime.evaluate.context import Context
    from probelang.runtime.ptrace.tracee import Process, Thread
    from probelang.runtime.ptrace.tracer import Tracer
    from probelang.runtime.ptrace.unwinder import Unwinder

_IDLE_HITS = 8  # of a return place where nobody is waited for, until its breakpoint goes


@dataclass(slots=True, eq=False)
class Probe:
    """A probe's handler and which processes it is for. `executable`: (device, inode), None: any. `unwinder`: for the stacks that it asks
    for. `before`: of a return probe, what decides at the entry whether the return is a hit; None: it is."""

    run: Callable[[Context], None]
    pid: int | None
    executable: tuple[int, int] | None
    unwinder: Unwinder | None = None
    before: Callable[[Context], None] | None = None

    def is_for(self, process: Process) -> bool:
        return (self.pid is None or self.pid == process.pid) and (
            self.executable is None or self.executable == process.executable
        )


@dataclass(slots=True, eq=False)
class EntrySite:
    """`leaves`: it stands on an instruction that returns, and its hit shall look as one behind that."""

    probe: Probe
    texts: Texts
    leaves: bool = False

    def hit(self, tracer: Tracer, thread: Thread, address: int, session: Session = NO_SESSION) -> None:
        """`session`: at the return of a call."""
        if not self.probe.is_for(thread.process):
            return
        if self.leaves:
            self._leave(tracer, thread)
        else:
            self.probe.run(self._context(tracer, thread, address, session))

    def _leave(self, tracer: Tracer, thread: Thread) -> None:
        machine, registers = tracer.machine, tracer.registers
        pc, sp = registers.pc, registers.sp
        back = machine.return_address(registers, thread.process.memory)
        registers.move(back, machine.sp_after_return(registers))
        try:
            self.probe.run(self._context(tracer, thread, back, NO_SESSION))
        finally:
            registers.move(pc, sp)

    def begin(self, tracer: Tracer, thread: Thread, address: int) -> int | None:
        """At the entry of a function whose return this is for: a number that the call keeps, None where its return is no hit."""
        if not self.probe.is_for(thread.process):
            return None
        if self.probe.before is None:
            return 0
        session = Session()
        self.probe.before(self._context(tracer, thread, address, session))
        return session.kept if session.is_hooked else None

    def _context(self, tracer: Tracer, thread: Thread, address: int, session: Session) -> HitContext:
        process = thread.process
        return HitContext(
            self.texts, thread.task, process.memory, tracer.machine, tracer.registers, address,
            space=process.space, unwinder=self.probe.unwinder, session=session,
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class CallSite:
    """The entry of a function with return probes, all of them. `jumps_to_entry`: see `Returns.enter`."""

    sites: tuple[EntrySite, ...]
    jumps_to_entry: bool

    def hit(self, tracer: Tracer, thread: Thread, address: int) -> None:
        process, returns = thread.process, thread.returns
        kept = [(site, site.begin(tracer, thread, address)) for site in self.sites]
        told = tuple([(site, number) for site, number in kept if number is not None])
        if not (told or returns):
            return
        machine, registers = tracer.machine, tracer.registers
        back, sp = machine.return_address(registers, process.memory), machine.sp_after_return(registers)
        if not told:
            if not self.jumps_to_entry:
                returns.pass_over(back, sp, self)
        elif tracer.await_return(process.space, back):
            returns.enter(back, sp, Call(self, told), self.jumps_to_entry)
        else:
            tracer.lost_returns += 1


@dataclass(slots=True, eq=False)
class ReturnPlace:
    """A return address. A place that other calls return to as well is left alone after some hits for nothing, until a
    return is waited for there again."""

    def hit(self, tracer: Tracer, thread: Thread, address: int) -> None:
        returned = thread.returns.leave(address, tracer.registers.sp)
        for call in returned:
            for site, kept in call.told:
                site.hit(tracer, thread, address, Session(kept))
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
