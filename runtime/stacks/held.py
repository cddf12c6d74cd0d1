"""Files that are held while a session lives, so that their inodes are not reused and their symbols are at hand when all else is gone.

    held = hold("/proc/4711/map_files/7f00..-7f01..", shown="/usr/lib/libx.so")
    held.path      ->  "/usr/lib/libx.so", or where another process's root or a newer file is in the way, a path that opens this very one

A page of each is mapped: that keeps a file as an open descriptor does, and there may be more of them than descriptors. It is opened again
through /proc/self/map_files. Source: proc_pid_map_files(5).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
from dataclasses import dataclass

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
)  # fmt: skip
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


def map_page(fd: int) -> int:
    """The address of the first page of a file, readable, shared; 0 where it cannot be mapped."""
    address = _libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    return 0 if address in (None, _FAILED) else int(address)


def unmap_page(address: int) -> None:
    _libc.munmap(address, mmap.PAGESIZE)


@dataclass(slots=True)
class Held:
    """`shown`: its name, as people know it. `identity`: device, inode, size and time of the last change. `address`: of the page."""

    shown: str
    identity: tuple[int, int, int, int]
    address: int

    @property
    def path(self) -> str:
        """What opens this file, and no other that has its name now."""
        try:
            if identity_of(os.stat(self.shown)) == self.identity:
                return self.shown
        except (OSError, ValueError):
            pass
        return self.anonymous

    @property
    def anonymous(self) -> str:
        """What opens this file, whatever its name."""
        return f"/proc/self/map_files/{self.address:x}-{self.address + mmap.PAGESIZE:x}"

    def close(self) -> None:
        if self.address:
            unmap_page(self.address)
        self.address = 0


def identity_of(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def hold(path: str, shown: str = "") -> Held | None:
    """None of what is no regular file (to open a device may do something), and where it cannot be opened and mapped."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return hold_open(fd, shown or path)
    finally:
        os.close(fd)


def hold_open(fd: int, shown: str) -> Held | None:
    """The same of an open file."""
    address = map_page(fd)
    return Held(shown, identity_of(os.fstat(fd)), address) if address else None
