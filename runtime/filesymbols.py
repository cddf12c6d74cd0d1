"""Symbols of addresses from /proc/PID/maps and the symbol tables of the mapped ELF files.

    FileSymbols().find(0x55d0c1a01149, 4711)  ->  (b"main", 0x10, b"prog")

Sources: proc_pid_maps(5), System V ABI chapter 4 (symbol table), chapter 5 (program header).
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from probelang.runtime.mappings import Mapping, mapping_of, read_mappings

_FUNCTION, _INDIRECT = 2, 10
_SYMBOL_TABLES = (11, 2)  # SHT_DYNSYM, SHT_SYMTAB
_LOAD = 1


@dataclass(frozen=True, slots=True)
class _Table:
    """Functions of a file, ascending: address, size, name; `segments`: file offset, size, address."""

    addresses: tuple[int, ...]
    functions: tuple[tuple[int, int, bytes], ...]
    segments: tuple[tuple[int, int, int], ...]

    def find(self, offset: int) -> tuple[bytes, int]:
        """Name and distance for an offset in the file."""
        for start, size, address in self.segments:
            if start <= offset < start + size:
                return self._at(offset - start + address)
        return b"", 0

    def offset(self, names: Sequence[bytes]) -> int | None:
        """In the file, of the first function with one of these names."""
        for address, _, name in self.functions:
            if name in names:
                return next(
                    (address - a + o for o, size, a in self.segments if a <= address < a + size), None
                )
        return None

    def _at(self, address: int) -> tuple[bytes, int]:
        index = bisect_right(self.addresses, address) - 1
        if index < 0:
            return b"", 0
        start, size, name = self.functions[index]
        return (name, address - start) if address < start + max(size, 1) else (b"", 0)


def _read_table(path: str) -> _Table:
    try:
        with open(path, "rb") as f:
            data = f.read()
        return _parse(data)
    except (OSError, struct.error, ValueError, IndexError):
        return _Table((), (), ())


def _parse(data: bytes) -> _Table:
    if data[:5] != b"\x7fELF\2":
        raise ValueError("not a 64-bit ELF file")
    headers, sections = struct.unpack_from("<QQ", data, 32)
    segment_size, segment_count, section_size, section_count = struct.unpack_from("<HHHH", data, 54)
    segments: list[tuple[int, int, int]] = []
    for i in range(segment_count):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, headers + i * segment_size)
        if kind == _LOAD:
            segments.append((offset, size, address))
    rows = [
        struct.unpack_from("<IIQQQQIIQQ", data, sections + i * section_size) for i in range(section_count)
    ]
    functions: dict[int, tuple[int, int, bytes]] = {}
    for row in rows:
        if row[1] in _SYMBOL_TABLES:
            strings = rows[row[6]]
            names = data[strings[4] : strings[4] + strings[5]]
            for name, info, _, section, value, size in struct.iter_unpack(
                "<IBBHQQ", data[row[4] : row[4] + row[5]]
            ):
                if info & 15 in (_FUNCTION, _INDIRECT) and section and value not in functions:
                    functions[value] = (value, size, names[name : names.index(b"\0", name)])
    ordered = tuple(functions[a] for a in sorted(functions))
    return _Table(tuple(f[0] for f in ordered), ordered, tuple(segments))


def function_offset(path: str, names: tuple[bytes, ...]) -> int | None:
    """Where the first function with one of these names begins, in the file; None where there is none."""
    return _read_table(path).offset(names)


class FileSymbols:
    """Tables and maps are read once for each file and process."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._mappings: dict[int, list[Mapping]] = {}

    def find(self, address: int, pid: int) -> tuple[bytes, int, bytes]:
        """Name (empty: unknown), distance from its start, file name."""
        mapping = mapping_of(self._mappings_of(pid, address), address)
        if mapping is None or not mapping.path.startswith("/"):
            return b"", 0, b""
        table = self._tables.get(mapping.path)
        if table is None:
            table = self._tables[mapping.path] = _read_table(mapping.path)
        name, offset = table.find(address - mapping.start + mapping.offset)
        return name, offset, os.fsencode(os.path.basename(mapping.path))

    def _mappings_of(self, pid: int, address: int) -> list[Mapping]:
        known = self._mappings.get(pid, [])
        if mapping_of(known, address) is None:
            # the process may have opened a library since; of one that has ended nothing new is known
            known = self._mappings[pid] = read_mappings(pid) or known
        return known
