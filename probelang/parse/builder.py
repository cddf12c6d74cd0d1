"""What the actions of the grammar collect while a file is parsed, beside the tree.

Some rules span a declaration: a `return` is legal only if the block around it turns out to be a function's, a
histogram only if what is around it can take one. Such nodes wait here until that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probelang import syntax
from probelang.diag import Diagnostic
from probelang.diag.deferred import Deferred
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")


@dataclass(slots=True)
class Builder:
    """`returns` and `histograms` of the declaration being parsed that are not yet known to be legal."""

    errors: list[Diagnostic] = field(default_factory=list[Diagnostic])
    declarations: list[syntax.Declaration] = field(default_factory=list[syntax.Declaration])
    returns: list[Span] = field(default_factory=list[Span])
    histograms: list[syntax.Histogram] = field(default_factory=list[syntax.Histogram])

    def take_histogram(self, node: object) -> None:
        """`node`, if it is a histogram, stands where one may."""
        self.histograms = [waiting for waiting in self.histograms if waiting is not node]

    def finish_declaration(self) -> None:
        """Reports what was not legal after all."""
        self.errors.extend(mistakes.ReturnOutsideFunction(span=span) for span in self.returns)
        self.errors.extend(mistakes.HistogramAsValue(span=h.span, name=h.op) for h in self.histograms)
        self.forget()

    def forget(self) -> None:
        """Drops what waits: the declaration is broken anyway."""
        self.returns.clear()
        self.histograms.clear()
