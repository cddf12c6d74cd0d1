"""An address space with breakpoints: what one process has, or several that share their memory (vfork).

    space.set_breakpoints({0x401136: [site]})      int3 at 0x401136, in this process only
    space.slot(0x401136)                           where a thread that has hit it goes on, once `add_slot` has made it

A breakpoint stays as long as the program runs; a thread that has hit one goes on in a *slot*, a copy of the instruction
somewhere else that jumps back behind it. So no thread can slip by while another steps, and none is ever stepped.

After fork the child has a copy of all pages, breakpoints and slots included, and so a copy of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from probelang.runtime.mappings import PAGE, Mapping
from probelang.runtime.ptrace.machine import Machine
from probelang.runtime.ptrace.memory import Memory
from probelang.runtime.ptrace.semaphores import Semaphores

if TYPE_CHECKING:
    from probelang.runtime.ptrace.sites import Site

Sites: TypeAlias = "tuple[Site, ...]"
BREAKPOINT_CODES = (0x80, 1)  # si_code of SIGTRAP: SI_KERNEL (x86), TRAP_BRKPT
_CODE_BYTES = 16  # an instruction is not longer
_JOINED_BYTES = 256  # between breakpoints that are written at once


@dataclass(slots=True)
class Area:
    """Mapped room for slots, from `next` to `end`."""

    start: int
    next: int
    end: int


@dataclass(slots=True, eq=False)
class Space:
    """`sites`: address -> what to do there, in order; every key has a breakpoint in memory. `originals`: the bytes under them.
    `slots`: address -> its slot. `left`: breakpoints that are gone, and the bytes now; a thread may have hit one just before.
    `idle_returns`: return address that has a breakpoint -> hits since anyone last returned there. `seen`: mappings of code when sites were last looked for. `semaphores`: of the marks that have sites."""

    memory: Memory
    machine: Machine
    users: int = 1
    sites: dict[int, Sites] = field(default_factory=dict[int, "tuple[Site, ...]"])
    originals: dict[int, bytes] = field(default_factory=dict[int, bytes])
    slots: dict[int, int] = field(default_factory=dict[int, int])
    areas: list[Area] = field(default_factory=list[Area])
    left: dict[int, bytes] = field(default_factory=dict[int, bytes])
    idle_returns: dict[int, int] = field(default_factory=dict[int, int])
    seen: frozenset[Mapping] = frozenset()
    semaphores: Semaphores = field(init=False)

    def __post_init__(self) -> None:
        self.semaphores = Semaphores(self.memory)
        self.memory.occupied = self.originals

    def copy(self, memory: Memory) -> Space:
        """Of a child after fork."""
        child = Space(
            memory,
            self.machine,
            1,
            dict(self.sites),
            dict(self.originals),
            dict(self.slots),
            [Area(a.start, a.next, a.end) for a in self.areas],
            dict(self.left),
            dict(self.idle_returns),
            self.seen,
        )
        child.semaphores = self.semaphores.copy(memory)
        return child

    # --------------------------------------------------------------------------------------- breakpoints

    def add(self, address: int, site: Site) -> bool:
        """One more site; sets the breakpoint where there is none yet. False where none can be."""
        found = self.sites.get(address)
        if found is not None:
            self.sites[address] = found if site in found else (*found, site)
        elif self._set([address]):
            return False
        else:
            self.sites[address] = (site,)
        return True

    def remove(self, address: int, site: Site) -> None:
        rest = tuple(s for s in self.sites.get(address, ()) if s is not site)
        if rest:
            self.sites[address] = rest
        elif self.sites.pop(address, None) is not None:
            self._reset([address])

    def set_sites(self, wanted: Table[int, Sites], gone: Iterable[int]) -> int:
        """Adds new addresses, many at once; forgets those (`gone`) that are no longer mapped. How many could not be set."""
        for address in gone:
            self.sites.pop(address, None)
            self.originals.pop(address, None)
            self.slots.pop(address, None)
            self.idle_returns.pop(address, None)
        failed = self._set([address for address in wanted if address not in self.sites])
        for address, sites in wanted.items():
            if address not in failed:
                others = tuple(s for s in self.sites.get(address, ()) if s not in sites)
                self.sites[address] = sites + others
        return len(failed)

    def drop(self, address: int) -> None:
        """The breakpoint goes, with all that was to be done there."""
        if self.sites.pop(address, None) is not None:
            self.idle_returns.pop(address, None)
            self._reset([address])

    def repair(self) -> None:
        """Of a copy: what another thread of the parent changed between the copy of its pages and that of the tables."""
        missing = [a for a in self.sites if not self._is_set(a)]
        for address in missing:
            self.originals.pop(address, None)
        self._set(missing)
        nothing = bytes(2)
        for address, slot in list(self.slots.items()):
            try:
                if self.memory.peek(slot, 2) != nothing:
                    continue
            except OSError:
                self.areas = [a for a in self.areas if not a.start <= slot < a.end]
            del self.slots[address]

    def _is_set(self, address: int) -> bool:
        try:
            return self.memory.peek(address, 1) == self.machine.breakpoint
        except OSError:
            return True  # unmapped: nothing to be done

    def reset_all(self) -> None:
        """Every byte as it was; in a copy also those that were restored since in the space it comes from."""
        self.originals.update(self.left)
        self._reset(list(self.originals))
        self.sites.clear()
        self.semaphores.lower_all()

    def _set(self, addresses: list[int]) -> set[int]:
        """Those where none can be."""
        failed: set[int] = set()
        for run in _runs(sorted(addresses)):
            start, size = run[0], run[-1] - run[0] + 1
            try:
                before = self.memory.peek(start, size)
                code = bytearray(before)
                for address in run:
                    code[address - start : address - start + 1] = self.machine.breakpoint
                self.memory.poke(start, bytes(code))
            except OSError:
                failed.update(run)
                continue
            for address in run:
                original = before[address - start : address - start + 1]
                if original == self.machine.breakpoint:
                    failed.add(address)  # somebody else's, who gets the hits
                else:
                    self.originals[address] = original
                    self.left.pop(address, None)
        return failed

    def _reset(self, addresses: list[int]) -> None:
        """Only where the breakpoint is still there: the program may have mapped something else."""
        for run in _runs(sorted(addresses)):
            start, size = run[0], run[-1] - run[0] + 1
            try:
                code = bytearray(self.memory.peek(start, size))
                for address in run:
                    at = address - start
                    if bytes(code[at : at + 1]) == self.machine.breakpoint:
                        code[at : at + 1] = self.originals[address]
                self.memory.poke(start, bytes(code))
            except OSError:
                pass  # unmapped, or the process is gone
            for address in run:
                self.left[address] = self.originals.pop(address)

    def code_at(self, address: int) -> bytes:
        """At most 16 bytes, as the program has them."""
        size = _CODE_BYTES
        try:
            code = bytearray(self.memory.peek(address, size))
        except OSError:
            code = bytearray(self.memory.peek(address, PAGE - address % PAGE))
        for at in range(len(code)):
            original = self.originals.get(address + at)
            if original is not None:
                code[at : at + 1] = original
        return bytes(code)

    # --------------------------------------------------------------------------------------------- slots

    def room_near(self, address: int) -> Area | None:
        """An area that has room for a slot and is near enough."""
        reach = self.machine.near_bytes
        for area in self.areas:
            if area.next + self.machine.slot_bytes <= area.end and abs(area.start - address) < reach:
                return area
        return None

    def add_slot(self, address: int, area: Area) -> int:
        """Makes the slot of a breakpoint. Raises CannotRelocate, OSError."""
        slot = area.next
        code = self.machine.slot_code(self.code_at(address), address, slot)
        self.memory.poke(slot, code)
        area.next += self.machine.slot_bytes
        self.slots[address] = slot
        return slot

    def slot_owner(self, pc: int) -> int | None:
        """The address whose slot begins at `pc`."""
        if not any(area.start <= pc < area.end for area in self.areas):
            return None
        return next((address for address, slot in self.slots.items() if slot == pc), None)


def _runs(addresses: list[int]) -> list[list[int]]:
    """Neighbours, so that they are read and written together; never over the end of a page."""
    runs: list[list[int]] = []
    for address in addresses:
        last = runs[-1][-1] if runs else None
        if last is not None and address - last < _JOINED_BYTES and address // PAGE == last // PAGE:
            runs[-1].append(address)
        else:
            runs.append([address])
    return runs
