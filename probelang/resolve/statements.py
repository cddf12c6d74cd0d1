"""Statements of one file as sites: places in source code by line.

    statement_sites(file, "f@x.c:12", "", span)  ->  Sites((Site(..., function="f", point='process("/bin/x").statement("f@/src/x.c:12")'),))

A line has a site for each run of its instructions at which a debugger would stop: inlined code and split loops have several.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from probelang.diag.deferred import target
from probelang.dwarf.declarations import declared_at
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug
from probelang.dwarf.image import BinaryError
from probelang.dwarf.instances import Instance, find_instances, instance_of
from probelang.dwarf.lines import LineRow, LineTable, line_table
from probelang.resolve.candidates import Candidate, FileTarget, Sites, settle
from probelang.resolve.families import component_text
from probelang.resolve.functions import code_around, declared_name
from probelang.resolve.owners import Owners
from probelang.resolve.patterns import Lines, Place, parse_place
from probelang.resolve.sources import lines_with_code, nearest_lines, units_of, unknown_line
from probelang.resolved import SiteDetail
from probelang.sites import enclosing_function
from probelang.source import Span


def statement_sites(file: FileTarget, pattern: str | int, nearest: bool, span: Span) -> Sites:
    """`nearest`: for a line without code the nearest that has some. Raises BinaryError when nothing is left."""
    if isinstance(pattern, int):
        return _address_site(file, pattern, span)
    place = parse_place(pattern)
    debug = file.debug()
    lines = place.lines
    found = _entries(file, debug, place) if lines is None else _statements(file, debug, place, lines, nearest)
    named = pattern if lines is None or lines.single is not None else "*"
    return settle(file, found, named, span)


def _address_site(file: FileTarget, address: int, span: Span) -> Sites:
    function = enclosing_function(file.binary, address)
    if function is None or file.binary.image.offset_of(address) is None:
        raise BinaryError(target.NoFunctionAtAddress(address=address, path=file.binary.path))
    text = f"{file.text}.statement({address:#x})"
    detail = SiteDetail(is_entry=function.start == address)
    name = function.name or f"{function.start:#x}"
    return settle(file, [Candidate(address, name, text, detail, called=f"{address:#x}")], "", span)


def _entries(file: FileTarget, debug: Debug, place: Place) -> list[Candidate]:
    """A statement without a line is where its function begins."""
    found = _instances(debug, place)
    return [
        Candidate(
            i.address,
            i.name,
            f"{file.text}.{component_text('statement', declared_name(i, i.name))}",
            SiteDetail(i.offset if i.inlined else None),
            code_around(i),
        )
        for i in found
    ]


def _instances(debug: Debug, place: Place) -> tuple[Instance, ...]:
    """Raises BinaryError where there is no function of the name. Its code may come from other files than its declaration."""
    found = find_instances(debug, place.function, place.file) or find_instances(debug, place.function)
    if not found:
        if place.file:
            units_of(debug, place.file)
        name = place.function + (f"@{place.file}" if place.file else "")
        raise BinaryError(target.NoSuchFunction(name=name, path=debug.binary.path))
    return found


def _statements(file: FileTarget, debug: Debug, place: Place, lines: Lines, nearest: bool) -> list[Candidate]:
    instances: tuple[Instance, ...] | None = None
    if place.function != "*":
        instances = _instances(debug, place)
    elif lines.behind is not None:
        instances = find_instances(debug, "*", place.file)
    units = units_of(debug, place.file) if place.function == "*" else _units(instances or ())
    found = _rows(debug, place, lines, units, instances)
    if not found and nearest and lines.behind is None and lines.ranges:
        known = lines_with_code(debug, place, instances)
        near = nearest_lines(known, lines.ranges[0][0])
        if near:
            best = min(near, key=lambda line: (abs(line - lines.ranges[0][0]), -line))
            found = _rows(debug, place, Lines(((best, best),)), units, instances)
    if not found:
        units_of(debug, place.file)  # there may be no such file
        raise BinaryError(unknown_line(debug, place, instances))
    return [_candidate(file, debug, row, chain) for row, chain in found]


def _units(instances: Iterable[Instance]) -> list[Unit]:
    return list(dict.fromkeys(i.function.unit for i in instances))


def _rows(
    debug: Debug, place: Place, lines: Lines, units: list[Unit], instances: tuple[Instance, ...] | None
) -> list[tuple[LineRow, tuple[Entry, ...]]]:
    """The statements, each with the function and the inlined copies that it lies in, the one whose code it is last."""
    wanted: Container[int] | None = lines if lines.ranges else None
    if lines.behind is not None:
        wanted = {i.line + lines.behind for i in instances or ()}
    known = None if instances is None else {i.entry.key for i in instances}
    owners = Owners(debug)
    found: list[tuple[LineRow, tuple[Entry, ...]]] = []
    for unit in units:
        for row, chain in _owned(owners, line_table(unit), place.file, wanted):
            if known is not None and (not chain or chain[-1].key not in known):
                continue
            if lines.behind is not None and declared_at(chain[-1])[1] + lines.behind != row.line:
                continue
            found.append((row, chain))
    return found


def _owned(
    owners: Owners, table: LineTable, file: str, wanted: Container[int] | None
) -> Iterator[tuple[LineRow, tuple[Entry, ...]]]:
    """Statements with the functions around them. Of lines at which the compiler marks no statement (as in GCC's templates) the first
    instruction in each function and inlined copy."""
    marked = table.statements(file, wanted)
    for row in marked:
        yield row, owners.of(row)
    known = {(row.file, row.line) for row in marked}
    first: dict[tuple[int, ...], tuple[LineRow, tuple[Entry, ...]]] = {}
    for row in sorted(table.lines_of(file)):
        if (row.file, row.line) not in known and row.line and (wanted is None or row.line in wanted):
            chain = owners.of(row)
            key = chain[-1].key if chain else (0, 0)
            first.setdefault((*key, row.line), (row, chain))
    yield from first.values()


def _candidate(file: FileTarget, debug: Debug, row: LineRow, chain: tuple[Entry, ...]) -> Candidate:
    name, detail, code = "", SiteDetail(is_entry=False), None
    if chain:
        own = instance_of(chain[-1], chain[0])
        name = own.name
        is_entry = not own.inlined and own.address == row.address
        detail = SiteDetail(own.offset, is_entry)
        code = code_around(own, row.address)
    else:
        around = enclosing_function(file.binary, row.address)
        name = around.name if around is not None else ""
    shown = f"{name or '*'}@{row.file}:{row.line}"
    text = f"{file.text}.{component_text('statement', shown)}"
    return Candidate(row.address, name, text, detail, code, called=f"{row.file}:{row.line}")
