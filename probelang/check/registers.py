"""Names of registers that `register()` and `u_register()` take, x86-64 (as gdb and SystemTap call them)."""

from __future__ import annotations

_LEGACY = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip")
_NUMBERED = tuple(f"r{n}" for n in range(8, 16))

REGISTERS: frozenset[str] = frozenset(
    (
        *(f"r{name}" for name in _LEGACY),
        *(f"e{name}" for name in _LEGACY),
        *_NUMBERED,
        *(f"{name}d" for name in _NUMBERED),
        "rflags",
        "eflags",
    )
)
