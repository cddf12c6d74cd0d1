"""Sections that were decompressed are kept on disk, and mapped the next time.

    path = kept_path(image, ".debug_info", offset=0xa8d0, size=166_765_986)
    open_kept(path, size)           ->  None, the first time
    keep(path, pieces, size)        ->  a map of the new file

Decompressing costs three seconds a gigabyte, which is most of what a small script about a large program would wait for.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import suppress

from probelang.dwarf.cache import SECTION, cache_path, file_key, make_room, new_file, open_own, touch
from probelang.dwarf.image import Image

FORMAT = 1
KEPT_BYTES = 1 << 18
"""Smaller ones are decompressed in less time than a file takes."""
_END = b"probelang section, complete\n"
_SPACE_LEFT = 8  # times the section: a disk is not filled


def kept_path(image: Image, name: str, offset: int, size: int) -> str | None:
    """None for what is not kept. `offset`: in the file."""
    if size < KEPT_BYTES or not name.replace(".", "").isidentifier():
        return None
    key = file_key(image)
    return None if key is None else cache_path(SECTION, f"{FORMAT}-{key}-{offset:x}-{size:x}{name}")


def open_kept(path: str, size: int) -> mmap.mmap | None:
    """None where there is none that is whole."""
    descriptor = open_own(path)
    if descriptor is None:
        return None
    try:
        if os.fstat(descriptor).st_size != size + len(_END) or os.pread(descriptor, len(_END), size) != _END:
            return None
        touch(descriptor)
        return mmap.mmap(descriptor, size, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def keep(path: str, pieces: Iterator[bytes], size: int) -> mmap.mmap | None:
    """None where it cannot be kept, or is not of this size. Lets the exceptions of `pieces` through."""
    temporary = new_file(path)
    if temporary is None:
        return None
    try:
        if _has_room(temporary, size) and _write(temporary, pieces, size):
            os.replace(temporary, path)
            make_room(path)
            return open_kept(path, size)
    except OSError:  # the disk is full
        pass
    finally:
        with suppress(OSError):
            os.unlink(temporary)
    return None


def _has_room(path: str, size: int) -> bool:
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize >= _SPACE_LEFT * size


def _write(path: str, pieces: Iterator[bytes], size: int) -> bool:
    written = 0
    with open(path, "wb") as file:
        for piece in pieces:
            written += len(piece)
            if written > size:
                return False
            file.write(piece)
        file.write(_END)
    return written == size
