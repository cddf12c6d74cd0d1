"""Where diagnostics go: the error output as text, or JSON lines; colours only where a person looks at them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from probelang.diag import Diagnostic


@dataclass(frozen=True, slots=True)
class Messages:
    """`json`: one object a line instead of text. `warnings`: show them. `stream`: where to, None for standard error."""

    json: bool = False
    warnings: bool = True
    stream: TextIO | None = None

    def show(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Writes what is to be shown, each diagnostic once."""
        chosen = [d for d in dict.fromkeys(diagnostics) if self.warnings or d.severity == "error"]
        if not chosen:
            return
        from probelang.diag.render import COLOURS, PLAIN, render_json, render_text

        stream = self.stream or sys.stderr
        palette = COLOURS if wants_colours(stream) else PLAIN
        stream.write(render_json(chosen) if self.json else render_text(chosen, palette))
        stream.flush()

    def note(self, diagnostic: Diagnostic) -> None:
        """Says in one line what is neither a warning nor a mistake."""
        if not self.warnings:
            return
        from probelang.diag.render import printable, render_json

        stream = self.stream or sys.stderr
        text = f"probelang: {diagnostic.severity}: {printable(diagnostic.title())}\n"
        stream.write(render_json([diagnostic]) if self.json else text)
        stream.flush()


def wants_colours(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def exit_status(diagnostics: Sequence[Diagnostic]) -> int:
    """1: the script or its target is wrong; 3: this machine or user cannot run it (E06..)."""
    errors = [d for d in diagnostics if d.severity == "error"]
    return 3 if errors and all(d.code.startswith("E06") for d in errors) else 1
