"""The units of a section, by their headers.

    read_units(info, info.section(".debug_info"), types=False)  ->  [Unit(offset=0, version=5, ...), ...]

Source: DWARF 5, section 7.5.1; DWARF 4, 7.5.1 (compile units, and type units in .debug_types).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from probelang.dwarf import constants as c
from probelang.dwarf.entry import Kind, Unit
from probelang.dwarf.image import corrupt

if TYPE_CHECKING:
    from probelang.dwarf.info import DebugInfo
    from probelang.dwarf.section import Section

_KINDS: dict[int, Kind] = {
    c.UT_compile: "compile", c.UT_type: "type", c.UT_partial: "partial", c.UT_skeleton: "skeleton",
    c.UT_split_compile: "split", c.UT_split_type: "type",
}  # fmt: skip
_LONGEST = 48  # more than any header has
_MOST_UNITS = 1 << 19
_ADDRESS_SIZE = 8  # of the only machine


def read_units(info: DebugInfo, section: Section, types: bool, split: bool) -> list[Unit]:
    """`types`: of .debug_types; `split`: of a split file. Raises BinaryError."""
    found: list[Unit] = []
    offset = 0
    while offset < section.size:
        if len(found) == _MOST_UNITS:
            raise corrupt(section.path, f"section `{section.name}`", f"has more than {_MOST_UNITS} units")
        try:
            unit = _read_unit(info, section, offset, types, split)
        except (struct.error, IndexError):
            raise section.damaged(offset) from None
        found.append(unit)
        offset += unit.size_bytes
    return found


def _read_unit(info: DebugInfo, section: Section, offset: int, types: bool, split: bool) -> Unit:
    head = section.take(offset, min(_LONGEST, section.size - offset))
    (length,) = struct.unpack_from("<I", head)
    position, width = 4, 4
    if length == 0xFFFFFFFF:
        (length,) = struct.unpack_from("<Q", head, 4)
        position, width = 12, 8
    size = length + position
    (version,) = struct.unpack_from("<H", head, position)
    position += 2
    if not 2 <= version <= 5 or offset + size > section.size:
        reason = f"has a unit of version {version} and {size} bytes at {offset:#x}"
        raise corrupt(section.path, f"section `{section.name}`", reason)
    kind: Kind = "type" if types else "split" if split else "compile"
    if version == 5:
        kind = _KINDS.get(head[position], "compile")
        address_size = head[position + 1]
        abbreviations = int.from_bytes(head[position + 2 : position + 2 + width], "little")
        position += 2 + width
    else:
        abbreviations = int.from_bytes(head[position : position + width], "little")
        address_size = head[position + width]
        position += width + 1
    if address_size != _ADDRESS_SIZE:
        reason = f"has a unit with addresses of {address_size} bytes at {offset:#x}"
        raise corrupt(section.path, f"section `{section.name}`", reason)
    signature = type_offset = 0
    if kind in ("skeleton", "split") and version == 5:
        (signature,) = struct.unpack_from("<Q", head, position)
        position += 8
    elif kind == "type":
        (signature,) = struct.unpack_from("<Q", head, position)
        type_offset = int.from_bytes(head[position + 8 : position + 8 + width], "little")
        position += 8 + width
    return Unit(
        info, section, offset, size, position, version, address_size, width, abbreviations, kind,
        signature, type_offset,
    )  # fmt: skip
