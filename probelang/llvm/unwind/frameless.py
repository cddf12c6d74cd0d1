"""Shared functions that have no frame: simple handlers may call them, too.

    define(e, "hex_digits", ("value",), build)  ->  a BPF global function of that name, written when it is first wanted

They work in registers and on the stack of 512 bytes, which is that of the whole chain of calls.
"""

from __future__ import annotations

from collections.abc import Callable

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter


def define(
    e: Emitter, name: str, parameters: tuple[str, ...], build: Callable[[Emitter, list[Value]], None]
) -> None:
    """A global function without frame."""
    module = e.module
    if name in module.routines:
        return
    module.routines[name] = len(module.routines)
    r = Emitter(module, "simple", name, tuple((p, Value) for p in parameters))
    build(r, [Value(f"%{p}") for p in parameters])
    module.add(r, "global", tuple((p, "long") for p in parameters))
