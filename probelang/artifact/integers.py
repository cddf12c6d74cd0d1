"""The builtins that read a number of the process: how many bits, and whether signed. Both halves read the same."""

from __future__ import annotations

INTEGERS: dict[str, tuple[int, bool]] = {
    "user_char": (8, True),
    "user_short": (16, True),
    "user_ushort": (16, False),
    "user_int": (32, True),
    "user_uint": (32, False),
    "user_long": (64, True),
    "user_ulong": (64, False),
    **{f"user_int{bits}": (bits, True) for bits in (8, 16, 32, 64)},
    **{f"user_uint{bits}": (bits, False) for bits in (8, 16, 32, 64)},
}
