"""Names of addresses in running processes.

    symbols.name(0x7f3a12345678, pid=4711)  ->  b"malloc"          usymname()
    symbols.data(0x7f3a12345678, pid=4711)  ->  b"malloc+0x18 [libc.so.6]"   usymdata()

bcc knows symbols of programs, libraries and just-in-time compiled code. It is imported when the first name is asked
for (it takes 0.1 to 0.25 s), and lives outside of virtual environments, so its folder is searched only then. Without it
the tables of the mapped files themselves are read.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probelang.runtime.filesymbols import FileSymbols
    from probelang.runtime.stacks.kernel import KernelCode

_SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


class _SymbolCache(Protocol):
    """What is used of bcc's class of this name."""

    def resolve(self, addr: int, demangle: bool) -> tuple[bytes | None, int, bytes | None]: ...


class _Bcc(Protocol):
    def SymbolCache(self, pid: int) -> _SymbolCache: ...


def load_bcc() -> _Bcc | None:
    """The module, or None where it is not installed or does not work."""
    added = _SYSTEM_PACKAGES not in sys.path and os.path.isdir(_SYSTEM_PACKAGES)
    if added:
        sys.path.append(_SYSTEM_PACKAGES)
    try:
        return cast(_Bcc, importlib.import_module("bcc"))
    except (ImportError, OSError, AttributeError):
        # a libbcc that is missing, or older or newer than the package
        return None
    finally:
        if added:
            sys.path.remove(_SYSTEM_PACKAGES)


class Symbols:
    """Answers are kept for each address and process: a name does not change while a session looks."""

    def __init__(self, likely_pid: int = 0) -> None:
        self._likely_pid = likely_pid  # whose addresses are meant where no process is said
        self._bcc: _Bcc | None = None
        self._is_loaded = False
        self._caches: dict[int, _SymbolCache] = {}
        self._files: FileSymbols | None = None
        self._known: dict[tuple[int, int], tuple[bytes, int, bytes]] = {}
        self._code: KernelCode | None = None

    def use(self, code: KernelCode) -> None:
        """Programs in the kernel tell files of code apart: what they are called."""
        self._code = code

    def met_file(self, fields: Sequence[int]) -> None:
        """A program has met a file that it did not know."""
        if self._code is not None:
            self._code.met(fields)

    @property
    def has_bcc(self) -> bool:
        if not self._is_loaded:
            self._bcc, self._is_loaded = load_bcc(), True
        return self._bcc is not None

    def find(self, address: int, pid: int) -> tuple[bytes, int, bytes]:
        """Name, distance from its start, and file; each empty where it is not known."""
        address &= (1 << 64) - 1
        found = self._known.get((address, pid))
        if found is None:
            found = self._known[address, pid] = self._ask(address, pid)
        return found

    def _ask(self, address: int, pid: int) -> tuple[bytes, int, bytes]:
        if self.has_bcc and self._bcc is not None and os.path.exists(f"/proc/{pid}"):
            cache = self._caches.get(pid)
            if cache is None:
                cache = self._caches[pid] = self._bcc.SymbolCache(pid)
            name, offset, module = cache.resolve(address, True)
            if name:
                return name, offset, os.path.basename(module or b"")
        if self._files is None:
            from probelang.runtime.filesymbols import FileSymbols

            self._files = FileSymbols()
        return self._files.find(address, pid)

    def _process(self, pid: int | None) -> int:
        return pid if pid is not None else self._likely_pid

    def name(self, address: int, pid: int | None) -> bytes | None:
        """The function's name."""
        return self.find(address, self._process(pid))[0] or None

    def data(self, address: int, pid: int | None) -> bytes | None:
        """Name, offset and file: `malloc+0x18 [libc.so.6]`."""
        name, offset, module = self.find(address, self._process(pid))
        return b"%s+0x%x [%s]" % (name, offset, module) if name else None

    def module(self, address: int, pid: int | None) -> bytes | None:
        """The name of the mapped file, without folders."""
        return self.find(address, self._process(pid))[2] or None
