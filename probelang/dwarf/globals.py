"""Global variables of a file, from whichever unit defines them; each name is searched once.

find_definition(debug, "counter")                 ->  Variable("counter", "global", ...)
find_definition(debug, "counter", "src/pool.c")   ->  that of this source file
"""

from __future__ import annotations

from probelang.dwarf.entry import Unit
from probelang.dwarf.files import Debug
from probelang.dwarf.lines import file_matches
from probelang.dwarf.scopes import Variable, find_global


def find_definition(debug: Debug, name: str, source: str = "") -> Variable | None:
    """`source`: the end of a source file's path, or a pattern. None without a definition; one of which nothing is left where no
    other has it."""
    key = name, source
    if key not in debug.globals:
        debug.globals[key] = _search(debug, name, source)
    return debug.globals[key]


def _search(debug: Debug, name: str, source: str) -> Variable | None:
    raw = name.rpartition("::")[2].encode("utf-8", "surrogateescape")
    gone: Variable | None = None
    for unit in debug.info.units_naming(raw):
        if not source or file_matches(_path(unit), source):
            found = find_global(debug.types, unit, name)
            if found is not None and not found.declared:
                if not found.gone:
                    return found
                gone = gone or found
    return gone


def _path(unit: Unit) -> str:
    return unit.name if unit.name.startswith("/") else f"{unit.folder}/{unit.name}"
