"""What is wrong with an expression about the probed program, before it is known where in the script it stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from probelang.diag import Diagnostic
from probelang.source import Span


class TargetMistake(Exception):
    """`made`: the diagnostic, without a span yet; or what makes it when somebody wants to see it, which `@defined` never does.
    `at`: the part of the script, where that is known."""

    def __init__(self, made: Diagnostic | Callable[[], Diagnostic]) -> None:
        super().__init__(made)
        self._made = made
        self.at: Span | None = None

    @cached_property
    def diagnostic(self) -> Diagnostic:
        return self._made if isinstance(self._made, Diagnostic) else self._made()
