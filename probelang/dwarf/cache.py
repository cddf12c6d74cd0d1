"""Files of what can be found out again: indexes, decompressed sections, answers to look-ups, unwind rows.

    path = cache_path("section-1-", key)      ->  "/home/u/.cache/probelang/section-1-4f01..."
    temporary = new_file(path)                ->  written, then renamed to `path`: several runs may do that at once

They lie in `$XDG_CACHE_HOME/probelang` (`~/.cache/probelang`). Only what belongs to the user, and nobody else can write, is read, in a folder of
the user's. The oldest go when all together pass `MOST_BYTES`.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress

from probelang.dwarf.image import Image, build_id

MOST_BYTES = 2 << 30
INDEX, SECTION, ANSWERS, ROWS = "places-", "section-", "answers-", "rows-"
_KINDS = (INDEX, SECTION, ANSWERS, ROWS)
_STALE_S = 24 * 3600
_LONGEST_ID = 64


def cache_folder() -> str | None:
    """None where there is no home for it."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = os.environ.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    return f"{base}/probelang"


def cache_path(prefix: str, name: str) -> str | None:
    folder = cache_folder()
    return None if folder is None else f"{folder}/{prefix}{name}"


def file_key(image: Image) -> str | None:
    """Tells files apart, also such as claim to be the same build. None where that cannot be done."""
    try:
        state = os.stat(image.path)
    except OSError:
        return None
    if state.st_size != len(image.data):
        return None  # another one by now
    identity = build_id(image)[:_LONGEST_ID] or "file"
    return f"{identity}-{state.st_size:x}-{state.st_ino:x}-{state.st_mtime_ns:x}"


def is_own(path: str) -> bool:
    """Nobody else can have put it there."""
    try:
        return _is_own_folder(path) and _is_own_file(os.lstat(path))
    except OSError:
        return False


def open_own(path: str, flags: int = os.O_RDONLY) -> int | None:
    """A descriptor; None for what is missing or not ours alone."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError:
        return None
    try:
        if _is_own_folder(path) and _is_own_file(os.fstat(descriptor)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _is_own_folder(path: str) -> bool:
    folder = os.stat(os.path.dirname(path))
    return folder.st_uid == os.geteuid() and not folder.st_mode & 0o002


def _is_own_file(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022 and stat.S_ISREG(state.st_mode)


def new_file(path: str) -> str | None:
    """The name of a new empty file beside `path`, ours alone; None where none can be made."""
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if not _is_own_folder(path):
            return None
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError:
        return None
    return temporary


def touch(descriptor: int) -> None:
    """The oldest is what has not been used for long."""
    with suppress(OSError):
        os.utime(descriptor)


def make_room(kept: str) -> None:
    """Removes what is old, until all together is small enough; and what was never finished."""
    known = sorted(_known(os.path.dirname(kept)))
    total = sum(size for _, size, _ in known)
    for used, size, path in known:
        unfinished = path.rpartition(".")[2].isdigit() and used < time.time() - _STALE_S
        if path != kept and (total > MOST_BYTES or unfinished):
            with suppress(OSError):
                os.unlink(path)
                total -= size


def _known(folder: str) -> Iterator[tuple[float, int, str]]:
    """Time of the last use, size and path of each."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_KINDS) and entry.is_file(follow_symlinks=False):
                state = entry.stat(follow_symlinks=False)
                yield state.st_mtime, state.st_size, entry.path
