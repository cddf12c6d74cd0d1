"""Names of registers that `register()` and `u_register()` take, x86-64: `rax` and its parts `eax`, `ax`, `al`, `ah`."""

from __future__ import annotations

from collections.abc import Iterator


def _names() -> Iterator[str]:
    for letter in "abcd":
        yield from (f"r{letter}x", f"e{letter}x", f"{letter}x", f"{letter}l", f"{letter}h")
    for name in ("si", "di", "bp", "sp"):
        yield from (f"r{name}", f"e{name}", name, f"{name}l")
    for number in range(8, 16):
        yield from (f"r{number}{part}" for part in ("", "d", "w", "b"))
    yield from ("rip", "eip", "ip", "eflags", "cs", "ss", "fs_base", "gs_base")


REGISTERS = frozenset(_names())
SETTABLE = frozenset(
    name
    for name in REGISTERS
    if name.startswith("r") and name[-1] not in "dwb" and name not in ("rsp", "rip")
)
"""Those that `set_register()` takes: whole, and not what a program goes on with."""
