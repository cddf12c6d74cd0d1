"""The memory of a traced process: as the program sees it, and, for breakpoints, underneath.

    Memory(4711).read(0x7ffd0010, 16)  ->  16 bytes, or MemoryFault where the program itself could not read

Sources: process_vm_readv(2), proc_pid_mem(5).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Collection

from probelang.runtime.evaluate.context import MemoryFault, WriteFault
from probelang.runtime.mappings import mapping_of, read_mappings

_MASK = (1 << 64) - 1
_WORD = struct.Struct("<Q")
_REFUSED = (errno.EPERM, errno.ESRCH, errno.ENOSYS)
"""Not for what is written or read: by a filter of system calls, or because the process is of another user by now."""


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_size_t), ("length", ctypes.c_size_t))


_libc = ctypes.CDLL(None, use_errno=True)
_readv, _writev = _libc.process_vm_readv, _libc.process_vm_writev
_readv.restype = _writev.restype = ctypes.c_ssize_t
_readv.argtypes = _writev.argtypes = (
    ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
)  # fmt: skip
_word = ctypes.c_uint64()
_word_here = _Vector(ctypes.addressof(_word), 8)
_word_there = _Vector(0, 8)
_here_address, _there_address = ctypes.addressof(_word_here), ctypes.addressof(_word_there)


class Memory:
    """Of one process. `peek` and `poke` go through a descriptor that is opened at once, and pass over page protection. `occupied`: the
    bytes that breakpoints lie on."""

    __slots__ = ("_fd", "_pid", "occupied")

    def __init__(self, pid: int, must_open: bool = True) -> None:
        """Raises OSError where it cannot be opened, if it `must` be; otherwise nothing can be read or written then."""
        self._pid = pid
        self._fd = -1
        self.occupied: Collection[int] = ()
        try:
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            if must_open:
                raise

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes. Raises MemoryFault."""
        if size <= 0:
            return b""
        address &= _MASK
        buffer = ctypes.create_string_buffer(size)
        here, there = _Vector(ctypes.addressof(buffer), size), _Vector(address, size)
        done: int = _readv(self._pid, ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)
        if done == size:
            return buffer.raw
        if done < 0 and ctypes.get_errno() in _REFUSED:
            try:
                found = self.peek(address, size)
            except OSError:
                raise MemoryFault(address) from None
            return found
        raise MemoryFault(address)

    def write(self, address: int, data: bytes) -> None:
        """As the program could itself: not where its pages are read-only. Raises WriteFault."""
        address &= _MASK
        if any(address + i in self.occupied for i in range(len(data))):
            raise WriteFault(address)  # code that the program may write, and a breakpoint in it
        buffer = ctypes.create_string_buffer(data, len(data))
        here, there = _Vector(ctypes.addressof(buffer), len(data)), _Vector(address, len(data))
        done: int = _writev(self._pid, ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)
        if done == len(data):
            return
        if done >= 0 or ctypes.get_errno() not in _REFUSED or not self._is_writable(address, len(data)):
            raise WriteFault(address)
        try:
            self.poke(address, data)
        except OSError:
            raise WriteFault(address) from None

    def _is_writable(self, address: int, size: int) -> bool:
        mapping = mapping_of(read_mappings(self._pid), address)
        return mapping is not None and mapping.writable and address + size <= mapping.end

    def word(self, address: int) -> int:
        """Unsigned 64 bits. Raises MemoryFault."""
        _word_there.base = address & _MASK
        if _readv(self._pid, _here_address, 1, _there_address, 1, 0) == 8:
            return _word.value
        (value,) = _WORD.unpack(self.read(address, 8))
        return int(value)

    def peek(self, address: int, size: int) -> bytes:
        """Raises OSError where nothing, or not so much, is mapped."""
        try:
            found = os.pread(self._fd, size, address)
        except OverflowError:
            found = b""
        if len(found) != size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return found

    def poke(self, address: int, data: bytes) -> None:
        """Writes into the process's own copy of a page. Raises OSError."""
        if os.pwrite(self._fd, data, address) != len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
