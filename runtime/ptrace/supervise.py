"""A parent for the tracer, so that SIGKILL to probelang does not take the traced programs with it.

    supervise()      forks; returns in the child, which traces; the parent waits for it, and exits as it does

A tracer that is killed cannot take its breakpoints out again. So what a user sees, and kills, is this parent: when it dies,
whatever the way, its child is told by a signal, detaches, and ends. Only when both are killed at once do the traced programs die with them
(PTRACE_O_EXITKILL): with breakpoints in them and no tracer they could not go on.

Source: prctl(2), PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_WAITED_FOR = (*_FORWARDED, signal.SIGCHLD)

_supervisor: list[int] = []


def supervise() -> None:
    """Returns in the child only."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    child = os.fork()
    if child:
        _wait_for(child)
    _supervisor[:] = [parent]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def own_pids() -> frozenset[int]:
    """The processes that must not be traced: this one and its supervisor."""
    return frozenset({os.getpid(), *_supervisor})


def _wait_for(child: int) -> NoReturn:
    while True:
        info = signal.sigwaitinfo(_WAITED_FOR)
        if info.si_signo != signal.SIGCHLD:
            # what a terminal sends, the child gets as well
            if info.si_code <= 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, info.si_signo)
            continue
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            _exit_as(status)


def _exit_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)
