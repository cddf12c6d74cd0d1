"""What a walk over the whole debug information of a file yields, kept on disk: which functions have which instances, and which units
know which source files.

    index = built_index(debug)          when the file is first asked for something that wants a walk
    index.matching(name_test("list_*"))   ->  [Row(unit=0x1c0, position=0x2f1, around=0x210), ...]

A file of SQLite in `$XDG_CACHE_HOME/probelang` (`~/.cache/probelang`), named after the build-id (files without one: after path, size,
time and inode) and the layout of the debug information. It is written under a name of its own and renamed, so that several runs may build
it at once (see `cache.py`); made anew when it is damaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from probelang.dwarf.cache import INDEX, cache_path, is_own, make_room, new_file

if TYPE_CHECKING:
    import sqlite3

    from probelang.dwarf.files import Debug

FORMAT = 1

NameTest = Callable[[str, str], bool]
FileTest = Callable[[str], bool]


class Row(NamedTuple):
    """An instance: the unit's offset in .debug_info, and where in the unit (of a split file: in that file's) its entry and the one of the
    function around it begin."""

    unit: int
    position: int
    around: int


class DamagedIndex(Exception):
    """It does not say what the file has."""


class Index:
    """Of one file's debug information."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def named(self, last: str, matches: NameTest, in_file: FileTest | None = None) -> list[Row]:
        """Instances of functions whose last component, without template arguments, is `last`. Raises DamagedIndex."""
        rows = self._ask("SELECT id, name, symbol, file FROM functions WHERE last = ?", (last,))
        return self._matching(rows, matches, in_file)

    def matching(self, matches: NameTest, in_file: FileTest | None = None) -> list[Row]:
        """Instances of all functions that match. Raises DamagedIndex."""
        rows = self._ask("SELECT id, name, symbol, file FROM functions", ())
        return self._matching(rows, matches, in_file)

    def units_of(self, in_file: FileTest) -> list[int]:
        """Offsets of the units whose line tables list such a file. Raises DamagedIndex."""
        found: set[int] = set()
        for number, name in self._ask("SELECT id, name FROM files", ()):
            if in_file(str(name)):
                found |= {int(u) for (u,) in self._ask("SELECT unit FROM sources WHERE file = ?", (number,))}
        return sorted(found)

    def _matching(
        self, rows: list[tuple[int | str, ...]], matches: NameTest, in_file: FileTest | None
    ) -> list[Row]:
        found: list[Row] = []
        for number, name, symbol, file in rows:
            if matches(str(name), str(symbol)) and (in_file is None or in_file(str(file))):
                sql = "SELECT unit, position, around FROM instances WHERE function = ?"
                found += [Row(*(int(n) for n in row)) for row in self._ask(sql, (number,))]
        return found

    def _ask(self, sql: str, values: tuple[int | str, ...]) -> list[tuple[int | str, ...]]:
        import sqlite3

        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.DatabaseError, ValueError, TypeError, UnicodeError) as error:
            raise DamagedIndex(str(error)) from None


# --------------------------------------------------------------------------------------------------------- files


def index_path(debug: Debug) -> str | None:
    return cache_path(INDEX, f"{FORMAT}-{_identity(debug)}.sqlite")


def _identity(debug: Debug) -> str:
    """The same build may be there with another layout: dwz moves entries."""
    info = debug.info
    sizes = [info.section(name).size for name in (".debug_info", ".debug_abbrev", ".debug_str")]
    layout = f"{debug.binary.kind} {len(info.units)} {sizes}"
    name = debug.binary.build_id
    if not name:
        name = "file"
        for path in dict.fromkeys((debug.binary.path, info.path)):
            state = os.stat(path)
            layout += f" {path} {state.st_size} {state.st_mtime_ns} {state.st_dev} {state.st_ino}"
    import hashlib

    digest = hashlib.sha256(layout.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{name}-{digest}"


def known_index(debug: Debug) -> Index | None:
    """The index, if there is one already."""
    if not debug.index:
        path = index_path(debug)
        found = None if path is None else _open(path)
        if found is None:
            return None
        debug.index.append(found)
    return debug.index[0]


def built_index(debug: Debug) -> Index:
    """The index, built if need be: that takes seconds for large files. Raises BinaryError for damaged debug information."""
    found = known_index(debug)
    if found is None:
        found = build_index(debug, index_path(debug))
        debug.index.append(found)
    return found


def drop_index(debug: Debug) -> None:
    """Of a damaged one."""
    while debug.index:
        debug.index.pop().close()
    path = index_path(debug)
    if path is not None:
        with suppress(OSError):
            os.unlink(path)


def build_index(debug: Debug, path: str | None) -> Index:
    """Makes it anew; in memory only, where it cannot be written."""
    import sqlite3

    from probelang.dwarf.indexing import write_index

    temporary = new_file(path) if path is not None else None
    if path is None or temporary is None:
        memory = sqlite3.connect(":memory:")
        write_index(memory, debug)
        return Index(memory)
    try:
        connection = sqlite3.connect(temporary)
        try:
            write_index(connection, debug)
        finally:
            connection.close()
        os.replace(temporary, path)
    except (sqlite3.Error, OSError):  # a full disk, for one
        with suppress(OSError):
            os.unlink(temporary)
        return build_index(debug, None)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    make_room(path)
    return _open(path) or build_index(debug, None)


def _open(path: str) -> Index | None:
    """None for what is missing, not finished, of another format, or not ours."""
    if not is_own(path):
        return None
    import sqlite3

    address = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(f"file:{address}?mode=ro&immutable=1", uri=True)
        finished = connection.execute("SELECT format FROM finished").fetchone() == (FORMAT,)
    except sqlite3.DatabaseError:
        finished = False
    if connection is None or not finished:
        if connection is not None:
            connection.close()
        return None
    with suppress(OSError):
        os.utime(path)  # the oldest is what has not been used for long
    return Index(connection)
