"""What is wrong with an expression about the probed program, before it is known where in the script it stands."""

from __future__ import annotations

from probelang.diag import Diagnostic


class TargetMistake(Exception):
    """`diagnostic` has no span yet."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.title())
        self.diagnostic = diagnostic
