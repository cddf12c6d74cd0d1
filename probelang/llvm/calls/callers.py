"""Who called: predicates about code. Names of callers are in `stacks`."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.llvm.callers.predicate import code_in
from probelang.llvm.callers.within import within_code
from probelang.llvm.calls.lowering import Lowering

LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("code_in", 2): code_in,
    ("within_code", 1): within_code,
}
