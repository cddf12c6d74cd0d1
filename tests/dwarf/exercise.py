"""Reads all that can be read of one file, damaged or not: what a compilation might ask of it, and more.

    exercise("/tmp/x")     nothing, or an exception that no user may see

Mistakes of the file (BinaryError) and of what is asked (TargetMistake, Unavailable, CompileError) are answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from probelang.diag import CompileError
from probelang.dwarf import constants as c
from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.ctypes import (
    Array,
    CType,
    Enum,
    FunctionType,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    size_of,
    type_name,
)
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug, Files, open_debug
from probelang.dwarf.frames import frame_at
from probelang.dwarf.functions import all_functions
from probelang.dwarf.image import BinaryError
from probelang.dwarf.instances import find_instances
from probelang.dwarf.lines import line_table, source_files
from probelang.dwarf.marks import find_marks
from probelang.dwarf.plt import find_slots
from probelang.dwarf.ranges import entry_locations, entry_ranges
from probelang.dwarf.scopes import Scope, find_global
from probelang.dwarf.types import origins
from probelang.dwarf.unwind import unwind_table
from probelang.options import Options
from probelang.pipeline import list_places, type_source
from probelang.source import SourceFile
from probelang.target.build import here
from probelang.target.expression import compile_location
from probelang.target.frame import SiteFrame
from probelang.target.location import Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.operand import mark_argument
from probelang.target.prologue import prologue_end

ANSWERS = (BinaryError, TargetMistake, Unavailable, CompileError)
T = TypeVar("T")
_MOST_UNITS, _MOST_ENTRIES, _MOST_ADDRESSES = 12, 600, 60
_REFERENCES = (
    c.AT_type,
    c.AT_abstract_origin,
    c.AT_specification,
    c.AT_import,
    c.AT_containing_type,
    c.AT_signature,
)
_NAMES = ("struct node", "node_t", "enum color", "int", "no such type", "shop::Cart")


class Nested(Exception):
    """A recursion without end, which the pipeline tells as a script that is nested too deeply."""


def exercise(path: str, whole: bool = True) -> int:
    """`whole`: with the phases of a compilation on top of the readers. How many questions were answered, not refused."""
    _answered.clear()
    binary = _try(lambda: open_binary(path))
    if binary is None:
        return 0
    _symbols(binary)
    debug = _try(lambda: open_debug(binary))
    if debug is not None:
        _debug(binary, debug)
    if whole:
        _compilation(path)
    return len(_answered)


_answered: list[None] = []


def _try(ask: Callable[[], T]) -> T | None:
    try:
        found = ask()
    except ANSWERS as answer:
        _look_at(answer)
        return None
    _answered.append(None)
    return found


def _look_at(answer: Exception) -> None:
    """Messages are read too."""
    diagnostics = (
        answer.diagnostics if isinstance(answer, CompileError) else [getattr(answer, "diagnostic", None)]
    )
    for diagnostic in diagnostics:
        if diagnostic is not None:
            if type(diagnostic).__name__ == "NestedTooDeeply":
                raise Nested from answer
            _ = diagnostic.title(), diagnostic.label(), diagnostic.help()


def _each(ask: Callable[[], Iterable[T]], most: int) -> Iterator[T]:
    """As many as come before the damage."""
    try:
        yield from itertools.islice(ask(), most)
    except ANSWERS as answer:
        _look_at(answer)


def _symbols(binary: Binary) -> None:
    _try(lambda: all_functions(binary))
    _try(lambda: find_slots(binary))
    _try(lambda: unwind_table(binary.image))
    marks = _try(lambda: find_marks(binary)) or ()
    for mark in marks[:20]:
        for argument in mark.arguments:
            _try(lambda text=argument: mark_argument(text, binary, here()))


def _debug(binary: Binary, debug: Debug) -> None:
    info = debug.info
    units = _try(lambda: info.units) or ()
    _try(lambda: info.type_units)
    addresses: set[int] = {0, 0x1000}
    for unit in units[:_MOST_UNITS]:
        full = _try(lambda unit=unit: unit.full)
        for one in {id(u): u for u in (unit, full) if u is not None}.values():
            _unit(debug, one, addresses)
    for name in _NAMES:
        found = _try(lambda name=name: debug.types.find(name))
        if found is not None:
            _try(lambda found=found: _type(found, 0))
    for name in (b"node", b"main", b"i"):
        _try(lambda name=name: info.units_naming(name))
    for pattern, file in (("*", ""), ("main", ""), ("t*", "*.c"), ("total", "other.c")):
        _try(
            lambda pattern=pattern, file=file: [
                (i.line, i.file, i.ranges) for i in find_instances(debug, pattern, file)
            ]
        )
    for address in sorted(addresses)[:_MOST_ADDRESSES]:
        _place(binary, debug, address)


def _unit(debug: Debug, unit: Unit, addresses: set[int]) -> None:
    for _, row in zip(range(200), _try(lambda: line_table(unit).rows) or (), strict=False):
        addresses.add(row.address)
    _try(lambda: source_files(unit))
    _try(lambda: (unit.name, unit.folder, unit.producer, unit.language, unit.low_pc))
    _try(lambda: [e.address(c.AT_low_pc) for e in unit.root.children()])
    for low, _, _ in (_try(lambda: debug.functions.of(unit)) or ())[:100]:
        addresses.add(low)
    for name in ("counter_of_calls", "ns::v", "a"):
        _try(lambda name=name: find_global(debug.types, unit, name))
    for entry in _each(lambda: unit.root.descendants(), _MOST_ENTRIES):
        _entry(debug, entry)


def _entry(debug: Debug, entry: Entry) -> None:
    _try(entry.values)
    _try(lambda: (entry.text(c.AT_name), entry.number(c.AT_byte_size), entry.signed_number(c.AT_upper_bound)))
    _try(lambda: [e.offset for e in origins(entry)])
    _try(lambda: entry_ranges(entry))
    for attribute in (c.AT_location, c.AT_frame_base, c.AT_data_member_location):
        _try(lambda attribute=attribute: entry_locations(entry, attribute))
    for attribute in _REFERENCES:
        _try(lambda attribute=attribute: entry.reference(attribute))
    found = _try(lambda: debug.types.of(entry))
    if found is not None:
        _try(lambda: _type(found, 0))
    own = _try(lambda: debug.types.read(entry))
    if own is not None:
        _try(lambda: _type(own, 0))


def _type(ctype: CType, depth: int) -> None:
    _ = type_name(ctype), size_of(ctype)
    if depth == 3:
        return
    match ctype:
        case Pointer() | Typedef() | Qualified():
            _type(ctype.target.get(), depth + 1)
        case Array():
            _type(ctype.element.get(), depth + 1)
        case Struct():
            for member in ctype.members[: 24 >> 2 * depth]:
                _type(member.type.get(), depth + 1)
        case Enum():
            ctype.values.get()
        case FunctionType():
            ctype.parameters.get()
        case _:
            pass


def _place(binary: Binary, debug: Debug, address: int) -> None:
    _try(lambda: frame_at(binary, debug, address))
    _try(lambda: frame_at(binary, None, address))
    scope = _try(lambda: debug.scope(address))
    if scope is not None:
        _scope(binary, debug, scope, address)


def _scope(binary: Binary, debug: Debug, scope: Scope, address: int) -> None:
    _try(lambda: (scope.name, scope.linkage_name, type_name(scope.result())))
    _try(lambda: prologue_end(debug, scope))
    frame = _try(lambda: SiteFrame(binary, debug, scope, address, here()))
    for variable in list((_try(scope.variables) or {}).values())[:30]:
        _try(variable.places)
        _try(variable.constant)
        location = _try(lambda variable=variable: variable.location(address))
        if location and frame is not None:
            _try(lambda location=location: compile_location(location, frame))


POINTS = (
    'function("*")', 'function("*@*.c")', 'statement("*@*:5")', 'statement("total@*:*")', 'function("*").label("*")',
    'function("*").callee("*")', 'mark("*")', 'function("*").inline', 'plt("*")',
)  # fmt: skip
SCRIPTS = (
    'probe process("{path}").function("*") {{ print($$vars$$) }}',
    'probe process("{path}").function("*").return {{ print($$return$$) print(@defined($n) ? @entry($n->id) : 0) }}',
    'probe process("{path}").statement("*@*:*") {{ print(@defined($n->next->id) ? $n->next->id : 0) print($$locals$) }}',
    'probe process("{path}").function("main") {{ print(@cast($argc, "struct node")->numbers_of_node[1] + @var("counter_of_calls")) }}',
    'probe process("{path}").mark("*") {{ print($$parms) }}',
)


def _compilation(path: str) -> None:
    for backend in ("kernel", "ptrace"):
        for script in SCRIPTS if backend == "kernel" else SCRIPTS[:1]:
            source = SourceFile("hostile.probe", script.format(path=path))
            _try(lambda source=source, backend=backend: type_source(source, Options(backend=backend)))
    for point in POINTS:
        _try(lambda point=point: list_places(f'process("{path}").{point}', Options(), variables=True))
    _try(lambda: Files().binary(path))
