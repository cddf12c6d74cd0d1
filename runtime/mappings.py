"""What is mapped where in a process, from /proc/PID/maps.

    read_mappings(4711)  ->  [Mapping(0x55d0c1a01000, 0x55d0c1a05000, 0x1000, True, "/usr/bin/ls"), ...]

Source: proc_pid_maps(5).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass

PAGE = 4096


@dataclass(frozen=True, slots=True)
class Mapping:
    """`offset`: in the file. `path`: of the file, `[vdso]` and the like, or empty. A file that has another name or none now
    keeps its number: `file` is (device, inode) as /proc says, (0, 0) where there is no file."""

    start: int
    end: int
    offset: int
    executable: bool
    path: str
    file: tuple[int, int]
    writable: bool = False


def read_mappings(pid: int) -> list[Mapping]:
    """Ascending; empty of a process that has ended."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as f:
            return mappings_in(f.read())
    except OSError:
        return []


def mappings_in(text: bytes) -> list[Mapping]:
    """Of the text of /proc/PID/maps."""
    return [_mapping(line) for line in text.splitlines()]


def _mapping(line: bytes) -> Mapping:
    fields = line.split(None, 5)
    start, _, end = fields[0].partition(b"-")
    major, _, minor = fields[3].partition(b":")
    path = os.fsdecode(fields[5]) if len(fields) == 6 else ""
    device = os.makedev(int(major, 16), int(minor, 16))
    return Mapping(
        int(start, 16),
        int(end, 16),
        int(fields[2], 16),
        b"x" in fields[1],
        path,
        (device, int(fields[4])),
        b"w" in fields[1],
    )


def mapping_of(mappings: list[Mapping], address: int) -> Mapping | None:
    index = bisect_right(mappings, address, key=lambda m: m.start) - 1
    if index >= 0 and address < mappings[index].end:
        return mappings[index]
    return None


def gap_near(
    mappings: list[Mapping], address: int, size: int, reach: int, lowest: int = 1 << 16
) -> int | None:
    """The nearest free room of `size` bytes below `address` that is at most `reach` away, or else above it. Below first: a
    heap (brk) grows upwards from behind the program."""
    best: int | None = None
    before = lowest
    for mapping in mappings:
        if mapping.start - before >= size:
            below = mapping.start - size
            if mapping.start <= address:
                best = below if address - below <= reach else None
            elif best is None and before + PAGE + size <= mapping.start and before + size - address <= reach:
                return before + PAGE  # not the first page: what lies before may want to grow
        before = max(before, mapping.end)
    return best


def code_start(pid: int, path: str, offset: int) -> int | None:
    """Where a process has mapped a file as code from an offset on. By its number, or its name where that is another one there
    (on overlayfs and btrfs stat(2) has numbers of its own)."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    for mapping in read_mappings(pid):
        same = mapping.file == (status.st_dev, status.st_ino) or mapping.path == path
        if same and mapping.executable and mapping.offset == offset:
            return mapping.start
    return None
