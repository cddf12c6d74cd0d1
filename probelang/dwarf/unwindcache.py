"""Unwind rows are kept on disk: the second script about the same files reads what the first one made.

    path = kept_rows_path(image)
    open_rows(path)                  ->  None, the first time
    keep_rows(path, rows, framed)
    open_rows(path)                  ->  (rows, framed)

Making them takes a second for each half million; reading them, a millisecond.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

from probelang.dwarf.cache import ROWS, cache_path, file_key, make_room, new_file, open_own, touch
from probelang.dwarf.image import Image

FORMAT = 5
KEPT_BYTES = 16 << 10
"""Files with a smaller `.eh_frame` are read in less time than is worth a file."""
_HEADER = struct.Struct("<8sII")
"""What it is; framed or not; bytes of rows, which follow."""
_MAGIC = b"unwind\n\0"
_END = b"probelang rows, complete\n"


def kept_rows_path(image: Image) -> str | None:
    """None for what is not kept."""
    size = sum(s.size for s in image.sections if s.name in (".eh_frame", ".debug_frame", ".zdebug_frame"))
    if size < KEPT_BYTES:
        return None
    key = file_key(image)
    return None if key is None else cache_path(ROWS, f"{FORMAT}-{key}")


def open_rows(path: str) -> tuple[bytes, bool] | None:
    """None where there are none that are whole."""
    descriptor = open_own(path)
    if descriptor is None:
        return None
    with open(descriptor, "rb") as file:
        try:
            whole = file.read()
        except OSError:
            return None
        touch(descriptor)
    if len(whole) < _HEADER.size + len(_END) or not whole.endswith(_END):
        return None
    magic, framed, size = _HEADER.unpack_from(whole)
    if magic != _MAGIC or _HEADER.size + size + len(_END) != len(whole) or size % 8:
        return None
    return whole[_HEADER.size : _HEADER.size + size], bool(framed)


def keep_rows(path: str, rows: bytes, framed: bool) -> None:
    """Where there is room for it."""
    temporary = new_file(path)
    if temporary is None:
        return
    try:
        with open(temporary, "wb") as file:
            file.write(_HEADER.pack(_MAGIC, framed, len(rows)))
            file.write(rows)
            file.write(_END)
        os.replace(temporary, path)
        make_room(path)
    except OSError:  # the disk is full
        pass
    finally:
        with suppress(OSError):
            os.unlink(temporary)
