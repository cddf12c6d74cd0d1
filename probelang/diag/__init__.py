"""What the compiler says to its user: diagnostics are data, rendered as text or JSON at the very end.

A mistake is one frozen dataclass, subclass of `Diagnostic`, with a stable `code` and its facts as fields; its
wording is in `title()`, `label()` and `help()`. A phase collects all independent mistakes and raises one
`CompileError` with them.

    class UnknownName(Diagnostic): code = "E0201"; name: str; similar: tuple[str, ...] = ()

Codes: E01xx source and syntax, E02xx names and probe points, E03xx types, E04xx targets (files, symbols,
sites), E05xx limits of the kernel half, E06xx run time and machine; W.... the same for warnings, N.... for notes.
The modules of this package hold the classes, by phase. Nothing here knows how a phase works.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from probelang.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One mistake (or warning). `span` is None only where no script text is to blame."""

    code: ClassVar[str] = "E0000"
    severity: ClassVar[str] = "error"
    span: Span | None = None

    def title(self) -> str:
        """What is wrong, a lower-case sentence without full stop; the user's names in backticks."""
        raise NotImplementedError

    def label(self) -> str:
        """What stands at the span, shown behind the caret; may be empty."""
        return ""

    def help(self) -> str:
        """What to do about it; may be empty."""
        return ""

    def related(self) -> tuple[tuple[Span, str], ...]:
        """Other places that explain the mistake ("was first used as string here")."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileWarning(Diagnostic):
    """Base of everything that is said but does not stop the compilation."""

    code: ClassVar[str] = "W0000"
    severity: ClassVar[str] = "warning"


class CompileError(Exception):
    """One or more mistakes in the user's input. Never a bug of ours."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("; ".join(d.title() for d in diagnostics))
        self.diagnostics = tuple(diagnostics)


class InternalError(Exception):
    """A bug of ours: shown as "internal error in PHASE, please report", never as a traceback."""


def respan(diagnostic: Diagnostic, span: Span) -> Diagnostic:
    """The same mistake, blamed on `span`, when nothing was blamed before."""
    return diagnostic if diagnostic.span is not None else replace(diagnostic, span=span)


def similar_names(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The `count` nearest of `known`, nearest first; empty when none is near."""
    return tuple(difflib.get_close_matches(name, list(known), n=count, cutoff=0.6))


def did_you_mean(similar: Sequence[str]) -> str:
    """`did you mean `a`, `b`?`, or an empty string."""
    return f"did you mean {', '.join(f'`{s}`' for s in similar)}?" if similar else ""
