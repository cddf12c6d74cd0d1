"""Where the code of functions and lines lies in one file, all of it: in pieces, and inlined elsewhere.

    functions_of(file, "f*")   ->   Code(ranges=((0x1139, 0x1172), (0x1050, 0x1061)), functions=(Function("f1", ...),), has_copies=False)
    lines_of(file, "f@x.c:12-40")   ->   Code(ranges=((0x1140, 0x1158),), ...)

A function has, by its symbol, the bytes that the symbol says, and those of its parts (`f.cold`, `f.part.0`); by debug information its
ranges, and those of every copy. Both count: assembler has symbols only, and symbols say nothing of copies.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from probelang.diag import Diagnostic
from probelang.diag.deferred import target
from probelang.dwarf.binary import Binary, code_ranges
from probelang.dwarf.declarations import declared_at
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug
from probelang.dwarf.functions import Function, find_functions, is_pattern, similar_functions
from probelang.dwarf.image import BinaryError
from probelang.dwarf.inlining import call_place, copies_in
from probelang.dwarf.instances import Instance, entry_address, find_instances
from probelang.dwarf.lines import line_table, matcher
from probelang.dwarf.ranges import entry_ranges
from probelang.dwarf.types import own_name
from probelang.resolve.candidates import FileTarget
from probelang.resolve.patterns import Lines, Place, parse_place
from probelang.resolve.sources import instances_of, units_of, unknown_line
from probelang.sites import enclosing_function

Ranges = tuple[tuple[int, int], ...]

# what GCC and LLVM call pieces of a function
_PIECE = re.compile(rb"\.(?:part|cold)(?:\.\d+)?(?=$|\.)")


@dataclass(frozen=True, slots=True)
class Code:
    """`ranges`: of addresses in the image, ascending and apart. `functions`: those that are entered by calls. `has_copies`: some of the
    code was inlined into other functions, or is of no whole function. `around`: where all such code was inlined, into what."""

    ranges: Ranges
    functions: tuple[Function, ...] = ()
    has_copies: bool = False
    around: Code | None = None


def functions_of(file: FileTarget, pattern: str | int) -> Code:
    """What `function(pattern)` means. Raises BinaryError when there is none."""
    if isinstance(pattern, int):
        return _function_at(file, pattern)
    place = parse_place(pattern)
    if place.file:
        return _described(file, instances_of(file, place))
    symbols = find_functions(file.binary, place.function)
    instances = _instances(file, place.function, sure=bool(symbols))
    if not symbols and not instances:
        raise BinaryError(_no_function(file.binary, pattern))
    pieces = _extents(file.binary, symbols)
    described = _described(file, instances)
    known = {f.address for f in symbols}
    functions = (*symbols, *(f for f in described.functions if f.address not in known))
    return replace(described, ranges=joined([*pieces, *described.ranges]), functions=functions)


def _instances(file: FileTarget, name: str, sure: bool) -> tuple[Instance, ...]:
    """Of debug information, where there is some. `sure`: symbols have found something, which damaged debug information does not take away."""
    try:
        debug = file.files.debug(file.binary.path)
        return () if debug is None else find_instances(debug, name)
    except BinaryError:
        if sure:
            return ()
        raise


def _described(file: FileTarget, instances: Iterable[Instance]) -> Code:
    ranges: list[tuple[int, int]] = []
    functions: list[Function] = []
    holders: dict[tuple[int, int], Entry] = {}
    for instance in instances:
        ranges += instance.ranges
        if instance.inlined:
            holders[instance.function.key] = instance.function
        else:
            functions += _entered(file.binary, instance.entry, instance.name, instance.symbol)
    if not holders:
        return Code(joined(ranges), tuple(functions))
    around = [f for entry in holders.values() for f in _entered(file.binary, entry, own_name(entry))]
    held = joined(r for entry in holders.values() for r in entry_ranges(entry))
    is_known = len(around) == len(holders)
    return Code(joined(ranges), tuple(functions), True, Code(held, tuple(around)) if is_known else None)


def _entered(binary: Binary, entry: Entry, name: str, symbol: str = "") -> Iterator[Function]:
    """The function of an entry with code, where its first instruction is in the file."""
    address = entry_address(entry)
    offset = None if address is None else binary.image.offset_of(address)
    if address is not None and offset is not None:
        yield Function(name, symbol or name, address, offset, 0, False, False)


def _function_at(file: FileTarget, address: int) -> Code:
    """The function around an address."""
    binary = file.binary
    around = enclosing_function(binary, address)
    offset = None if around is None else binary.image.offset_of(around.start)
    if around is None or offset is None:
        raise BinaryError(target.NoFunctionAtAddress(address=address, path=binary.path))
    own = [f for f in find_functions(binary, around.name) if f.address == around.start] if around.name else []
    debug = file.files.debug(binary.path)
    entry = None if debug is None else debug.functions.at(around.start)
    ranges = [] if entry is None else entry_ranges(entry)
    functions = tuple(own) or (Function(f"{address:#x}", "", around.start, offset, 0, False, False),)
    return Code(joined([*_extents(binary, functions), *ranges]), functions)


# ---------------------------------------------------------------------------------------------------- symbols


def _extents(binary: Binary, functions: Sequence[Function]) -> Iterator[tuple[int, int]]:
    """The bytes of functions by their symbols, pieces included. What has no size ends where the next begins."""
    unsized = [f.address for f in functions if not f.size_bytes]
    starts = _starts(binary) if unsized else []
    for function in functions:
        if function.size_bytes:
            yield function.address, function.address + function.size_bytes
        else:
            yield function.address, starts[bisect_right(starts, function.address)]
    names = {name.encode("utf-8", "surrogateescape") for f in functions for name in (f.symbol, *f.aliases)}
    if any(b".cold" in table.strings or b".part" in table.strings for table in binary.tables):
        for symbol in binary.symbols():
            piece = _PIECE.search(symbol.name)
            if piece is not None and symbol.size and symbol.name[: piece.start()] in names:
                yield symbol.address, symbol.address + symbol.size


def _starts(binary: Binary) -> list[int]:
    """Where functions, and what is no function any more, begin."""
    return sorted(
        {s.address for s in binary.symbols()} | {end for _, end in code_ranges(binary.image)} | {1 << 64}
    )


def _no_function(binary: Binary, pattern: str) -> Diagnostic:
    similar = () if is_pattern(pattern) else similar_functions(binary, pattern)
    return target.NoSuchFunction(name=pattern, path=binary.path, similar=similar, stripped=binary.stripped)


# ------------------------------------------------------------------------------------------------------ lines


def lines_of(file: FileTarget, pattern: str | int) -> Code:
    """What `statement(pattern)` means: code that comes from these lines, or the instruction at an address. Raises BinaryError."""
    if isinstance(pattern, int):
        return _instruction(file.binary, pattern)
    place = parse_place(pattern)
    if place.lines is None:
        return functions_of(file, pattern)
    debug = file.debug()
    instances: tuple[Instance, ...] | None = None
    if place.function != "*" or place.lines.behind is not None:
        instances = _named(file, debug, place)
    ranges = joined(_coded(debug, place, place.lines, instances))
    if not ranges:
        units_of(debug, place.file)  # there may be no such file
        raise BinaryError(replace(unknown_line(debug, place, instances), is_point=False))
    return Code(ranges, has_copies=True)


def _named(file: FileTarget, debug: Debug, place: Place) -> tuple[Instance, ...]:
    """Code of a function may come from other files than its declaration."""
    found = find_instances(debug, place.function, place.file) or find_instances(debug, place.function)
    if not found:
        raise BinaryError(_no_function(file.binary, f"{place.function}@{place.file}"))
    return found


def _coded(
    debug: Debug, place: Place, lines: Lines, instances: tuple[Instance, ...] | None
) -> Iterator[tuple[int, int]]:
    """Code of the lines themselves, and of what was inlined into them: a call from there comes from both."""
    in_file = matcher(place.file)
    if instances is None:
        for unit in units_of(debug, place.file):
            yield from _rows(unit, in_file, lines)
            yield from _inlined(unit, in_file, lines)
        return
    known: dict[tuple[int, Lines], Ranges] = {}
    for instance in instances:
        exact, unit = _exact(lines, instance), instance.function.unit
        key = id(unit), exact
        if key not in known:
            known[key] = joined(_rows(unit, in_file, exact))
        yield from overlap(known[key], joined(instance.ranges))
        yield from _inlined(instance.entry, in_file, exact)


def _inlined(place: Unit | Entry, in_file: Callable[[str], bool], lines: Lines) -> Iterator[tuple[int, int]]:
    for copy in copies_in(place):
        file, line = call_place(copy)
        if line and in_file(file) and (line in lines or not lines.ranges):
            yield from entry_ranges(copy)


def _exact(lines: Lines, instance: Instance) -> Lines:
    if lines.behind is None:
        return lines
    line = declared_at(instance.entry)[1] + lines.behind
    return Lines(((line, line),))


def _rows(unit: Unit, in_file: Callable[[str], bool], lines: Lines) -> Iterator[tuple[int, int]]:
    """The code of lines: a row holds up to the next one of its sequence."""
    for row, following in pairwise(line_table(unit).rows):
        if row.end_sequence or not row.line or not in_file(row.file):
            continue
        if row.line in lines or not lines.ranges:
            yield row.address, following.address


def _instruction(binary: Binary, address: int) -> Code:
    offset = binary.image.offset_of(address)
    if offset is None or enclosing_function(binary, address) is None:
        raise BinaryError(target.NoFunctionAtAddress(address=address, path=binary.path))
    return Code(((address, address + 1),), has_copies=True)


# ----------------------------------------------------------------------------------------------------- ranges


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ascending and apart."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(r for r in ranges if r[0] < r[1]):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return tuple(found)


def overlap(left: Ranges, right: Ranges) -> Ranges:
    """What is in both."""
    found: list[tuple[int, int]] = []
    ends = [high for _, high in right]
    for low, high in left:
        position = bisect_right(ends, low)
        while position < len(right) and right[position][0] < high:
            found.append((max(low, right[position][0]), min(high, right[position][1])))
            position += 1
    return tuple(found)
