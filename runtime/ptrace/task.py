"""Facts of a traced thread, from /proc.

    Task(4711, 4712).execname()  ->  b"worker"

Sources: proc_pid_status(5), proc_pid_stat(5), proc_pid_comm(5). What cannot be read any more is 0 or empty.
"""

from __future__ import annotations

import os

from probelang.runtime.evaluate.context import read_file

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Task:
    """`pid`: of the process, `tid`: of the thread. The file with the name stays open, as scripts ask for it at every hit; of a thread
    that is gone the name is the last that was read."""

    __slots__ = ("_comm", "_name", "pid", "tid")

    def __init__(self, pid: int, tid: int) -> None:
        self.pid = pid
        self.tid = tid
        self._comm = -1
        self._name = b""

    def close(self) -> None:
        if self._comm >= 0:
            os.close(self._comm)
            self._comm = -1

    def execname(self) -> bytes:
        try:
            if self._comm < 0:
                path = f"/proc/{self.pid}/task/{self.tid}/comm"
                self._comm = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._name = os.pread(self._comm, 64, 0)[:-1]
        except OSError:
            pass
        return self._name

    def pexecname(self) -> bytes:
        return read_file(f"/proc/{self.ppid()}/comm").removesuffix(b"\n")

    def ppid(self) -> int:
        fields = self._stat()
        return int(fields[1]) if len(fields) > 1 else 0

    def cpu(self) -> int:
        fields = self._stat()
        return int(fields[36]) if len(fields) > 36 else 0

    def cpu_times_ns(self) -> tuple[int, int]:
        """In user mode, in the kernel."""
        fields = self._stat()
        if len(fields) < 13:
            return 0, 0
        return int(fields[11]) * _TICK_NS, int(fields[12]) * _TICK_NS

    def _stat(self) -> list[bytes]:
        """The fields behind the name, which may hold spaces and brackets itself: state is number 0."""
        return read_file(f"/proc/{self.pid}/task/{self.tid}/stat").rpartition(b")")[2].split()

    def _ids(self, name: bytes) -> list[int]:
        """Real, effective, saved, of the file system."""
        for line in read_file(f"/proc/{self.pid}/task/{self.tid}/status").splitlines():
            if line.startswith(name):
                return [int(n) for n in line[len(name) :].split()]
        return [0, 0, 0, 0]

    def uid(self) -> int:
        return self._ids(b"Uid:")[0]

    def euid(self) -> int:
        return self._ids(b"Uid:")[1]

    def gid(self) -> int:
        return self._ids(b"Gid:")[0]

    def egid(self) -> int:
        return self._ids(b"Gid:")[1]

    def command_line(self) -> bytes:
        return read_file(f"/proc/{self.pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")

    def environment(self, name: bytes) -> bytes:
        for entry in read_file(f"/proc/{self.pid}/environ").split(b"\0"):
            key, equals, value = entry.partition(b"=")
            if equals and key == name:
                return value
        return b""
