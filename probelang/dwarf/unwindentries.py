"""The functions that a section of frame entries describes, each with its rows.

    list(read_functions(eh_frame(image), executable(image)))
    ->  [(0x1139, 0x1156, [0 | word(ROW_RSP, 1), 1 | word(ROW_RSP, 2, -2), ...]), ...]      offsets in the file, in the section's order

Compilers write few different programs of instructions: equal ones are run once. What is damaged in one entry costs only that function;
an entry whose end is not in the section makes the rest unreadable, which raises BinaryError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from probelang.dwarf.cfi import BadInstruction
from probelang.dwarf.frameentries import Cie, Record, Table, pointer_at, read_cie, record_at
from probelang.dwarf.image import Image, Segment
from probelang.dwarf.leb import unsigned
from probelang.dwarf.unwindcode import FARTHEST, Flattener, NeedsPointer, Rows

MOST_BYTES = 32 << 20
"""Of a section. That of a browser has 15 MB."""
MOST_SEGMENTS = 64
Function: TypeAlias = tuple[int, int, Rows]


class _Common(NamedTuple):
    """A CIE, and what its functions' instructions said so far."""

    cie: Cie
    flattener: Flattener
    known: dict[bytes, Rows]


def executable(image: Image) -> list[Segment]:
    """Its segments of code: linkers write one; of a damaged file not more than a few are looked at."""
    return [s for s in image.segments if s.executable and s.offset < len(image.data)][:MOST_SEGMENTS]


def read_functions(table: Table, code: list[Segment]) -> Iterator[Function]:
    """Only of code that is in the file. Raises BinaryError."""
    if table.end - table.start > MOST_BYTES:
        table.fail("is too large to be unwound by")
    # a copy, which slices faster than a mapped file
    data = table.data[table.start : table.end]
    table = Table(table.path, table.name, data, 0, len(data), table.address, table.is_eh)
    commons, entries = _sorted_out(table)
    for position, common in entries:
        found = _function(table, position, commons.get(common))
        if found is None:
            continue
        low, size, rows = found
        for segment in code:
            if segment.address <= low < segment.address + segment.file_size:
                offset = low - segment.address + segment.offset
                yield offset, min(offset + size, segment.offset + segment.file_size), rows
                break


def _sorted_out(table: Table) -> tuple[dict[int, _Common], list[tuple[int, int]]]:
    """CIEs by their positions; positions of FDEs with those of their CIEs."""
    commons: dict[int, _Common] = {}
    entries: list[tuple[int, int]] = []
    position = 0
    while position < table.end:
        start = position
        record, position = record_at(table, start)
        if record is None:
            continue
        if record.cie is not None:
            entries.append((start, record.cie))
        else:
            try:
                cie = read_cie(table, start)
                flattener = Flattener(cie.factors, cie.return_register, cie.signal, cie.code)
                commons[start] = _Common(cie, flattener, {})
            except (BadInstruction, IndexError, NeedsPointer):
                pass  # and its functions have no rows
    return commons, entries


def _function(table: Table, position: int, common: _Common | None) -> tuple[int, int, Rows] | None:
    """Address, size and rows. None for what cannot be read, and for functions that the linker threw away."""
    if common is None:
        return None
    record = record_at(table, position)[0]
    assert record is not None
    try:
        low, size, start = _range(table, record, common.cie)
        if common.cie.augmented:
            length, start = unsigned(record.body, start)
            start += length
    except (BadInstruction, IndexError):
        return None
    if not low or not 0 < size <= FARTHEST:
        return None
    return low, size, _rows(table, record, common, low, start)


def _range(table: Table, record: Record, cie: Cie) -> tuple[int, int, int]:
    low, position = pointer_at(table, cie.pointers, record.body, 0, record.at)
    size, position = pointer_at(table, cie.pointers & 0x0F, record.body, position, record.at)
    return low, size, position


def _rows(table: Table, record: Record, common: _Common, low: int, start: int) -> Rows:
    code = record.body[start:]
    rows = common.known.get(code)
    if rows is not None:
        return rows
    try:
        rows = common.known[code] = common.flattener.rows(code)
    except NeedsPointer:

        def pointer(position: int) -> tuple[int, int]:
            address, end = pointer_at(table, common.cie.pointers, code, position, record.at + start)
            return address - low, end

        rows = common.flattener.rows(code, pointer)
    return rows
