"""Zstandard, by the system's library.

    b"".join(decompress(iter([b"\\x28\\xb5\\x2f\\xfd..."]), 20))  ->  b"..."

Source: zstd.h of libzstd 1, the streaming interface.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache

_LIBRARY = "libzstd.so.1"
_PIECE_BYTES = 1 << 20
_MOST_WINDOW = 27  # 2^27 bytes: what the decoder may keep in memory (ZSTD_d_windowLogMax and its default)
_WINDOW_PARAMETER = 100


class Damaged(Exception):
    """What compressed data has wrong."""


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t))
    start: int
    size: int
    position: int


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    library.ZSTD_createDStream.restype = ctypes.c_void_p
    library.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    library.ZSTD_DCtx_setParameter.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    library.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library


def available() -> bool:
    return _library() is not None


def decompress(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """In pieces. A little more than `size` may come, where the data holds more."""
    library = _library()
    if library is None:
        raise Damaged(f"there is no {_LIBRARY}")
    stream = library.ZSTD_createDStream()
    try:
        library.ZSTD_DCtx_setParameter(stream, _WINDOW_PARAMETER, _MOST_WINDOW)
        yield from _stream(library, stream, pieces, size)
    finally:
        library.ZSTD_freeDStream(stream)


def _stream(library: ctypes.CDLL, stream: int, pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    out = ctypes.create_string_buffer(_PIECE_BYTES)
    left = size
    for piece in pieces:
        held = ctypes.create_string_buffer(piece, len(piece))
        source = _Buffer(ctypes.addressof(held), len(piece), 0)
        while left >= 0:
            target = _Buffer(ctypes.addressof(out), _PIECE_BYTES, 0)
            status = library.ZSTD_decompressStream(stream, ctypes.byref(target), ctypes.byref(source))
            if library.ZSTD_isError(status):
                raise Damaged(library.ZSTD_getErrorName(status).decode())
            left -= target.position
            yield ctypes.string_at(out, target.position)
            if source.position == source.size and target.position < _PIECE_BYTES:
                break
