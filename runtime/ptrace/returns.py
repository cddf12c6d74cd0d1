"""Return probes without a changed stack: which calls of a thread have not returned yet.

At a function's entry the return address R and the stack pointer behind the return are noted, and R gets a breakpoint. A thread that
hits it with that stack pointer has returned. Nobody who looks at the stack, be it an exception, a garbage collector
or a debugger, sees a difference; a call that is left by longjmp or an exception never returns, and is forgotten when the same place calls again.

    returns.enter(r, sp, site, calls_itself=False);  returns.leave(r, sp)  ->  (site,)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probelang.runtime.ptrace.sites import CallSite

MOST = 1 << 16  # calls of one thread that are waited for


class Returns:
    """Of one thread. Several sites wait at the same (R, sp) when one function has jumped to another instead of calling it."""

    __slots__ = ("_waiting", "lost")

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], list[CallSite]] = {}
        self.lost = 0

    def copy(self) -> Returns:
        """Of a child after fork, which returns from the same functions."""
        found = Returns()
        found._waiting = {place: list(sites) for place, sites in self._waiting.items()}
        return found

    def enter(self, address: int, sp: int, site: CallSite, jumps_to_entry: bool) -> None:
        """`jumps_to_entry`: the function can begin again without a call, so that the same site at the same place is one more
        call; otherwise the earlier one was left by longjmp or an exception. Where another function came in between, they
        jump to each other."""
        waiting = self._waiting.get((address, sp))
        if waiting is None:
            if len(self._waiting) >= MOST:
                del self._waiting[next(iter(self._waiting))]
                self.lost += 1
            self._waiting[address, sp] = [site]
        elif waiting[-1] is site and not jumps_to_entry:
            pass
        else:
            waiting.append(site)

    def awaits(self, address: int) -> bool:
        return any(a == address for a, _ in self._waiting)

    def leave(self, address: int, sp: int) -> list[CallSite]:
        """The sites whose functions return now, the last called first."""
        waiting = self._waiting.pop((address, sp), [])
        waiting.reverse()
        return waiting
