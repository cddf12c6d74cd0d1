"""What run, check and build share: watching a compilation for -v, -w, -W and --emit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from probelang.cli.arguments import Given, UsageError
from probelang.cli.messages import Messages
from probelang.diag import CompileError, Diagnostic
from probelang.pipeline import STAGES, Hooks, Stop


@dataclass(frozen=True, slots=True)
class Watch:
    """One compilation as the command line wants to see it."""

    messages: Messages
    stage: str | None
    verbose: bool
    strict: bool
    shown: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def hooks(self) -> Hooks:
        return Hooks(self.emit, self.timed, self.warn, self.stage)

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
