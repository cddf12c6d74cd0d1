"""How a session shall run: what the command line says, apart from the script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from probelang.runtime.load import DEFAULT_RING_BYTES

if TYPE_CHECKING:
    from probelang.runtime.stacks.profiling import ProfileRequest


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`features`: what the kernel has, less --without. `pid`: -x. `command`: -c, in words. `duration_s`: -T.
    `ring_bytes`: size of the ring buffer, a power of two. `pass_status`: end with the exit status of the command.
    `next_file`: closes the file of -o and goes on in a new one, for switch_file(). `backend`: what runs the handlers of process
    probes; with "ptrace" no object is needed, only its manifest. `profile`: what to write of arrays that are keyed by stacks."""

    features: frozenset[str]
    pid: int | None = None
    command: tuple[str, ...] | None = None
    duration_s: float | None = None
    ring_bytes: int = DEFAULT_RING_BYTES
    pass_status: bool = False
    next_file: Callable[[], None] | None = None
    backend: Literal["kernel", "ptrace"] = "kernel"
    profile: ProfileRequest | None = None
