"""The command of -c: started at once, but held before its program begins; released when every probe is set.

    child = start_command(["ls", "-l"]);  ...attach...;  child.release();  child.wait_status()

The child waits for a byte in a pipe and then executes the command, so exec happens under the probes (process begin
probes see it). It stays in the foreground process group: ^C reaches it as it would without probelang. When probelang
dies first (SIGKILL), the command goes on unharmed, or, still held, ends: its pipe closes without a byte.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence

from probelang.diag import CompileError

_GO = b"x"
_CANNOT_EXECUTE = 127


class Command:
    """`pid` and `pidfd` of the child; the pidfd is readable once the child has ended. `status`: see poll()."""

    def __init__(self, arguments: Sequence[str]) -> None:
        held, self._release = os.pipe()
        self._failure, failed = os.pipe()
        self._name = arguments[0]
        self.status: int | None = None
        self.is_traced = False
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._release)
            _become(arguments, held, failed)
        os.close(held)
        os.close(failed)
        self.pidfd = os.pidfd_open(self.pid)

    def release(self) -> None:
        """Lets the command begin. Raises CompileError when it cannot be executed."""
        if self._release >= 0:
            self.let_go()
            self.check_begun()

    def let_go(self) -> None:
        """Lets the command begin, and does not wait until it has."""
        with contextlib.suppress(BrokenPipeError):  # killed while it waited
            os.write(self._release, _GO)
        os.close(self._release)
        self._release = -1

    def check_begun(self) -> None:
        """Waits until the command has begun its program or ended; raises CompileError when it cannot be executed."""
        # closed by exec; otherwise the errno comes
        reason = os.read(self._failure, 16)
        if reason:
            self.poll(wait=True)
            raise _failure(self._name, os.strerror(int(reason)))

    def poll(self, wait: bool = False) -> int | None:
        """The exit status as a shell gives it (128 + signal), None while it runs. While the command `is_traced`, whoever
        traces it waits for it."""
        if self.status is None and not self.is_traced:
            pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.has_ended(status)
        return self.status

    def has_ended(self, status: int) -> None:
        """`status`: as waitpid() gives it."""
        code = os.waitstatus_to_exitcode(status)
        self.status = code if code >= 0 else 128 - code

    def close(self) -> None:
        """A command that was never released ends; one that runs goes on."""
        if self._release >= 0:
            os.close(self._release)
            self._release = -1
            self.poll(wait=True)
        if self._failure >= 0:
            os.close(self._failure)
            os.close(self.pidfd)
            self._failure = -1


def _become(arguments: Sequence[str], held: int, failed: int) -> None:
    """The child's way to its program; never returns."""
    try:
        # Python ignores SIGPIPE, and the session listens for signals: the command shall find neither, but what the
        # user ignores (nohup) stays ignored
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.read(held, 1) == _GO:
            os.execvp(arguments[0], list(arguments))
    except OSError as error:
        os.write(failed, str(error.errno or errno.ENOENT).encode())
    finally:
        os._exit(_CANNOT_EXECUTE)


def start_command(arguments: Sequence[str]) -> Command:
    try:
        return Command(arguments)
    except OSError as error:
        raise _failure(arguments[0], str(error.strerror)) from error


def _failure(name: str, reason: str) -> CompileError:
    from probelang.diag.runtime import CommandFailed

    return CompileError([CommandFailed(command=name, reason=reason.lower())])
