"""The builtins of the kernel half: one function for each row of the table that runs there (a test compares the two).

    Call("strlen", (Text(b"abc"),))  ->  lower_call(e, call, [StrVal])  ->  Value "3"

A lowering takes the emitter, the arguments' values and the call; it gives the value, None for VOID. What it means is said by
the row in `probelang.builtins` and by its twin in `probelang.runtime.evaluate.calls`.
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.artifact.code import Call
from probelang.builtins.tokens import LOOK_INSIDE
from probelang.diag import InternalError
from probelang.llvm.builder import Value
from probelang.llvm.calls.lowering import Result
from probelang.llvm.emitter import Emitter
from probelang.llvm.opaque import refuse_tokens


def lower_call(e: Emitter, call: Call, values: Sequence[Result]) -> Result | None:
    from probelang.llvm.calls.table import TABLE

    lowering = TABLE.get((call.name, len(values)))
    if lowering is None:
        raise InternalError(f"builtin {call.name} of {len(values)} arguments does not run in the kernel")
    if call.name in LOOK_INSIDE:
        refuse_tokens(e, values, call.at)
    return lowering(e, tuple(values), call)


__all__ = ["Result", "Value", "lower_call"]
