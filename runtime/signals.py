"""Signals that end a session, as something to wait for.

    with EndSignals() as signals:      poll signals.fd; signals.count is how many have come

The first one ends the session in good order; the second interrupts whatever runs then (`Interrupted`).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator
from types import FrameType, TracebackType
from typing import Self

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """A second signal: do not even run the end probes to their end."""


class EndSignals:
    """`fd` becomes readable when a signal has come, also of children that ended."""

    def __init__(self) -> None:
        self.count = 0
        self.fd, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old = {
            s: signal.signal(s, self._arrived) for s in _ENDING if signal.getsignal(s) != signal.SIG_IGN
        }
        return self

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise Interrupted

    @staticmethod
    @contextlib.contextmanager
    def held() -> Generator[None]:
        """Signals that come meanwhile arrive afterwards: for what must be done whole or not at all."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 64):
                pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self.fd)
        os.close(self._write)
