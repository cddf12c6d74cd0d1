"""Instruction boundaries: does an instruction begin at this address?

    find_boundary(binary, 0x1145)  ->  Refusal("0x1145 is the middle of the instruction at 0x1144")

x86 code can only be decoded from a known start: the nearest function symbol at or before the address, or, in stripped
files, the nearest function of `.eh_frame_hdr` (LSB Core, "Exception Frame Header").
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass

from probelang.dwarf.binary import Binary, code_ranges
from probelang.dwarf.functions import display_name
from probelang.sites.judge import Refusal

# version, then encodings: pc-relative sdata4, udata4, data-relative sdata4; every linker writes these
FRAME_HEADER = bytes((1, 0x1B, 0x03, 0x3B))
# no function is longer; decoding further would mean that the start was wrong
MAXIMUM_BYTES = 8 << 20
UNKNOWN = "no function is known there, so it cannot be told where its instructions begin"


@dataclass(frozen=True, slots=True)
class Enclosing:
    """The function around an address. `name` is empty where only unwind information knows it."""

    start: int
    name: str


def enclosing_function(binary: Binary, address: int) -> Enclosing | None:
    """The nearest start of a function at or before `address`, in the same section."""
    low = next((start for start, end in code_ranges(binary.image) if start <= address < end), None)
    if low is None:
        return None
    best: Enclosing | None = None
    named = max(
        (s for s in binary.symbols() if low <= s.address <= address), key=lambda s: s.address, default=None
    )
    if named is not None:
        best = Enclosing(named.address, display_name(named.name))
    starts = frame_starts(binary)
    index = bisect_right(starts, address) - 1
    if index >= 0 and starts[index] >= low and (best is None or starts[index] > best.start):
        best = Enclosing(starts[index], "")
    return best


def find_boundary(binary: Binary, address: int) -> Refusal | None:
    """None when an instruction begins at `address`."""
    function = enclosing_function(binary, address)
    if function is None:
        return Refusal(UNKNOWN)
    if function.start == address:
        return None
    offset = binary.image.offset_of(function.start)
    if offset is None or address - function.start > MAXIMUM_BYTES:
        return Refusal(UNKNOWN)
    return _decode(
        binary.image.data[offset : offset + address - function.start + 16], function.start, address
    )


def _decode(code: bytes, start: int, address: int) -> Refusal | None:
    from iced_x86 import Decoder  # 30 ms, and few scripts name an address

    decoder = Decoder(64, code, ip=start)
    while decoder.ip < address:
        at = decoder.ip
        if decoder.decode().is_invalid:
            return Refusal(f"the bytes at {at:#x}, before it, are no instruction")
        if decoder.ip > address:
            return Refusal(f"{address:#x} is the middle of the instruction at {at:#x}")
    return None


def frame_starts(binary: Binary) -> tuple[int, ...]:
    """Where functions begin according to the unwind table, ascending; empty where there is none."""
    section = binary.image.section(".eh_frame_hdr")
    if section is None:
        return ()
    data = binary.image.contents(section)
    if len(data) < 12 or data[:4] != FRAME_HEADER:
        return ()
    (count,) = struct.unpack_from("<I", data, 8)
    table = data[12 : 12 + count * 8]
    return tuple(section.address + start for start, _ in struct.iter_unpack("<ii", table[: len(table) & ~7]))
