"""What run, check and build share: watching a compilation for -v, -w, -W and --emit."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from probelang.cli.arguments import Given, UsageError
from probelang.cli.messages import Messages
from probelang.diag import CompileError, Diagnostic
from probelang.pipeline import STAGES, Hooks, Stop

PROGRESS_S = 0.1


class ProgressLine:
    """One line on a terminal for what takes long; it is gone when that is done."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if total and done >= total:
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
            self._shown = 0.0
        elif now - self._shown >= PROGRESS_S:
            self._shown = now
            amount = f"{100 * done // total:3d} %" if total else f"{done >> 20} MB"
            text = f"{amount} {what}"[: shutil.get_terminal_size().columns - 1]
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()


@dataclass(frozen=True, slots=True)
class Watch:
    """One compilation as the command line wants to see it."""

    messages: Messages
    stage: str | None
    verbose: bool
    strict: bool
    shown: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def hooks(self) -> Hooks:
        progress = ProgressLine(sys.stderr) if sys.stderr.isatty() and not self.messages.json else None
        return Hooks(self.emit, self.timed, self.warn, self.stage, progress)

    def emit(self, stage: str, value: object) -> None:
        if stage == self.stage:
            from probelang.cli.dump import dump

            sys.stdout.write(dump(stage, value))
            raise Stop

    def timed(self, phase: str, seconds: float) -> None:
        if self.verbose:
            sys.stderr.write(f"{phase}: {seconds * 1000:.1f} ms\n")

    def warn(self, warnings: Sequence[Diagnostic]) -> None:
        """Shows warnings; with -W they end the compilation."""
        if self.strict and warnings:
            raise CompileError(warnings)
        self.messages.show(warnings)


def watch(given: Given, messages: Messages) -> Watch:
    stage = given.last("--emit")
    if stage is not None and stage not in STAGES:
        raise UsageError(f"--emit takes one of {', '.join(STAGES)}; not `{stage}`")
    return Watch(messages, stage, given.has("-v"), given.has("-W"))
