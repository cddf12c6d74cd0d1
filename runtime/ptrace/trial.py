"""Whether anything can be traced here at all: a child is made, traced, read, and let go.

trace_a_child()  ->  None, or the OSError of what was refused
"""

from __future__ import annotations

import contextlib
import os
import signal

from probelang.runtime.ptrace import calls


def trace_a_child() -> OSError | None:
    held, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        # nothing but system calls: the parent may have had threads and locks
        os.close(release)
        os.read(held, 1)
        os._exit(0)
    os.close(held)
    try:
        _trace(pid)
    except OSError as error:
        return error
    finally:
        os.close(release)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        while calls.wait(pid)[0] == -1:
            pass
    return None


def _trace(pid: int) -> None:
    calls.seize(pid, calls.O_EXITKILL)
    calls.interrupt(pid)
    while calls.wait(pid)[0] == -1:
        pass
    # breakpoints are written that way
    with open(f"/proc/{pid}/mem", "r+b", buffering=0):
        pass
    calls.detach(pid)
