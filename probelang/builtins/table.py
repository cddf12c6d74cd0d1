"""The table of all builtins: what the checker, the two lowerings and the documentation look names up in.

lookup("substr", 3).result  ->  Type.STRING
"""

from __future__ import annotations

from functools import cache

from probelang.builtins import (
    Builtin,
    callers,
    changes,
    clock,
    control,
    floats,
    memory,
    process,
    stacks,
    text,
)

ROWS: tuple[Builtin, ...] = (
    *process.ROWS,
    *clock.ROWS,
    *memory.ROWS,
    *changes.ROWS,
    *floats.ROWS,
    *text.ROWS,
    *stacks.ROWS,
    *callers.ROWS,
    *control.ROWS,
)


@cache
def _by_signature() -> dict[tuple[str, int], Builtin]:
    return {(row.name, len(row.parameters)): row for row in ROWS}


@cache
def names() -> frozenset[str]:
    """Those that a script can call."""
    return frozenset(row.name for row in ROWS if not row.internal)


def lookup(name: str, arity: int) -> Builtin | None:
    return _by_signature().get((name, arity))


def overloads(name: str) -> tuple[Builtin, ...]:
    """The rows of this name, for messages about a wrong number of arguments."""
    return tuple(row for row in ROWS if row.name == name)
