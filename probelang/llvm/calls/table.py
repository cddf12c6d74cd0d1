"""All lowerings by name and number of arguments."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.llvm.calls import (
    arguments,
    callers,
    changes,
    clock,
    control,
    floats,
    identity,
    mapped,
    memory,
    sessions,
    stacks,
    text,
)
from probelang.llvm.calls.lowering import Lowering

TABLE: Mapping[tuple[str, int], Lowering] = {
    **identity.LOWERINGS,
    **arguments.LOWERINGS,
    **clock.LOWERINGS,
    **mapped.LOWERINGS,
    **memory.LOWERINGS,
    **changes.LOWERINGS,
    **floats.LOWERINGS,
    **text.LOWERINGS,
    **stacks.LOWERINGS,
    **callers.LOWERINGS,
    **control.LOWERINGS,
    **sessions.LOWERINGS,
}
