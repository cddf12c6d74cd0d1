"""The walk that fills an index: every unit once, its functions with code, inlined copies and source files.

Of an entry only what is needed is decoded, what is equal in several units is kept once, and no more than a unit is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from probelang.dwarf import constants as c
from probelang.dwarf.binary import code_ranges
from probelang.dwarf.declarations import declared_at, names_of, naming_entry
from probelang.dwarf.demangle import last_component, without_template
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.index import FORMAT
from probelang.dwarf.instances import entry_address
from probelang.dwarf.sweep import FUNCTIONS, Prefixes, has_code, sweep

if TYPE_CHECKING:
    import sqlite3

    from probelang.dwarf.files import Debug

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE functions (id INTEGER PRIMARY KEY, last TEXT, name TEXT, symbol TEXT, file TEXT);
CREATE TABLE instances (function INTEGER, unit INTEGER, position INTEGER, around INTEGER);
CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE sources (file INTEGER, unit INTEGER);
"""
_INDEXES = """
CREATE INDEX functions_by_name ON functions (last);
CREATE INDEX instances_by_function ON instances (function, unit, position, around);
CREATE INDEX sources_by_file ON sources (file, unit);
CREATE TABLE finished (format INTEGER);
"""


def write_index(connection: sqlite3.Connection, debug: Debug) -> None:
    """Raises BinaryError, sqlite3.Error."""
    connection.executescript(_TABLES)
    writer = _Writer(connection, debug)
    units = [u for u in debug.info.units if u.kind != "type"]
    total = sum(u.size_bytes for u in units)
    done = 0
    for unit in units:
        writer.add(unit)
        done += unit.size_bytes
        if debug.progress is not None:
            debug.progress(f"reading {debug.info.path}", done, total)
    connection.executescript(_INDEXES)
    connection.execute("INSERT INTO finished VALUES (?)", (FORMAT,))
    connection.commit()


class _Writer:
    """`functions`: numbers of those that were met, by what they are called and where they are declared."""

    def __init__(self, connection: sqlite3.Connection, debug: Debug) -> None:
        self.connection = connection
        self.debug = debug
        self.prefixes = Prefixes()
        self.code = code_ranges(debug.binary.image)
        self.functions: dict[tuple[str, str, str], int] = {}
        self.files: dict[str, int] = {}

    def add(self, unit: Unit) -> None:
        full = unit.full
        rows = list(self._instances(unit, full))
        self.connection.executemany("INSERT INTO instances VALUES (?, ?, ?, ?)", rows)
        if unit.kind in ("compile", "skeleton"):
            numbers = {self._file(name) for name in unit.files}
            self.connection.executemany(
                "INSERT INTO sources VALUES (?, ?)", [(n, unit.offset) for n in sorted(numbers)]
            )
        full.forget()

    def _instances(self, unit: Unit, full: Unit) -> Iterator[tuple[int, int, int, int]]:
        known: dict[tuple[int, int], int] = {}  # by origin
        for entry, function in sweep(full, FUNCTIONS):
            if has_code(entry) and self._is_kept(entry):
                root = naming_entry(entry)
                number = known.get(root.key)
                if number is None:
                    number = known[root.key] = self._function(entry, root)
                around = entry if entry.tag == c.TAG_subprogram or function is None else function
                yield number, unit.offset, entry.position, around.position

    def _is_kept(self, entry: Entry) -> bool:
        address = entry_address(entry)
        return address is not None and any(low <= address < high for low, high in self.code)

    def _function(self, entry: Entry, root: Entry) -> int:
        name, symbol = names_of(self.prefixes, entry, root)
        file, _ = declared_at(entry)
        key = name, symbol, file
        number = self.functions.get(key)
        if number is None:
            number = self.functions[key] = len(self.functions) + 1
            last = last_component(without_template(name))
            row = (number, *(_storable(text) for text in (last, name, symbol, file)))
            self.connection.execute("INSERT INTO functions VALUES (?, ?, ?, ?, ?)", row)
        return number

    def _file(self, name: str) -> int:
        number = self.files.get(name)
        if number is None:
            number = self.files[name] = len(self.files) + 1
            self.connection.execute("INSERT INTO files VALUES (?, ?)", (number, _storable(name)))
        return number


def _storable(text: str) -> str:
    """SQLite keeps UTF-8: bytes that are none become `?`, which is what a pattern can match."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
