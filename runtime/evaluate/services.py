"""What the user half asks of the session around it."""

from __future__ import annotations

from typing import Protocol

from probelang.runtime.output.speculation import Speculations


class Symbols(Protocol):
    """Names of addresses. `pid` None: of the process that is most likely (the target, or one that was hit). None where an
    address lies in nothing known."""

    def name(self, address: int, pid: int | None) -> bytes | None:
        """The function's name."""
        ...

    def data(self, address: int, pid: int | None) -> bytes | None:
        """`function+0x12 [file]`."""
        ...

    def module(self, address: int, pid: int | None) -> bytes | None:
        """The name of the mapped file, without folders."""
        ...


class Services(Protocol):
    @property
    def speculations(self) -> Speculations: ...
    @property
    def symbols(self) -> Symbols: ...
    def exit(self) -> None:
        """The session ends after the handler that runs now."""
        ...

    def system(self, command: bytes) -> None:
        """Starts a shell command and does not wait."""
        ...

    def warn(self, message: bytes) -> None: ...
    def ftrace(self, message: bytes) -> None: ...
    def switch_file(self) -> None: ...
    def target(self) -> int:
        """The process of -c or -x, or 0."""
        ...

    def in_target_set(self, pid: int) -> bool:
        """Whether the process is the target or descends from it."""
        ...
