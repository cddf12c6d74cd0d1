"""Clocks. The monotonic clock is the one that programs in the kernel read (CLOCK_MONOTONIC)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.frame import Run
from probelang.runtime.store import Value
from probelang.runtime.timezone import west_of_utc_s, zone_name_bytes

TICKS_PER_SECOND = 250
_SCALES = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}


def _wall(scale: int) -> Callable[[Run], int]:
    return lambda run: time.time_ns() // scale


def _monotonic(scale: int) -> Callable[[Run], int]:
    return lambda run: time.monotonic_ns() // scale


def _cpu_clock(scale: int) -> Callable[[Run, int], int]:
    """All CPUs share the clock."""

    def read(run: Run, cpu: int) -> int:
        return time.monotonic_ns() // scale

    return read


_PLAIN: Mapping[str, Callable[[Run], Value | None]] = {
    "get_cycles": lambda run: time.monotonic_ns(),
    "jiffies": lambda run: time.monotonic_ns() * TICKS_PER_SECOND // 1_000_000_000,
    "tz_gmtoff": lambda run: west_of_utc_s(),
    "tz_name_bytes": lambda run: zone_name_bytes(),
}
BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    **{(name, 0): function for name, function in _PLAIN.items()},
    **{(f"gettimeofday_{unit}", 0): _wall(scale) for unit, scale in _SCALES.items()},
    **{(f"local_clock_{unit}", 0): _monotonic(scale) for unit, scale in _SCALES.items()},
    **{(f"cpu_clock_{unit}", 1): _cpu_clock(scale) for unit, scale in _SCALES.items()},
}
