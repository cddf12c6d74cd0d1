"""Names of code that programs make while they run: just-in-time compilers tell them in a file.

    maps.name(4711, 0x7f5c1000a040)  ->  ("LazyCompile:~main /srv/x.js:1", 0x40)        from /tmp/perf-4711.map

A line of it: first address, size, both hexadecimal, and the name. The file grows while the program runs, so it is read on when an address is
not in it; it is found in the process's own root and under the process's own number, as in containers, while the process lives, and what
was read is kept. Source: kernel tools/perf/Documentation/jit-interface.txt.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_right, insort

_MOST_BYTES = 256 << 20
_LONGEST_NAME = 4096


class PerfMaps:
    """Of all processes. Anybody may write such a file, so it is taken for text and nothing more."""

    def __init__(self) -> None:
        self._maps: dict[int, _PerfMap] = {}

    def note(self, pid: int) -> None:
        """Reads what there is of a process now, as it may end soon."""
        self._of(pid).read_on()

    def name(self, pid: int, address: int) -> tuple[bytes, int] | None:
        """The name, and how far behind its start."""
        one = self._of(pid)
        found = one.find(address)
        if found is None and one.read_on():
            found = one.find(address)
        return found

    def _of(self, pid: int) -> _PerfMap:
        known = self._maps.get(pid)
        if known is None:
            known = self._maps[pid] = _PerfMap(pid)
        return known


class _PerfMap:
    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._starts: list[int] = []
        self._rows: dict[
            int, tuple[int, bytes]
        ] = {}  # size and name by start: code is replaced by newer code
        self._read_bytes = 0
        self._file: tuple[int, int] | None = None
        self._own_number = 0

    def find(self, address: int) -> tuple[bytes, int] | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        size, name = self._rows[start]
        return (name, address - start) if address < start + max(size, 1) else None

    def read_on(self) -> bool:
        """Whether there was more."""
        for path in self._paths():
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                return self._read(fd)
            except OSError:
                return False
            finally:
                os.close(fd)
        return False

    def _paths(self) -> list[str]:
        """A process of a container has another number there; it is not known any more when it has ended."""
        number = _inner_number(self._pid) or self._own_number or self._pid
        self._own_number = number
        return [f"/proc/{self._pid}/root/tmp/perf-{number}.map", f"/tmp/perf-{self._pid}.map"]

    def _read(self, fd: int) -> bool:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return False
        file = (status.st_dev, status.st_ino)
        if file != self._file or status.st_size < self._read_bytes:
            self._file, self._read_bytes = file, 0
        if status.st_size <= self._read_bytes or self._read_bytes > _MOST_BYTES:
            return False
        data = os.pread(fd, min(status.st_size - self._read_bytes, _MOST_BYTES), self._read_bytes)
        whole = data[: data.rfind(b"\n") + 1]  # the last line may still be being written
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            self._add(line)
        return bool(whole)

    def _add(self, line: bytes) -> None:
        words = line.split(None, 2)
        if len(words) < 3 or len(words[0]) > 18 or len(words[1]) > 18:
            return
        try:
            start, size = int(words[0], 16), int(words[1], 16)
        except ValueError:
            return
        if start not in self._rows:
            if self._starts and start < self._starts[-1]:
                insort(self._starts, start)
            else:
                self._starts.append(start)
        self._rows[start] = size, _printable(words[2][:_LONGEST_NAME])


def _printable(name: bytes) -> bytes:
    return bytes([b if b >= 32 and b != 127 else 63 for b in name])


def _inner_number(pid: int) -> int:
    """Of a process in the innermost namespace that it is in; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/status", "rb") as f:
            for line in f:
                if line.startswith(b"NSpid:"):
                    return int(line.split()[-1])
    except (OSError, ValueError):
        pass
    return 0
