"""What debug information says about an address: the function, the copies that were inlined there, and the lines of all.

    source_frames(debug, 0x1149)
    ->  (SourceFrame("list_insert", "/src/list.h", 12, inlined=True), SourceFrame("main", "/src/x.c", 40, inlined=False))

Innermost first. The line of a copy is the one at the address; of what is around it the line of the call.
Source: DWARF 5, sections 3.3.8 (inlined subroutines) and 6.2.
"""

from __future__ import annotations

from typing import NamedTuple

from probelang.dwarf import constants as c
from probelang.dwarf.declarations import names_of, naming_entry
from probelang.dwarf.entry import Entry
from probelang.dwarf.files import Debug
from probelang.dwarf.lines import line_table
from probelang.dwarf.scopes import path_to
from probelang.dwarf.sweep import Prefixes


class SourceFrame(NamedTuple):
    """`file`: full path, empty where it is not known; `line`: 0 then. `inlined`: the code is that of the next one."""

    name: str
    file: str
    line: int
    inlined: bool


def source_frames(debug: Debug, address: int, prefixes: Prefixes) -> tuple[SourceFrame, ...]:
    """Empty where debug information does not cover the address; the name may be empty where it knows lines only. `prefixes`: of
    namespaces, kept from call to call. Raises BinaryError."""
    function = debug.functions.at(address)
    unit = function.unit if function is not None else debug.info.unit_at(address)
    row = None if unit is None else line_table(unit).row_at(address)
    place = ("", 0) if row is None else (row.file, row.line)
    if function is None:
        return (SourceFrame("", *place, False),) if row is not None else ()
    copies = [e for e in path_to(function, address)[1:] if e.tag == c.TAG_inlined_subroutine]
    frames: list[SourceFrame] = []
    for copy in reversed(copies):
        frames.append(SourceFrame(_name(copy, prefixes), *place, True))
        place = _called_at(copy)
    return (*frames, SourceFrame(_name(function, prefixes), *place, False))


def _name(entry: Entry, prefixes: Prefixes) -> str:
    return names_of(prefixes, entry, naming_entry(entry))[0]


def _called_at(copy: Entry) -> tuple[str, int]:
    number, files = copy.number(c.AT_call_file), copy.unit.files
    file = files[number] if number is not None and 0 <= number < len(files) else ""
    return file, copy.number(c.AT_call_line) or 0
