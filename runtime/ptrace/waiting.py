"""Waiting for the next stop, without sleeping where the next one comes at once.

To be woken costs more than a whole stop (the tracer's processor has gone idle), so after a stop the tracer looks a while for the
next one before it sleeps. Where that was in vain it does so less and less often.
"""

from __future__ import annotations

import os

from probelang.runtime.ptrace import calls

_LOOKS = 40  # one takes about a microsecond
_MOST_SKIPPED = 64


class Waiter:
    """`wait` is `calls.wait` for any thread."""

    def __init__(self) -> None:
        self._processors = len(os.sched_getaffinity(0))
        self._skips = 0  # waits that sleep at once, the next time that looking was in vain
        self._left = 0

    def wait(self, running: int) -> tuple[int, int]:
        """`running`: how many threads may use a processor now; looking takes one from them."""
        if running >= self._processors:
            return calls.wait(-1)
        if self._left:
            self._left -= 1
            return calls.wait(-1)
        for _ in range(_LOOKS):
            found = calls.wait(-1, calls.WALL | calls.WNOHANG)
            if found[0]:
                self._skips = 0
                return found
        self._skips = min(2 * self._skips + 1, _MOST_SKIPPED)
        self._left = self._skips
        return calls.wait(-1)
