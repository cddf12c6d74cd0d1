"""Who called: predicates about code, and names of callers."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.diag import InternalError
from probelang.llvm.callers.predicate import code_in
from probelang.llvm.calls.lowering import Lowering, Result, Values
from probelang.llvm.emitter import Emitter


def missing(e: Emitter, values: Values, call: Call) -> Result:
    raise InternalError(f"{call.name} does not run in the kernel yet")


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("code_in", 2): code_in,
    ("within_code", 1): missing,
}
