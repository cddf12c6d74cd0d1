"""Builtins that read clocks.

a = gettimeofday_us(); ...; printf("%d us\n", gettimeofday_us() - a)
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L = Type.LONG

ROWS: tuple[Builtin, ...] = (
    Builtin("gettimeofday_s", (), L, "Wall clock: seconds since 1970-01-01 00:00 UTC."),
    Builtin("gettimeofday_ms", (), L, "Wall clock: milliseconds since 1970."),
    Builtin("gettimeofday_us", (), L, "Wall clock: microseconds since 1970."),
    Builtin("gettimeofday_ns", (), L, "Wall clock: nanoseconds since 1970."),
    Builtin("local_clock_s", (), L, "Monotonic clock, in seconds."),
    Builtin("local_clock_ms", (), L, "Monotonic clock, in milliseconds."),
    Builtin("local_clock_us", (), L, "Monotonic clock, in microseconds."),
    Builtin("local_clock_ns", (), L, "Monotonic clock, in nanoseconds."),
    Builtin("cpu_clock_s", (L,), L, "The clock of a CPU, in seconds: all CPUs share the monotonic clock."),
    Builtin(
        "cpu_clock_ms", (L,), L, "The clock of a CPU, in milliseconds: all CPUs share the monotonic clock."
    ),
    Builtin(
        "cpu_clock_us", (L,), L, "The clock of a CPU, in microseconds: all CPUs share the monotonic clock."
    ),
    Builtin(
        "cpu_clock_ns", (L,), L, "The clock of a CPU, in nanoseconds: all CPUs share the monotonic clock."
    ),
    Builtin(
        "get_cycles", (), L, "A counter of about the processor's cycles; only differences mean anything."
    ),
    Builtin("jiffies", (), L, "Ticks of the kernel since some point at start-up, 250 a second."),
    Builtin("tz_gmtoff", (), L, "Seconds that local time is west of UTC (negative: east), as at start-up."),
    Builtin(
        "tz_name_bytes",
        (),
        L,
        "The short name of the local time zone as at start-up, up to 8 bytes, the first in the lowest byte; see tz_name.",
    ),
)
