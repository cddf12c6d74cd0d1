"""Who called: predicates about code. Names of callers are in `stacks`. What lowers them is imported when the first is met."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.llvm.calls.lowering import Lowering, Result, Values
from probelang.llvm.emitter import Emitter


def code_in(e: Emitter, values: Values, call: Call) -> Result:
    from probelang.llvm.callers import predicate

    return predicate.code_in(e, values, call)


def within_code(e: Emitter, values: Values, call: Call) -> Result:
    from probelang.llvm.callers import within

    return within.within_code(e, values, call)


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("code_in", 2): code_in,
    ("within_code", 1): within_code,
}
