"""Who called: predicates about code, and names of callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.artifact.stacks import MOST_FRAMES
from probelang.runtime.evaluate.context import Fault
from probelang.runtime.evaluate.frame import Run
from probelang.runtime.store import Value


def caller(run: Run, address: int) -> bytes:
    """Of the function whose code holds the byte at an address."""
    return run.environment.services.symbols.function(address, run.context.pid())


def callers(run: Run, count: int) -> bytes:
    """The current instruction is no caller, but behind a return it is where the callee returned to."""
    context, wanted = run.context, min(max(count, 0), MOST_FRAMES)
    addresses = context.stack(wanted) if context.is_return() else context.stack(wanted + 1)[1:]
    return run.environment.services.symbols.stack(addresses, context.pid(), of_callers=True)


def missing(run: Run, *arguments: Value) -> Value:
    raise Fault(b"callers are not known here yet")


BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    ("code_in", 2): missing,
    ("within_code", 1): missing,
    ("caller", 1): caller,
    ("callers", 1): callers,
}
