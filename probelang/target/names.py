"""Types and constants by their names: what `@cast`, `@enum` and `@enumname` ask for.

names = TypeNames(files, "/usr/bin/bash")
names.named("struct word_list", None)   ->  Struct("struct", "word_list", ...)
names.enumerator("cm_simple", None)     ->  4
"""

from __future__ import annotations

from collections.abc import Iterator

from probelang.diag.deferred import variables
from probelang.dwarf import constants as c
from probelang.dwarf.ctypes import CType, Enum, Struct, bare
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.types import scoped_entries
from probelang.target.debuginfo import debug_of
from probelang.target.mistake import TargetMistake


class TypeNames:
    """`path`: the file that is meant where none is named; None where there is no such file (in begin probes)."""

    def __init__(self, files: Files, path: str | None) -> None:
        self.files = files
        self.path = path

    def debugs(self, module: str | None) -> Iterator[Debug]:
        """Of each file of `module` ("a:b"). Raises TargetMistake."""
        for part in (module or self.path or "").split(":"):
            if part.startswith("<"):
                from probelang.target.header import header_types

                yield header_types(self.files, part)
            elif part:
                yield debug_of(self.files, self.files.locate(part))

    def named(self, name: str, module: str | None) -> CType:
        """Raises TargetMistake."""
        found: CType | None = None
        for debug in self.debugs(module):
            found = debug.types.find(name)
            if found is not None:
                plain = bare(found)
                if not (isinstance(plain, Struct) and plain.declared):
                    return found
                completed = debug.types.complete(plain)
                if not completed.declared:
                    return completed
        if found is not None:
            return found
        raise TargetMistake(variables.UnknownType(name=name, path=module or self.path or ""))

    def enumerator(self, name: str, module: str | None) -> int:
        """The value of a constant of an enum. Raises TargetMistake."""
        raw = name.rpartition("::")[2]
        for debug in self.debugs(module):
            for unit in debug.info.units_naming(raw.encode("utf-8", "surrogateescape")):
                for entry, _ in scoped_entries(unit):
                    if entry.tag == c.TAG_enumeration_type:
                        found = debug.types.read(entry)
                        if isinstance(found, Enum) and raw in (values := dict(found.values.get())):
                            return values[raw]
        raise TargetMistake(variables.UnknownEnumerator(name=name, path=module or self.path or ""))

    def complete(self, struct: Struct) -> Struct:
        """The definition of a type that is only declared where it was met; itself where there is none."""
        for debug in self.files.opened():
            found = debug.types.complete(struct)
            if not found.declared:
                return found
        return struct
