"""Programs and libraries with their debug information, each opened once.

    files = Files();   files.debug("/usr/bin/bash")  ->  Debug(binary=..., info=..., types=..., functions=...), or None

What reads debug information is imported when the first file's is asked for: most scripts need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.dwarf.binary import Binary, open_binary

if TYPE_CHECKING:
    from probelang.dwarf.info import DebugInfo
    from probelang.dwarf.scopes import Functions, Scope
    from probelang.dwarf.types import Types


@dataclass(frozen=True, slots=True, eq=False)
class Debug:
    """The debug information of one file, and what was read of it."""

    binary: Binary
    info: DebugInfo
    types: Types
    functions: Functions

    def scope(self, address: int, instance: int | None = None) -> Scope | None:
        """See `probelang.dwarf.scopes.find_scope`."""
        from probelang.dwarf.scopes import find_scope

        return find_scope(self.functions, self.types, address, instance)


class Files:
    """By path. Raises BinaryError for what cannot be read."""

    def __init__(self) -> None:
        self._binaries: dict[str, Binary] = {}
        self._debugs: dict[str, Debug | None] = {}

    def binary(self, path: str) -> Binary:
        if path not in self._binaries:
            self._binaries[path] = open_binary(path)
        return self._binaries[path]

    def debug(self, path: str) -> Debug | None:
        """None where no debug information is found."""
        if path not in self._debugs:
            self._debugs[path] = open_debug(self.binary(path))
        return self._debugs[path]


def open_debug(binary: Binary) -> Debug | None:
    from probelang.dwarf.debugfile import find_debug_file
    from probelang.dwarf.info import DebugInfo
    from probelang.dwarf.scopes import Functions
    from probelang.dwarf.types import Types

    file = find_debug_file(binary)
    if file is None:
        return None
    info = DebugInfo(file)
    if not info.units:
        return None
    return Debug(binary, info, Types(info), Functions(info))
