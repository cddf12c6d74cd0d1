"""Return probes without a changed stack: which calls of a thread have not returned yet.

At a function's entry the return address R and the stack pointer behind the return are noted, and R gets a breakpoint. A thread that
hits it with that stack pointer has returned. Nobody who looks at the stack, be it an exception, a garbage collector
or a debugger, sees a difference; a call that is left by longjmp or an exception never returns, and is forgotten when the same place calls again.

    returns.enter(r, sp, Call(site, ...), jumps_to_entry=False);  returns.leave(r, sp)  ->  [Call(site, ...)]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probelang.runtime.ptrace.sites import CallSite, EntrySite

MOST = 1 << 16  # calls of one thread that are waited for


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call that has not returned. `told`: whom its return is a hit for, each with the number that it keeps."""

    site: CallSite
    told: tuple[tuple[EntrySite, int], ...]


class Returns:
    """Of one thread. Several calls wait at the same (R, sp) when one function has jumped to another instead of calling it."""

    __slots__ = ("_waiting", "lost")

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], list[Call]] = {}
        self.lost = 0

    def copy(self) -> Returns:
        """Of a child after fork, which returns from the same functions."""
        found = Returns()
        found._waiting = {place: list(calls) for place, calls in self._waiting.items()}
        return found

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def enter(self, address: int, sp: int, call: Call, jumps_to_entry: bool) -> None:
        """`jumps_to_entry`: the function can begin again without a call, so that the same site at the same place is one more
        call; otherwise the earlier one was left by longjmp or an exception. Where another function came in between, they
        jump to each other."""
        waiting = self._waiting.get((address, sp))
        if waiting is None:
            if len(self._waiting) >= MOST:
                del self._waiting[next(iter(self._waiting))]
                self.lost += 1
            self._waiting[address, sp] = [call]
        elif waiting[-1].site is call.site and not jumps_to_entry:
            waiting[-1] = call
        else:
            waiting.append(call)

    def pass_over(self, address: int, sp: int, site: CallSite) -> None:
        """Another call begins there whose return is no hit: the earlier one has been left."""
        waiting = self._waiting.get((address, sp))
        if waiting is not None and waiting[-1].site is site:
            waiting.pop()
            if not waiting:
                del self._waiting[address, sp]

    def awaits(self, address: int) -> bool:
        return any(a == address for a, _ in self._waiting)

    def leave(self, address: int, sp: int) -> list[Call]:
        """The calls that return now, the last one first."""
        waiting = self._waiting.pop((address, sp), [])
        waiting.reverse()
        return waiting
