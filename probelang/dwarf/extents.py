"""Which code lies together, by the unwind table: a function, or a part of one that lies apart.

    Extents(binary).around(0x1150)  ->  (0x1139, 0x1172)

Compilers describe every piece of code by an entry of its own, also where symbols are stripped. Where there is no table the sizes of
symbols tell. Sources: LSB Core 10.6 (.eh_frame, .eh_frame_hdr).
"""

from __future__ import annotations

from bisect import bisect_right

from probelang.dwarf.binary import Binary
from probelang.dwarf.frameentries import ROW, Cie, Table, code_range, eh_frame, record_at, sorted_entries
from probelang.dwarf.image import BinaryError


class Extents:
    """Of one file."""

    def __init__(self, binary: Binary) -> None:
        self._binary = binary
        self._table, self._rows = _rows(binary)
        self._cies: dict[int, Cie] = {}

    def around(self, address: int) -> tuple[int, int] | None:
        """Start and end of the piece of code that has an address; None where nothing tells."""
        return self.by_entry(address) or self._by_symbol(address)

    def by_entry(self, address: int) -> tuple[int, int] | None:
        """The same by the unwind table alone."""
        index = bisect_right(self._rows, (address, 1 << 64)) - 1
        if index < 0 or self._table is None:
            return None
        try:
            record, _ = record_at(self._table, self._rows[index][1])
            if record is None or record.cie is None:
                return None
            low, high, _ = code_range(self._table, record, self._cies)
        except BinaryError:
            return None
        return (low, high) if low <= address < high else None

    def _by_symbol(self, address: int) -> tuple[int, int] | None:
        found = [s for s in self._binary.symbols() if s.address <= address < s.address + s.size]
        nearest = max(found, key=lambda s: s.address, default=None)
        return None if nearest is None else (nearest.address, nearest.address + nearest.size)


def _rows(binary: Binary) -> tuple[Table | None, list[tuple[int, int]]]:
    """Of `.eh_frame_hdr`, ascending: where code begins, and the position of its entry."""
    image = binary.image
    try:
        table, header = eh_frame(image), sorted_entries(image)
    except BinaryError:
        return None, []
    if table is None or header is None:
        return None, []
    base, first, count = header
    shift = base - table.address + table.start
    pairs = ROW.iter_unpack(image.data[first : first + count * ROW.size])
    rows = [(base + start, entry + shift) for start, entry in pairs]
    return table, [row for row in rows if table.start <= row[1] < table.end]
