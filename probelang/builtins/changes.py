"""Builtins that change the probed program: its memory, its registers. Only with -g.

    probe process("x").function("f").return { set_returnval(-1) }

Memory that the program itself could not write is the soft error `user write fault at 0x...`. What is written is seen by every later
read of the same handler.
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S = Type.LONG, Type.STRING


def _write(bits: int) -> Builtin:
    doc = f"Writes the low {bits} bits of the second argument to an address of the process; gives the second argument. Only with -g."
    return _row(f"set_user_int{bits}", (L, L), doc)


def _row(name: str, parameters: tuple[Type, ...], doc: str) -> Builtin:
    return Builtin(name, parameters, L, doc, process_only=True, effect=True, guru=True)


ROWS: tuple[Builtin, ...] = (
    *(_write(bits) for bits in (8, 16, 32, 64)),
    _row(
        "set_register",
        (S, L),
        "Sets a 64-bit general register (a literal; not the stack pointer), and gives its new value. Only with -g.",
    ),
    _row("set_returnval", (L,), "In a return probe, sets the value that the function returns. Only with -g."),
)
