"""The build id of an ELF file, as the notes of its program headers have it.

    build_id("/bin/ls")  ->  "3d8a...", empty where there is none

A saved program holds offsets into the files that it was compiled for: in any other file they are the wrong
instructions. Source: System V ABI chapter 5 (program header), ELF notes.
"""

from __future__ import annotations

import struct

_NOTE, _BUILD_ID = 4, 3


def build_id(path: str) -> str:
    """Hexadecimal. Raises OSError where the file cannot be read."""
    with open(path, "rb") as f:
        header = f.read(64)
        if header[:5] != b"\x7fELF\2" or len(header) < 64:
            return ""
        (start,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        f.seek(start)
        table = f.read(size * count)
        for at in range(0, len(table) - 55, size or 56):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", table, at)
            if kind == _NOTE:
                f.seek(offset)
                found = _in_notes(f.read(length))
                if found:
                    return found
    return ""


def _in_notes(notes: bytes) -> str:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        start = at + 12 + (name_size + 3 & ~3)
        if kind == _BUILD_ID and notes[at + 12 : at + 12 + name_size] == b"GNU\0":
            return notes[start : start + size].hex()
        at = start + (size + 3 & ~3)
    return ""
