"""Clocks: the helpers bpf_ktime_get_tai_ns (wall clock, with leap seconds, which the runtime tells), bpf_ktime_get_ns
(CLOCK_MONOTONIC)."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.llvm.builder import Value
from probelang.llvm.calls.lowering import Lowering, Result, Values
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import KTIME

KTIME_TAI = 208
TICKS_PER_SECOND = 250
NS_PER_SECOND = 1_000_000_000
UNITS = {"s": NS_PER_SECOND, "ms": 1_000_000, "us": 1000, "ns": 1}


def scaled(e: Emitter, nanoseconds: Value, divisor: int) -> Value:
    return nanoseconds if divisor == 1 else e.arithmetic("udiv", nanoseconds, divisor)


def wall(divisor: int) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        return scaled(e, e.sub(e.helper(KTIME_TAI), e.constant("run:tai")), divisor)

    return lower


def monotonic(divisor: int) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        return scaled(e, e.helper(KTIME), divisor)

    return lower


def jiffies(e: Emitter, values: Values, call: Call) -> Result:
    """As the user half counts them, whatever the kernel's own HZ is."""
    return scaled(e, e.helper(KTIME), NS_PER_SECOND // TICKS_PER_SECOND)


def zone_offset(e: Emitter, values: Values, call: Call) -> Result:
    return e.sub(0, e.constant("run:gmtoff"))


def zone_name(e: Emitter, values: Values, call: Call) -> Result:
    return e.constant("run:tz_name")


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    **{(f"gettimeofday_{unit}", 0): wall(divisor) for unit, divisor in UNITS.items()},
    **{(f"local_clock_{unit}", 0): monotonic(divisor) for unit, divisor in UNITS.items()},
    **{(f"cpu_clock_{unit}", 1): monotonic(divisor) for unit, divisor in UNITS.items()},
    ("get_cycles", 0): monotonic(1),
    ("jiffies", 0): jiffies,
    ("tz_gmtoff", 0): zone_offset,
    ("tz_name_bytes", 0): zone_name,
}
