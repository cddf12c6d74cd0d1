"""Types and constants by their names: what `@cast`, `@enum` and `@enumname` ask for.

names = TypeNames(files, "/usr/bin/bash")
names.named("struct word_list", None)   ->  Struct("struct", "word_list", ...)
names.enumerator("cm_simple", None)     ->  4
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from probelang.diag import Diagnostic, similar_names
from probelang.diag.deferred import variables
from probelang.dwarf import constants as c
from probelang.dwarf.ctypes import CType, Enum, Struct, bare
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.types import own_name, scoped_entries
from probelang.target.debuginfo import debug_of
from probelang.target.mistake import TargetMistake

_TYPES = frozenset(
    (
        c.TAG_structure_type, c.TAG_class_type, c.TAG_union_type, c.TAG_enumeration_type, c.TAG_typedef,
        c.TAG_base_type,
    )
)  # fmt: skip
_MOST_SEARCHED_BYTES = 4 << 20


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
        raise TargetMistake(partial(self._unknown_type, name, module))

    def _unknown_type(self, name: str, module: str | None) -> Diagnostic:
        plain = name.replace("*", " ").split()
        known = {
            prefix + found
            for entry, prefix in self._some_entries(module)
            if entry.tag in _TYPES and (found := entry.text(c.AT_name))
        }
        near = similar_names(plain[-1] if plain else "", sorted(known))
        return variables.UnknownType(name=name, path=module or self.path or "", similar=near)

    def _some_entries(self, module: str | None) -> Iterator[tuple[Entry, str]]:
        """For messages alone."""
        return (
            row for debug in self.debugs(module) for unit in few_units(debug) for row in scoped_entries(unit)
        )

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
        raise TargetMistake(partial(self._unknown_enumerator, name, module))

    def _unknown_enumerator(self, name: str, module: str | None) -> Diagnostic:
        known = {
            found
            for entry, _ in self._some_entries(module)
            if entry.tag == c.TAG_enumeration_type
            for child in entry.children()
            if (found := child.text(c.AT_name))
        }
        near = similar_names(name, sorted(known))
        return variables.UnknownEnumerator(name=name, path=module or self.path or "", similar=near)

    def complete(self, struct: Struct) -> Struct:
        """The definition of a type that is only declared where it was met; itself where there is none."""
        for debug in self.files.opened():
            found = debug.types.complete(struct)
            if not found.declared:
                return found
        return struct


def few_units(debug: Debug) -> Iterator[Unit]:
    """As many as can be looked through for a message."""
    size = 0
    for unit in debug.info.units:
        full = unit.full
        size += len(full.data)
        if size > _MOST_SEARCHED_BYTES:
            return
        yield full


def global_names(unit: Unit) -> Iterator[str]:
    """Of the variables outside of functions."""
    for entry, prefix in scoped_entries(unit):
        if entry.tag == c.TAG_variable and (name := own_name(entry)):
            yield prefix + name
