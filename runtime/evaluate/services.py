"""What the user half asks of the session around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

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

    def function(self, address: int, pid: int | None) -> bytes:
        """The function's name; where it has none, the file and the offset there, or the address."""
        ...

    def source(self, address: int, pid: int | None) -> tuple[bytes, int] | None:
        """Source file, a path, and line."""
        ...

    def stack(
        self, addresses: Sequence[int], pid: int, is_cut: bool = False, of_callers: bool = False
    ) -> bytes:
        """What stands in strings for a stack (`probelang.artifact.stacks`) of a process that is stopped. `of_callers`: the first
        is a return address as well."""
        ...

    def lines(self, stack: bytes, pid: int | None, style: Literal["full", "lines", "names"]) -> bytes:
        """A stack, or a text of addresses, one line for each function; "lines": with source lines; "names": all in one line."""
        ...

    def show(self, text: bytes) -> bytes:
        """A string as it is shown: what stands for stacks and functions becomes names."""
        ...

    def spell(self, text: bytes) -> bytes:
        """A string as functions see it: what stands for stacks becomes hexadecimal numbers, for functions names."""
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
