"""What a session needs of the thing that sets its probes and runs their handlers.

Two exist: `probelang.runtime.kernelbackend` (programs in the kernel, every process) and `probelang.runtime.ptrace.backend`
(this process stops the threads of one process tree and runs the handlers itself).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from probelang.artifact.manifest import Manifest
from probelang.runtime.command import Command
from probelang.runtime.output.sink import Sink
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.services import SessionServices
from probelang.runtime.signals import EndSignals
from probelang.runtime.store import Store
from probelang.runtime.userhalf import UserHalf

CUT_STACKS = "%d stacks were cut short: they go on through code that could not be followed"
LOST_CALLERS = "lost caller checks: %d hits were left out, as their caller could not be found out"
"""Of a backend's losses: how often a predicate about callers could not be decided."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The session as a backend sees it. `report` is told soft errors that the backend has counted itself: message and place."""

    manifest: Manifest
    options: RunOptions
    sink: Sink
    services: SessionServices
    signals: EndSignals
    command: Command | None
    report: Callable[[bytes, int], None]

    @property
    def target_pid(self) -> int:
        """The process of -c or -x, 0 without."""
        return self.command.pid if self.command is not None else self.options.pid or 0


class Backend(Protocol):
    """Called in this order: attach, start, handle..., stop, close; stop and close at any time, and more than once."""

    @property
    def store(self) -> Store:
        """Where the user half finds the script's variables."""
        ...

    def attach(self, half: UserHalf) -> None:
        """Sets everything; no probe runs a handler yet. Raises CompileError."""
        ...

    def start(self) -> None:
        """Probes run from here on, first of all those of processes that live already; the command of -c begins. Raises
        CompileError where it cannot be executed."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether there is more to handle right now."""
        ...

    def handle(self, timeout_ms: int) -> None:
        """Waits for events, at most so long, and handles what has come. Returns early after a signal."""
        ...

    @property
    def is_ending(self) -> bool:
        """Whether a handler has asked for the end."""
        ...

    @property
    def errors(self) -> int:
        """Soft errors that nothing caught, in handlers that the backend ran."""
        ...

    @property
    def cut_strings(self) -> tuple[int, int]:
        """How many strings were cut short in them, and a place where (-1: none known)."""
        ...

    def stop(self) -> None:
        """No handler runs any more when this returns, every probe is gone, and what they have sent is handled."""
        ...

    def losses(self) -> list[str]:
        """What was missed, a sentence each."""
        ...

    def close(self) -> None:
        """Lets go of everything, without output."""
        ...
