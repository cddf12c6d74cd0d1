"""What a walk over the whole debug information of a file yields, kept on disk: which functions have which instances, and which units
know which source files.

    index = built_index(debug)          when the file is first asked for something that wants a walk
    index.matching(name_test("list_*"))   ->  [Row(unit=0x1c0, position=0x2f1, around=0x210), ...]

A file of SQLite in `$XDG_CACHE_HOME/probelang` (`~/.cache/probelang`), named after the build-id (files without one: after path, size,
time and inode) and the layout of the debug information. It is written under a name of its own and renamed, so that several runs may build
it at once; read only when it belongs to the user; made anew when it is damaged; the oldest go when all together pass a gigabyte.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

    from probelang.dwarf.files import Debug

FORMAT = 1
MOST_BYTES = 1 << 30
_STALE_S = 24 * 3600
_PREFIX = "places-"

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


def cache_folder() -> str | None:
    """Where what can be found out again is kept; None where there is no home for it."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = os.environ.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    return f"{base}/probelang"


def index_path(debug: Debug) -> str | None:
    folder = cache_folder()
    return None if folder is None else f"{folder}/{_PREFIX}{FORMAT}-{_identity(debug)}.sqlite"


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

    temporary = _temporary(path) if path is not None else None
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
    _clean(os.path.dirname(path), path)
    return _open(path) or build_index(debug, None)


def _temporary(path: str) -> str | None:
    """A new empty file beside `path`, ours alone; None where none can be made."""
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError:
        return None
    return temporary


def _open(path: str) -> Index | None:
    """None for what is missing, not finished, of another format, or not ours."""
    if not _is_ours(path):
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


def _is_ours(path: str) -> bool:
    """Nobody else can have put it there."""
    try:
        folder, file = os.stat(os.path.dirname(path)), os.lstat(path)
    except OSError:
        return False
    user = os.geteuid()
    if folder.st_uid != user or folder.st_mode & 0o002 or not stat.S_ISREG(file.st_mode):
        return False
    return file.st_uid == user and not file.st_mode & 0o022


def _clean(folder: str, kept: str) -> None:
    """Removes what is old, until all together is small enough; and what was never finished."""
    known = sorted(_known(folder))
    total = sum(size for _, size, _ in known)
    for used, size, path in known:
        unfinished = not path.endswith(".sqlite") and used < time.time() - _STALE_S
        if path != kept and (total > MOST_BYTES or unfinished):
            with suppress(OSError):
                os.unlink(path)
                total -= size


def _known(folder: str) -> Iterator[tuple[float, int, str]]:
    """Time of the last use, size and path of the indexes."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_file(follow_symlinks=False):
                state = entry.stat(follow_symlinks=False)
                yield state.st_mtime, state.st_size, entry.path
