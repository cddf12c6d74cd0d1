"""Which processes are watched with -x and -c: the hash map `targets` of thread group ids.

    fill_targets(fd, 4711)   puts 4711 and all its descendants into the map

The tracepoint programs `targets_fork` and `targets_exit` of the object keep the map right from then on, so they are
attached first: a child that is born in between is found by both ways, which does no harm.
"""

from __future__ import annotations

import os
import struct

from probelang.artifact.manifest import Manifest
from probelang.artifact.points import FunctionPoint, ProcessPoint, SyscallPoint
from probelang.runtime import bpf

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h
FORK_PROGRAM, EXIT_PROGRAM = "targets_fork", "targets_exit"


def parent_of(pid: int) -> int:
    """The parent's process id; 0 when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            # the name in parentheses may hold spaces and parentheses itself
            return int(f.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def descendants(root: int) -> set[int]:
    """`root` and every process that comes from it, now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            children.setdefault(parent_of(int(name)), []).append(int(name))
    found: set[int] = set()
    pending = [root]
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending += children.get(pid, [])
    return found


def fill_targets(map_fd: int, root: int) -> None:
    """Until no new process turns up."""
    known: set[int] = set()
    while True:
        found = descendants(root)
        if found <= known:
            return
        for pid in found - known:
            bpf.update(map_fd, struct.pack("<I", pid), b"\1")
        known |= found


def sees_all_processes() -> bool:
    """Whether process ids here are those that programs in the kernel see: not so in a container with a namespace of its own."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        return True


def names_processes(manifest: Manifest) -> bool:
    """Whether programs of it compare the process id with a number, for `process(PID)`."""
    points = [probe.point for probe in manifest.probes]
    return any(isinstance(p, ProcessPoint | SyscallPoint) and p.pid is not None for p in points)


def may_hit_itself(manifest: Manifest) -> bool:
    """Whether a probe stands in the program that this process runs, or in a library, or is on system calls of that program: those
    hits are passed over, as to print one of them would cause the next."""
    return any(_is_own_file(path) for path in _probed_files(manifest))


def _probed_files(manifest: Manifest) -> set[str | None]:
    """Executables and libraries; None for any."""
    found: set[str | None] = set()
    for probe in manifest.probes:
        match probe.point:
            case FunctionPoint(binary=binary, pid=None):
                found.add(binary.path)
            case SyscallPoint(executable=path, pid=None):
                found.add(path)
            case _:
                pass
    return found


def _is_own_file(path: str | None) -> bool:
    # a library may be loaded at any time, as the symbolisers are
    if path is None or ".so" in os.path.basename(path):
        return True
    try:
        return os.path.samefile(path, "/proc/self/exe")
    except OSError:
        return False
