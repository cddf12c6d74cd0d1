"""Source text and places in it.

A `SourceFile` is a name and its text; a `Span` is a half-open range of character offsets in one file. Every
syntax node has a span; lines and columns are computed only when something is shown.

    SourceFile("a.probe", "probe begin {}").line_column(6)  ->  (1, 7)

Script text is bytes to the language. Files are decoded as UTF-8 with `surrogateescape`, so that every byte
survives the way through the compiler; `encode_text` gives the bytes back.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One piece of source text. `name` is a path, `<command line>`, or a made-up name in angle brackets."""

    name: str
    text: str = field(repr=False)
    line_starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = (0, *(i + 1 for i, c in enumerate(self.text) if c == "\n"))
        object.__setattr__(self, "line_starts", starts)

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both counted from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line (counted from 1), without its newline."""
        start = self.line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of `source`."""

    source: SourceFile
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line_column(self) -> tuple[int, int]:
        """Line and column of the first character, counted from 1."""
        return self.source.line_column(self.start)

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other` (this one, when the files differ)."""
        if other.source is not self.source or other.end < self.start:
            return self
        return Span(self.source, self.start, other.end)


def decode_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
