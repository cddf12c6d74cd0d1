"""All unwind rows of a file at once, as the kernel's programs and `probelang.runtime.stacks.walk` search them.

    table = unwind_table(read_image("/usr/bin/x"))
    table.rows      ->  [(0x0, 0, 0, ROW_UNKNOWN), (0x1020, 2, 0, ROW_RSP), ..., (0x11c5, 0, 0, ROW_UNKNOWN)], packed
    cached_unwind_table("/usr/bin/x")  ->  the same, from disk the second time

`probelang.dwarf.frames` answers for one address and knows every rule; this knows the few that a step of unwinding needs, for every
address. An entry that is damaged leaves its function without rows; sections that are raise BinaryError.
Sources: DWARF 5, section 6.4; LSB Core 10.6.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.dwarf.image import Image


@dataclass(frozen=True, slots=True)
class UnwindTable:
    """`rows`: UNWIND_ROWs (artifact/stacks.py) by offset in the file; empty where the file has none. `framed`: every function keeps a frame
    pointer, so that at a return address the caller's frame is at rbp, whatever the row."""

    rows: bytes
    framed: bool


def unwind_table(image: Image) -> UnwindTable:
    """Raises BinaryError."""
    return UnwindTable(b"", False)


def unwind_table_of_memory(data: bytes, name: str = "[vdso]") -> UnwindTable:
    """Of an ELF file that lies in memory only. Raises BinaryError."""
    return UnwindTable(b"", False)


def cached_unwind_table(file: str | Image) -> UnwindTable:
    """`file`: a path, or what was read there. Raises BinaryError."""
    return UnwindTable(b"", False)
