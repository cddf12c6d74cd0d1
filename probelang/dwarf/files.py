"""Programs and libraries with their debug information, each opened once.

    files = Files();   files.debug("/usr/bin/bash")  ->  Debug(binary=..., info=..., types=..., functions=...), or None

What reads debug information is imported when the first file's is asked for: most scripts need none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probelang.dwarf.binary import Binary, open_binary

if TYPE_CHECKING:
    from probelang.dwarf.calls import References
    from probelang.dwarf.index import Index
    from probelang.dwarf.info import DebugInfo
    from probelang.dwarf.scopes import Functions, Scope, Variable
    from probelang.dwarf.types import Types


Progress = Callable[[str, int, int], None]
"""Told of what takes long: what is being done, how much is done, how much it is in all (0: not known)."""


@dataclass(frozen=True, slots=True, eq=False)
class Debug:
    """The debug information of one file, and what was read of it. `index`: the one that is open, if any."""

    binary: Binary
    info: DebugInfo
    types: Types
    functions: Functions
    progress: Progress | None = None
    index: list[Index] = field(default_factory=list["Index"])
    calls: dict[int, References] = field(default_factory=dict["int", "References"])
    """By the address of the function; kept by `probelang.dwarf.calls`."""
    globals: dict[tuple[str, str], Variable | None] = field(
        default_factory=dict["tuple[str, str]", "Variable | None"]
    )
    """By name and source file; kept by `probelang.dwarf.globals`."""

    def scope(self, address: int, instance: int | None = None) -> Scope | None:
        """See `probelang.dwarf.scopes.find_scope`."""
        from probelang.dwarf.scopes import find_scope

        return find_scope(self.functions, self.types, address, instance)


class Files:
    """By path. Raises BinaryError for what cannot be read. `locate`: the path of a file that a script names ("libc.so.6"), by default
    the name itself. `progress`: who shows it."""

    def __init__(self, locate: Callable[[str], str] = str, progress: Progress | None = None) -> None:
        self.locate = locate
        self.progress = progress
        self._binaries: dict[str, Binary] = {}
        self._debugs: dict[str, Debug | None] = {}

    def binary(self, path: str) -> Binary:
        if path not in self._binaries:
            self._binaries[path] = open_binary(path)
        return self._binaries[path]

    def debug(self, path: str) -> Debug | None:
        """None where no debug information is found."""
        if path not in self._debugs:
            self._debugs[path] = open_debug(self.binary(path), self.progress)
        return self._debugs[path]

    def made(self, name: str, make: Callable[[], Debug]) -> Debug:
        """Debug information that lies in no file that a script could name."""
        found = self._debugs.get(name)
        if found is None:
            found = self._debugs[name] = make()
        return found

    def opened(self) -> tuple[Debug, ...]:
        """The debug information read so far."""
        return tuple(debug for debug in self._debugs.values() if debug is not None)


def open_debug(binary: Binary, progress: Progress | None = None, download: bool = True) -> Debug | None:
    """None where no debug information is found. Raises BinaryError."""
    from probelang.dwarf.debugfile import find_debug_file

    file = find_debug_file(binary, progress=progress, download=download)
    if file is None:
        return None
    from probelang.dwarf.answers import answers_of, is_large
    from probelang.dwarf.info import DebugInfo
    from probelang.dwarf.scopes import Functions
    from probelang.dwarf.types import Types

    info = DebugInfo(file, answers=answers_of(file.image) if is_large(file.image) else None)
    if not info.units:
        return None
    return Debug(binary, info, Types(info), Functions(info), progress)
