"""Which unit has the code at which address: .debug_aranges.

Source: DWARF 5, section 6.1.2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probelang.dwarf.info import Section

_PAIR = struct.Struct("<QQ")


def read_aranges(section: Section) -> list[tuple[int, int, int]]:
    """Start, end, offset of the unit. Sets that cannot be read are left out: the units themselves know as well."""
    found: list[tuple[int, int, int]] = []
    offset = 0
    while offset + 16 <= section.size:
        head = section.take(offset, min(32, section.size - offset))
        (length,) = struct.unpack_from("<I", head)
        start, width = 4, 4
        if length == 0xFFFFFFFF and len(head) >= 24:
            (length,) = struct.unpack_from("<Q", head, 4)
            start, width = 12, 8
        end = offset + start + length
        if end > section.size:
            break
        version, unit = struct.unpack_from("<H", head, start)[0], start + 2
        info = int.from_bytes(head[unit : unit + width], "little")
        address_size, segment_size = head[unit + width], head[unit + width + 1]
        if version == 2 and address_size == 8 and segment_size == 0:
            first = unit + width + 2
            first += -first % 16  # tuples are aligned to their size
            data = section.take(offset + first, max(end - offset - first, 0) // 16 * 16)
            found += [(low, low + size, info) for low, size in _PAIR.iter_unpack(data) if size]
        offset = end
    return found
