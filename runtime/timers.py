"""When timer handlers run: a heap of due times on the monotonic clock.

clock = TimerHeap([(0, TimerPoint(100_000_000))], now_ns=time.monotonic_ns())
clock.due(now_ns)  ->  [0]    when 100 ms have passed; a late timer runs once, not once for each period missed
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from probelang.artifact.points import TimerPoint

TICK_HZ = 250  # of `timer.profile` without a frequency


class TimerHeap:
    """`timers`: number of the probe and its point."""

    def __init__(self, timers: Sequence[tuple[int, TimerPoint]], now_ns: int) -> None:
        self._points = dict(timers)
        self._heap: list[tuple[int, int]] = []
        for number, point in timers:
            heapq.heappush(self._heap, (now_ns + _interval(point), number))

    def next_ns(self) -> int | None:
        """When the next one is due; None without timers."""
        return self._heap[0][0] if self._heap else None

    def due(self, now_ns: int) -> list[int]:
        """The probes to run now, in the order in which they became due; each is set again."""
        found: list[int] = []
        while self._heap and self._heap[0][0] <= now_ns:
            at, number = heapq.heappop(self._heap)
            point = self._points[number]
            following = at + _interval(point)
            if following <= now_ns:
                # periods that were missed altogether are dropped; a fixed period keeps its beat
                missed = (now_ns - at) // point.period_ns
                following = at + missed * point.period_ns + _interval(point)
            heapq.heappush(self._heap, (following, number))
            found.append(number)
        return found


def _interval(point: TimerPoint) -> int:
    if not point.randomize_ns:
        return max(point.period_ns, 1)
    return max(point.period_ns + random.randint(-point.randomize_ns, point.randomize_ns), 1)
