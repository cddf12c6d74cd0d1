"""What handlers ask of the session around them: exit(), system(), warn(), target() and the like.

Both halves end here: handlers of the user half call these methods, of the kernel half come records that name them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from probelang.runtime import targets
from probelang.runtime.output.sink import Sink
from probelang.runtime.output.speculation import Speculations
from probelang.runtime.symbols import Symbols

_LAST_WAIT_S = 1.0  # for commands of system() that still run at the end


class SessionServices:
    """`target_pid`: the process of -c or -x, 0 without. `next_file`: see RunOptions."""

    def __init__(self, sink: Sink, target_pid: int, next_file: Callable[[], None] | None = None) -> None:
        self._sink = sink
        self._next_file = next_file
        self._target_pid = target_pid
        self._symbols = Symbols(target_pid)
        # programs in the kernel count theirs from 1
        self._speculations = Speculations(sink.print, first=1 << 32)
        self._commands: list[int] = []
        self.is_ending = False

    @property
    def symbols(self) -> Symbols:
        return self._symbols

    @property
    def speculations(self) -> Speculations:
        return self._speculations

    def exit(self) -> None:
        self.is_ending = True

    def system(self, command: bytes) -> None:
        # what was printed before shall stand before what the command prints
        self._sink.flush()
        pid = os.posix_spawn(
            "/bin/sh",
            [b"/bin/sh", b"-c", command],
            os.environ,
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM),
        )
        self._commands.append(pid)

    def has_started(self, pid: int) -> bool:
        """Whether it is a command of system(). One that has ended may be waited for by whoever waits for all children."""
        return pid in self._commands

    def reap(self, wait_s: float = 0) -> None:
        """Forgets the commands that have ended; waits up to `wait_s` for all of them."""
        deadline = time.monotonic() + wait_s
        while True:
            self._commands = [pid for pid in self._commands if not _has_ended(pid)]
            if not self._commands or time.monotonic() >= deadline:
                return
            time.sleep(0.002)

    def close(self) -> None:
        self.reap(_LAST_WAIT_S)
        self._symbols.close()

    def warn(self, message: bytes) -> None:
        self._sink.warn(message)

    def ftrace(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            for folder in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
                if os.path.exists(f"{folder}/trace_marker"):
                    with open(f"{folder}/trace_marker", "wb", buffering=0) as marker:
                        marker.write(message)
                    return

    def switch_file(self) -> None:
        if self._next_file is not None:
            self._sink.flush()
            self._next_file()

    def target(self) -> int:
        return self._target_pid

    def in_target_set(self, pid: int) -> bool:
        if not self._target_pid:
            return False
        while pid > 1 and pid != self._target_pid:
            pid = targets.parent_of(pid)
        return pid == self._target_pid


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
