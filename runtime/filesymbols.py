"""Where a function begins in an ELF file, by its symbol tables.

    function_offset("/lib64/ld-linux-x86-64.so.2", (b"_dl_debug_state",))  ->  0x11a40

Small, for a backend that must know one symbol before a program has run its first instruction. Names for people come from
`probelang.runtime.stacks.names`. Source: System V ABI chapter 4 (symbol table), chapter 5 (program header).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_FUNCTION, _INDIRECT = 2, 10
_SYMBOL_TABLES = (11, 2)  # SHT_DYNSYM, SHT_SYMTAB
_LOAD = 1


def function_offset(path: str, names: tuple[bytes, ...]) -> int | None:
    """In the file, of the first function with one of these names; None where there is none."""
    try:
        with open(path, "rb") as f:
            data = f.read()
        found = [address for address, name in _functions(data) if name in names]
        return _offset(data, min(found)) if found else None
    except (OSError, struct.error, ValueError, IndexError):
        return None


def _functions(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Addresses and names."""
    if data[:5] != b"\x7fELF\2":
        raise ValueError("not a 64-bit ELF file")
    (sections,) = struct.unpack_from("<Q", data, 40)
    section_size, section_count = struct.unpack_from("<HH", data, 58)
    rows = [
        struct.unpack_from("<IIQQQQIIQQ", data, sections + i * section_size) for i in range(section_count)
    ]
    for row in rows:
        if row[1] in _SYMBOL_TABLES:
            strings = rows[row[6]]
            names = data[strings[4] : strings[4] + strings[5]]
            table = data[row[4] : row[4] + row[5]]
            for name, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", table):
                if info & 15 in (_FUNCTION, _INDIRECT) and section:
                    yield value, names[name : names.index(b"\0", name)]


def _offset(data: bytes, address: int) -> int | None:
    (headers,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, _, offset, start, _, length = struct.unpack_from("<IIQQQQ", data, headers + i * size)
        if kind == _LOAD and start <= address < start + length:
            return int(address - start + offset)
    return None
