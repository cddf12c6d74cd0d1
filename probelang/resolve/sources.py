"""Functions by the source files and lines that they stand in.

    instances_of(file, Place("*", "x.c", Lines(ranges=((12, 12),))))   ->  the function around line 12 of x.c, with its inlined copies

Only compilation units whose line table lists such a file are read, or, for a function that is named, those that name it.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from difflib import get_close_matches

from probelang.diag.deferred import places, target
from probelang.dwarf.entry import Unit
from probelang.dwarf.files import Debug
from probelang.dwarf.functions import is_pattern, similar_functions
from probelang.dwarf.image import BinaryError
from probelang.dwarf.instances import Instance, find_instances, instance_of, units_with
from probelang.dwarf.lines import LineRow, LineTable, line_table, matcher
from probelang.resolve.candidates import FileTarget
from probelang.resolve.owners import Owners
from probelang.resolve.patterns import Lines, Place, parse_place


def instances_of(file: FileTarget, place: Place) -> tuple[Instance, ...]:
    """Those that are declared in the file, and at or around the lines where some are given. Raises BinaryError where there are none."""
    debug = file.debug()
    found = functions_in(debug, place)
    if place.lines is None or place.lines == Lines():
        return found
    owners = Owners(debug)
    kept = tuple(i for i in found if _stands_at(owners, i, place.lines))
    if not kept:
        raise BinaryError(unknown_line(debug, place, found))
    return kept


def functions_in(debug: Debug, place: Place) -> tuple[Instance, ...]:
    """Instances of the functions that are declared in files of this name."""
    found = find_instances(debug, place.function, place.file)
    if not found:
        units_of(debug, place.file)
        name = f"{place.function}@{place.file}"
        raise BinaryError(target.NoSuchFunction(name=name, path=debug.binary.path))
    return found


def units_of(debug: Debug, pattern: str) -> list[Unit]:
    """The units with code or declarations from such a file. Raises BinaryError where there are none."""
    found = units_with(debug, pattern)
    if not found:
        raise BinaryError(_unknown_source(debug, pattern))
    return found


def _unknown_source(debug: Debug, pattern: str) -> places.UnknownSource:
    known = {
        os.path.basename(name) for unit in debug.info.units if unit.kind != "type" for name in unit.files
    }
    similar = (
        () if is_pattern(pattern) else tuple(get_close_matches(os.path.basename(pattern), sorted(known), 3))
    )
    return places.UnknownSource(path=debug.binary.path, file=pattern, similar=similar)


# ---------------------------------------------------------------------------------------------- lines of functions


def own_rows(owners: Owners, instance: Instance) -> list[LineRow]:
    """The rows of the line table for an instance's own code: without what was inlined into it."""
    table = line_table(instance.function.unit)
    rows = [row for low, high in instance.ranges for row in rows_between(table, low, high)]
    return [row for row in rows if owners.within(instance.function, row)[-1].key == instance.entry.key]


def rows_between(table: LineTable, low: int, high: int) -> Iterator[LineRow]:
    """Of the sequence that has the address `low`."""
    index = bisect_right(table.starts, (low, 1 << 62, 0)) - 1
    if index < 0:
        return
    _, first, end = table.starts[index]
    position = bisect_left(table.rows, low, first, end, key=lambda row: row.address)
    while position < end and (row := table.rows[position]).address < high and not row.end_sequence:
        yield row
        position += 1


def _stands_at(owners: Owners, instance: Instance, lines: Lines) -> bool:
    declared = instance.line
    if lines.behind is not None:
        lines = Lines(((declared + lines.behind, declared + lines.behind),))
    if declared in lines:
        return True
    # the compiler drops lines without code: between its first and its last line everything is the function's
    own = [row.line for row in own_rows(owners, instance) if row.line and row.file == instance.file]
    last = max(own, default=declared)
    return any(low <= last and high >= declared for low, high in lines.ranges)


def unknown_line(debug: Debug, place: Place, instances: tuple[Instance, ...] | None) -> places.UnknownLine:
    """`instances`: of the function that the lines were looked for in; None: of any."""
    lines = place.lines or Lines()
    known = lines_with_code(debug, place, instances)
    wanted = _first(lines, instances)
    function = "" if instances is None or place.function == "*" else place.function
    return places.UnknownLine(
        path=debug.binary.path,
        file=place.file,
        line=lines.text(),
        function=function,
        nearest=nearest_lines(known, wanted),
    )


def _first(lines: Lines, instances: tuple[Instance, ...] | None) -> int:
    if lines.behind is not None:
        return (instances[0].line if instances else 0) + lines.behind
    return lines.ranges[0][0] if lines.ranges else 0


def lines_with_code(debug: Debug, place: Place, instances: tuple[Instance, ...] | None) -> list[int]:
    if instances is not None and place.function != "*":
        owners, matches = Owners(debug), matcher(place.file)
        found = {row.line for i in instances for row in own_rows(owners, i) if matches(row.file)}
    else:
        found = {
            row.line for unit in units_of(debug, place.file) for row in line_table(unit).lines_of(place.file)
        }
    return sorted(found - {0})


def nearest_lines(known: list[int], wanted: int) -> tuple[int, ...]:
    """The one before and the one behind."""
    before = [line for line in known if line < wanted][-1:]
    return (*before, *[line for line in known if line > wanted][:1])


def instances_at(file: FileTarget, pattern: str | int) -> tuple[Instance, ...]:
    """What `function(PATTERN)` means, for points about what is in it; at an address: the function around it. Raises BinaryError."""
    debug = file.debug()
    if isinstance(pattern, int):
        function = debug.functions.at(pattern)
        if function is None:
            raise BinaryError(target.NoFunctionAtAddress(address=pattern, path=file.binary.path))
        return (instance_of(function, function),)
    place = parse_place(pattern)
    found = instances_of(file, place) if place.file else find_instances(debug, place.function)
    if not found:
        similar = () if is_pattern(pattern) else similar_functions(file.binary, pattern)
        raise BinaryError(target.NoSuchFunction(name=pattern, path=file.binary.path, similar=similar))
    return found
