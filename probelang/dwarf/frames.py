"""Unwind rows: where a frame's canonical address and the caller's registers are at an address.

    frame_at(open_binary("/usr/bin/x"), None, 0x113a)
    ->  Frame(low=0x113a, high=0x113d, cfa=CfaRegister(7, 16), registers={6: AtOffset(-16), 16: AtOffset(-8)}, return_register=16)

Registers that have no rule: rsp is the CFA, those that the callee saves are unchanged, the others are lost.
One function's entry is read, found through the table in `.eh_frame_hdr`. `.eh_frame` without that table is searched, `.debug_frame` is
sorted once. Sources: DWARF 5, section 6.4; LSB Core 10.6 (.eh_frame, .eh_frame_hdr), whose pointers count from where they stand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.dwarf.binary import Binary
from probelang.dwarf.cfi import (
    AtExpression,
    AtOffset,
    BadInstruction,
    Cfa,
    CfaExpression,
    CfaRegister,
    Factors,
    InRegister,
    Machine,
    Rule,
    SameValue,
    Undefined,
    ValueExpression,
    ValueOffset,
)
from probelang.dwarf.frameentries import (
    ROW,
    Cie,
    Record,
    Table,
    code_range,
    eh_frame,
    pointer_at,
    record_at,
    sorted_entries,
)
from probelang.dwarf.image import corrupt
from probelang.dwarf.leb import unsigned

if TYPE_CHECKING:
    from probelang.dwarf.files import Debug

__all__ = [
    "AtExpression", "AtOffset", "Cfa", "CfaExpression", "CfaRegister", "Frame", "InRegister", "Rule", "SameValue",
    "Undefined", "ValueExpression", "ValueOffset", "frame_at",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """Holds for addresses `low` <= pc < `high` of the image. Registers by their numbers of DWARF. `return_register`: whose rule gives
    the return address. `signal`: a signal handler's return, whose caller was interrupted and called nothing."""

    low: int
    high: int
    cfa: Cfa
    registers: Mapping[int, Rule]
    return_register: int
    signal: bool


def frame_at(binary: Binary, debug: Debug | None, address: int) -> Frame | None:
    """None where nothing says how to unwind from there. Raises BinaryError."""
    table = eh_frame(binary.image)
    found = None
    if table is not None:
        header = sorted_entries(binary.image)
        found = _look_up(table, header, address) if header is not None else _index(debug, table).at(address)
    if found is None and debug is not None:
        debug_frame = _debug_frame(debug)
        found = None if debug_frame is None else _index(debug, debug_frame).at(address)
    return found


def _index(debug: Debug | None, table: Table) -> FrameIndex:
    if debug is None:
        return FrameIndex(table)
    known = debug.info.frame_indexes
    if table.name not in known:
        known[table.name] = FrameIndex(table)
    return known[table.name]


class FrameIndex:
    """The entries of a section, by address."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cies: dict[int, Cie] = {}
        self._rows = sorted(self._ranges())

    def _ranges(self) -> Iterator[tuple[int, int, int]]:
        position = self._table.start
        while position < self._table.end:
            record, end = record_at(self._table, position)
            if record is not None and record.cie is not None:
                low, high, _ = code_range(self._table, record, self._cies)
                if low:  # else of a function that the linker threw away
                    yield low, high, position
            position = end

    def at(self, address: int) -> Frame | None:
        """Raises BinaryError."""
        index = bisect_right(self._rows, (address, 1 << 64, 0))
        for low, high, position in reversed(self._rows[max(0, index - 4) : index]):
            if low <= address < high:
                record = record_at(self._table, position)[0]
                return None if record is None else _frame(self._table, record, address, self._cies)
        return None


# ------------------------------------------------------------------------------------------------- finding the entry


def _debug_frame(debug: Debug) -> Table | None:
    section = debug.info.section(".debug_frame")
    return (
        Table(section.path, section.name, section.data, 0, section.size, 0, False) if section.size else None
    )


def _look_up(table: Table, header: tuple[int, int, int], address: int) -> Frame | None:
    base, rows, count = header
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if base + ROW.unpack_from(table.data, rows + middle * ROW.size)[0] <= address:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return None
    entry = base + ROW.unpack_from(table.data, rows + (low - 1) * ROW.size)[1]
    position = entry - table.address + table.start
    if not table.start <= position < table.end:
        raise corrupt(
            table.path, "section `.eh_frame_hdr`", f"points to {entry:#x}, which is not in `.eh_frame`"
        )
    record = record_at(table, position)[0]
    return None if record is None else _frame(table, record, address, {})


# ------------------------------------------------------------------------------------------------ reading the entry


def _frame(table: Table, record: Record, address: int, cies: dict[int, Cie]) -> Frame | None:
    """The row of an FDE that holds at `address`; None where it describes other code."""
    low, high, position = code_range(table, record, cies)
    if not low <= address < high or record.cie is None:
        return None
    cie = cies[record.cie]
    try:
        if cie.augmented:
            length, position = unsigned(record.body, position)
            position += length
        return _run(table, cie, record, position, low, high, address)
    except BadInstruction as error:
        table.fail(error.reason)
    except IndexError:
        table.fail("has an entry that is cut short")


def _run(table: Table, cie: Cie, record: Record, start: int, low: int, high: int, address: int) -> Frame:
    def factors_at(at: int) -> Factors:
        return Factors(
            *cie.factors, lambda code, position: pointer_at(table, cie.pointers, code, position, at)
        )

    machine = Machine(factors_at(cie.code_at), low, address)
    machine.run_initial(cie.code)
    machine.factors = factors_at(record.at + start)
    machine.run(record.body[start:])
    if machine.cfa is None:
        raise BadInstruction(f"defines no frame address at {address:#x}")
    end = high if machine.end is None else min(high, machine.end)
    return Frame(machine.location, end, machine.cfa, machine.registers, cie.return_register, cie.signal)
