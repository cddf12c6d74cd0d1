"""What a handler can ask about the hit that it runs for.

    SessionContext("begin", "begin").pid()  ->  probelang's own process id

The evaluator knows only the protocol: begin, end and timer handlers get a `SessionContext`; a backend that stops
processes with ptrace can run process handlers by giving one with registers and memory.
"""

from __future__ import annotations

import os
from typing import Protocol

NOT_MAPPED = b"the file of `@var` is not in this process"


class Fault(Exception):
    """A builtin cannot do its work; the evaluator makes a soft error of it."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class MemoryFault(Fault):
    def __init__(self, address: int) -> None:
        super().__init__(b"user read fault at %#x" % (address & ((1 << 64) - 1)))


class WriteFault(Fault):
    def __init__(self, address: int) -> None:
        super().__init__(b"user write fault at %#x" % (address & ((1 << 64) - 1)))


class Session:
    """A call from its entry to its return. `is_hooked`: its return is a hit; `kept`: a number that belongs to it."""

    __slots__ = ("is_hooked", "kept")

    def __init__(self, kept: int = 0) -> None:
        self.is_hooked = False
        self.kept = kept

    def hook(self) -> None:
        self.is_hooked = True

    def keep(self, number: int) -> None:
        self.kept = number


NO_SESSION = Session()
"""Where nobody asks for one."""


class Context(Protocol):
    """Numbers are signed 64 bits. What the hit does not have raises `Fault`."""

    @property
    def session(self) -> Session: ...
    def pid(self) -> int: ...
    def tid(self) -> int: ...
    def ppid(self) -> int: ...
    def uid(self) -> int: ...
    def euid(self) -> int: ...
    def gid(self) -> int: ...
    def egid(self) -> int: ...
    def execname(self) -> bytes: ...
    def pexecname(self) -> bytes: ...
    def cpu(self) -> int: ...
    def user_mode(self) -> bool: ...
    def command_line(self) -> bytes: ...
    def environment(self, name: bytes) -> bytes: ...
    def cpu_times_ns(self) -> tuple[int, int]:
        """In user mode, in the kernel."""
        ...

    def point(self) -> bytes:
        """pp()"""
        ...

    def probe_name(self) -> bytes:
        """pn()"""
        ...

    def function(self) -> bytes:
        """ppfunc()"""
        ...

    def is_return(self) -> bool: ...
    def place_number(self) -> int:
        """Which site of the probe was hit."""
        ...

    def site(self) -> tuple[str, int] | None:
        """File, and offset in it, of the probed place; None where there is none."""
        ...

    def instruction(self) -> int:
        """The address of the current instruction, 0 where there is none."""
        ...

    def register(self, name: bytes, signed: bool) -> int: ...
    def argument(self, number: int) -> int:
        """The 64 bits of the n-th argument (from 1)."""
        ...

    def return_value(self) -> int: ...
    def syscall_number(self) -> int: ...
    def stack(self, depth: int) -> list[int]:
        """At most `depth` return addresses, the current instruction first."""
        ...

    def walk(self, depth: int, kept: bool = True) -> tuple[list[int], bool]:
        """The same, and whether the stack goes on where it could not be followed: which is a loss, where it is `kept`."""
        ...

    def mapped_code(self, path: bytes, offset: int) -> int:
        """Where the process has mapped a file as code from an offset on."""
        ...

    def read_memory(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes; raises MemoryFault."""
        ...

    def write_memory(self, address: int, data: bytes) -> None:
        """As the program could itself; raises WriteFault."""
        ...

    def set_register(self, name: bytes, value: int) -> None:
        """One of the 64-bit general registers."""
        ...

    def set_return_value(self, value: int) -> None: ...


class SessionContext:
    """A handler of begin, end, error or a timer: in probelang's own process, with no registers and no memory."""

    def __init__(self, point: str, probe_name: str) -> None:
        self.session = NO_SESSION
        self._point = point.encode("utf-8", "surrogateescape")
        self._probe_name = probe_name.encode("utf-8", "surrogateescape")

    def pid(self) -> int:
        return os.getpid()

    def tid(self) -> int:
        return os.getpid()

    def ppid(self) -> int:
        return os.getppid()

    def uid(self) -> int:
        return os.getuid()

    def euid(self) -> int:
        return os.geteuid()

    def gid(self) -> int:
        return os.getgid()

    def egid(self) -> int:
        return os.getegid()

    def execname(self) -> bytes:
        return read_file("/proc/self/comm").rstrip(b"\n")

    def pexecname(self) -> bytes:
        return read_file(f"/proc/{os.getppid()}/comm").rstrip(b"\n")

    def cpu(self) -> int:
        # /proc/self/stat, field 39 (proc(5)), counted from behind the name in brackets
        fields = read_file("/proc/self/stat").rpartition(b")")[2].split()
        return int(fields[36]) if len(fields) > 36 else 0

    def user_mode(self) -> bool:
        return False

    def command_line(self) -> bytes:
        return read_file("/proc/self/cmdline").rstrip(b"\0").replace(b"\0", b" ")

    def environment(self, name: bytes) -> bytes:
        return os.environb.get(name, b"")

    def cpu_times_ns(self) -> tuple[int, int]:
        times = os.times()
        return int(times.user * 1e9), int(times.system * 1e9)

    def point(self) -> bytes:
        return self._point

    def probe_name(self) -> bytes:
        return self._probe_name

    def function(self) -> bytes:
        return b""

    def is_return(self) -> bool:
        return False

    def place_number(self) -> int:
        return 0

    def site(self) -> tuple[str, int] | None:
        return None

    def instruction(self) -> int:
        return 0

    def register(self, name: bytes, signed: bool) -> int:
        raise Fault(b"no registers in this probe")

    def argument(self, number: int) -> int:
        raise Fault(b"no arguments in this probe")

    def return_value(self) -> int:
        raise Fault(b"no return value in this probe")

    def syscall_number(self) -> int:
        raise Fault(b"no system call in this probe")

    def stack(self, depth: int) -> list[int]:
        return []

    def walk(self, depth: int, kept: bool = True) -> tuple[list[int], bool]:
        return self.stack(depth), False

    def mapped_code(self, path: bytes, offset: int) -> int:
        raise Fault(NOT_MAPPED)

    def read_memory(self, address: int, size: int) -> bytes:
        raise MemoryFault(address)

    def write_memory(self, address: int, data: bytes) -> None:
        raise WriteFault(address)

    def set_register(self, name: bytes, value: int) -> None:
        raise Fault(b"no registers in this probe")

    def set_return_value(self, value: int) -> None:
        raise Fault(b"no return value in this probe")


def read_file(path: str) -> bytes:
    """Empty where it cannot be read: facts of a process that has just ended."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
