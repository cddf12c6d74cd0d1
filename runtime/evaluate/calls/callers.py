"""Who called: predicates about code, and names of callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.context import Fault
from probelang.runtime.evaluate.frame import Run
from probelang.runtime.store import Value


def missing(run: Run, *arguments: Value) -> Value:
    raise Fault(b"callers are not known here yet")


BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    ("code_in", 2): missing,
    ("within_code", 1): missing,
    ("caller", 1): missing,
    ("callers", 1): missing,
}
