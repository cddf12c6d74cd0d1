"""Who called: predicates about code, and names of callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

from probelang.artifact.stacks import MOST_FRAMES
from probelang.runtime.evaluate.frame import Abort, Run
from probelang.runtime.store import Value


def caller(run: Run, address: int) -> bytes:
    """Of the function whose code holds the byte at an address."""
    return run.environment.services.symbols.function(address, run.context.pid())


def callers(run: Run, count: int) -> bytes:
    """The current instruction is no caller, but behind a return it is where the callee returned to."""
    context, wanted = run.context, min(max(count, 0), MOST_FRAMES)
    addresses = context.stack(wanted) if context.is_return() else context.stack(wanted + 1)[1:]
    return run.environment.services.symbols.stack(addresses, context.pid(), of_callers=True)


def code_in(run: Run, address: int, code_set: int) -> int:
    if address == -1:  # one before what is no address: the stack has no caller
        _leave(run)
    return int(run.environment.predicates.holds(run.context, address, code_set))


def within_code(run: Run, code_set: int) -> int:
    found = run.environment.predicates.is_active(run.context, code_set)
    if found is None:
        _leave(run)
    return int(found is True)


def _leave(run: Run) -> NoReturn:
    """As `next` does: a predicate that cannot be decided is neither true nor false."""
    run.environment.lost_callers += 1
    raise Abort


BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    ("code_in", 2): code_in,
    ("within_code", 1): within_code,
    ("caller", 1): caller,
    ("callers", 1): callers,
}
