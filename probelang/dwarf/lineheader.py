"""The header of a line number program: which files it speaks of, and how it is encoded.

    read_line_header(unit)  ->  LineHeader(version=5, files=("/src/x.c", "/src/x.c", "/usr/include/stdio.h"), ...)

Source: DWARF 5, section 6.2.4; for versions 2 to 4: DWARF 4, 6.2.4.
"""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.image import BinaryError, corrupt
from probelang.dwarf.leb import unsigned

if TYPE_CHECKING:
    from probelang.dwarf.entry import Unit
    from probelang.dwarf.section import Section

LNCT_path, LNCT_directory_index = 1, 2
_MOST_TEXT = 64 << 20
"""Characters of all paths of a header: a damaged one may name one long string a million times."""
DAMAGED = (IndexError, ValueError, struct.error, forms.UnknownForm)


@dataclass(frozen=True, slots=True)
class LineHeader:
    """`files` by the numbers that the program, DW_AT_decl_file and DW_AT_call_file use; number 0 is the unit's own file. `lengths`: of the
    standard instructions, from number 1. `program` to `end`: the instructions, in the section."""

    section: Section
    version: int
    minimum_bytes: int
    most_operations: int
    default_is_stmt: bool
    line_base: int
    line_range: int
    lengths: tuple[int, ...]
    folders: tuple[str, ...]
    files: tuple[str, ...]
    program: int
    end: int

    def path(self, folder: int, name: str) -> str:
        return _path(self.folders, folder, name)


def line_failure(section: Section, reason: str) -> BinaryError:
    return corrupt(section.path, f"section `{section.name}`", reason)


def read_line_header(unit: Unit) -> LineHeader | None:
    """None for a unit without lines. Raises BinaryError."""
    if unit.kind != "type":
        unit = unit.base or unit  # a split unit's lines are in the main file
    offset = unit.root.number(c.AT_stmt_list)
    if offset is None:
        return None
    section = unit.info.section(".debug_line")
    try:
        return _read(unit, section, offset)
    except DAMAGED:
        raise line_failure(section, f"has a header at {offset:#x} that cannot be read") from None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What sizes of forms depend on: this table's, not the unit's."""

    version: int
    address_size: int
    offset_size: int


def _read(unit: Unit, section: Section, offset: int) -> LineHeader:
    length, position, width = section.number(offset, 4), offset + 4, 4
    if length == 0xFFFFFFFF:
        length, position, width = section.number(offset + 4, 8), offset + 12, 8
    end = position + length
    version = section.number(position, 2)
    if end > section.size or not 2 <= version <= 5:
        raise line_failure(section, f"has a table of version {version} and {length} bytes at {offset:#x}")
    position += 2
    address_size = 8
    if version >= 5:
        address_size = section.number(position, 1)
        position += 2  # and the size of segment selectors
    size = section.number(position, width)
    position += width
    program = position + size
    if program > end:
        raise line_failure(section, f"has a header of {size} bytes at {offset:#x}, more than its table")
    data = section.take(position, size)
    minimum, most, at = data[0], 1, 1
    if version >= 4:
        most, at = data[1], 2
    default_is_stmt, line_base, line_range, base = struct.unpack_from("<BbBB", data, at)
    at += 4
    lengths = tuple(data[at : at + base - 1])
    if base == 0 or len(lengths) != base - 1:
        raise IndexError
    facts = _Facts(version, address_size, width)
    tables = _new_tables if version >= 5 else _old_tables
    folders, files = tables(unit, data, at + base - 1, facts)
    return LineHeader(
        section, version, minimum, max(most, 1), bool(default_is_stmt), line_base, line_range, lengths,
        folders, files, program, end,
    )  # fmt: skip


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _join(folder: str, name: str) -> str:
    """A full path, as far as that is known; symbolic links stay."""
    joined = posixpath.normpath(posixpath.join(folder, name)) if folder or name else ""
    return joined[1:] if joined.startswith("//") else joined


def _path(folders: tuple[str, ...], folder: int, name: str) -> str:
    return _join(folders[folder] if folder < len(folders) else "", name)


def _paths(folders: tuple[str, ...], rows: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    found: list[str] = []
    left = _MOST_TEXT
    for name, folder in rows:
        found.append(_path(folders, folder, name))
        left -= len(found[-1])
        if left < 0:
            raise ValueError
    return tuple(found)


def _old_tables(unit: Unit, data: bytes, at: int, facts: _Facts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Folders and files of DWARF 2 to 4: both count from 1."""
    folders: list[tuple[str, int]] = []
    while data[at]:
        end = data.index(b"\0", at)
        folders.append((_text(data[at:end]), 0))
        at = end + 1
    at += 1
    known = unit.folder, *_paths((unit.folder,), folders)
    rows: list[tuple[str, int]] = [(unit.name, 0)]
    while data[at]:
        name, folder, at = read_file_entry(data, at)
        rows.append((name, folder))
    return known, _paths(known, rows)


def read_file_entry(data: bytes, at: int) -> tuple[str, int, int]:
    """Name, number of the folder, and where the next entry begins."""
    end = data.index(b"\0", at)
    name = _text(data[at:end])
    folder, at = unsigned(data, end + 1)
    _, at = unsigned(data, at)  # when it was changed
    _, at = unsigned(data, at)  # how long it is
    return name, folder, at


def _new_tables(unit: Unit, data: bytes, at: int, facts: _Facts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Folders and files of DWARF 5: both count from 0, which is where the compiler ran and what it compiled."""
    rows, at = _entries(unit, data, at, facts)
    own = _join(unit.folder, rows[0][0]) if rows else ""
    known = _paths((own,), [(name, 0) for name, _ in rows])
    rows, at = _entries(unit, data, at, facts)
    return known, _paths(known, rows)


def _entries(unit: Unit, data: bytes, at: int, facts: _Facts) -> tuple[list[tuple[str, int]], int]:
    """Rows of a table that says itself what it holds: name and number of the folder of each."""
    width = data[at]
    at += 1
    layout: list[tuple[int, int]] = []
    for _ in range(width):
        content, at = unsigned(data, at)
        form, at = unsigned(data, at)
        layout.append((content, form))
    count, at = unsigned(data, at)
    if count > len(data) - at:  # every row has a byte at least
        raise IndexError
    rows: list[tuple[str, int]] = []
    left = _MOST_TEXT
    for _ in range(count):
        name, folder = "", 0
        for content, form in layout:
            value, at = forms.read(form, data, at, facts)
            if content == LNCT_path:
                name = _text(_string(unit, form, value))
            elif content == LNCT_directory_index and isinstance(value, int):
                folder = value
        rows.append((name, folder))
        left -= len(name)
        if left < 0:
            raise ValueError
    return rows, at


def _string(unit: Unit, form: int, value: forms.Value) -> bytes:
    if isinstance(value, bytes):
        return value
    info = unit.info
    if form == c.FORM_line_strp:
        return info.section(".debug_line_str").text(value)
    if form in forms.STRING_INDEXES:
        return unit.string(value)
    if form in forms.SHARED_STRINGS:
        return info.alternate.section(".debug_str").text(value) if info.alternate else b""
    return info.section(".debug_str").text(value)
