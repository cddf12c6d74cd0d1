"""Diagnostics as text with source excerpts, or as JSON lines.

    error[E0201]: unknown variable `coutn`
      --> a.probe:1:23
       |
     1 | probe end { println(coutn) }
       |                     ^^^^^ never written anywhere
       = help: did you mean `count`?

The excerpt shows every place the diagnostic speaks of: its own with `^`, related ones with `-`. Places in other files
follow with a `:::` line. Nothing here knows a particular diagnostic.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from probelang.diag import Diagnostic
from probelang.source import SourceFile, Span

TAB_COLUMNS = 4
WIDEST_LINE = 160  # an excerpt of a longer line shows only the part around the caret


@dataclass(frozen=True, slots=True)
class Palette:
    """Escape sequences, all empty where the output is not a terminal."""

    error: str = ""
    warning: str = ""
    note: str = ""
    frame: str = ""
    bold: str = ""
    reset: str = ""


PLAIN = Palette()
COLOURS = Palette(
    error="\x1b[1;31m",
    warning="\x1b[1;33m",
    note="\x1b[1;36m",
    frame="\x1b[34m",
    bold="\x1b[1m",
    reset="\x1b[0m",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One underlined place of an excerpt: columns (0-based, exclusive end) of `line` in shown width."""

    line: int
    start: int
    end: int
    text: str
    primary: bool


def render_text(diagnostics: Sequence[Diagnostic], palette: Palette = PLAIN) -> str:
    """All diagnostics one behind the other, each followed by an empty line."""
    return "".join("\n".join(_text_lines(d, palette)) + "\n\n" for d in diagnostics)


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(as_json(d), ensure_ascii=False) + "\n" for d in diagnostics)


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """The facts of a diagnostic as plain data; lines and columns count from 1, ends are exclusive."""
    return {
        "type": "diagnostic",
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": printable(diagnostic.title()),
        "label": printable(diagnostic.label()),
        "help": printable(diagnostic.help()),
        "span": None if diagnostic.span is None else _json_span(diagnostic.span),
        "related": [
            {"label": printable(text), "span": _json_span(span)} for span, text in diagnostic.related()
        ],
    }


def printable(text: str) -> str:
    """Text of a script made fit for a terminal or JSON: bytes that are no UTF-8 and control characters replaced."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unprintable(c) else c for c in text)


def _is_unprintable(char: str) -> bool:
    return char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs")


def _json_span(span: Span) -> dict[str, object]:
    line, column = span.line_column
    end_line, end_column = span.source.line_column(span.end)
    return {
        "file": printable(span.source.name),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _text_lines(diagnostic: Diagnostic, palette: Palette) -> Iterator[str]:
    hue = palette.error if diagnostic.severity == "error" else palette.warning
    title = printable(diagnostic.title())
    yield f"{hue}{diagnostic.severity}[{diagnostic.code}]{palette.reset}{palette.bold}: {title}{palette.reset}"
    places: list[tuple[Span, str, bool]] = []
    if diagnostic.span is not None:
        places.append((diagnostic.span, diagnostic.label(), True))
    places += [(span, text, False) for span, text in diagnostic.related()]
    gutter = max((len(str(span.line_column[0])) for span, _, _ in places), default=0) + 1
    for number, (source, of_file) in enumerate(_by_file(places)):
        line, column = of_file[0][0].line_column
        arrow = ":::" if number else "-->"
        yield f"{' ' * gutter}{palette.frame}{arrow}{palette.reset} {printable(source.name)}:{line}:{column}"
        yield from _excerpt(source, of_file, gutter, hue, palette)
    if help_text := printable(diagnostic.help()):
        first, *rest = help_text.split("\n")
        yield f"{' ' * gutter} {palette.frame}={palette.reset} {palette.note}help{palette.reset}: {first}"
        yield from (f"{' ' * gutter}   {text}" for text in rest)


def _by_file(places: list[tuple[Span, str, bool]]) -> list[tuple[SourceFile, list[tuple[Span, str, bool]]]]:
    """Places grouped by file, files in order of first mention (which begins with the diagnostic's own)."""
    groups: list[tuple[SourceFile, list[tuple[Span, str, bool]]]] = []
    for place in places:
        for source, of_file in groups:
            if source is place[0].source:
                of_file.append(place)
                break
        else:
            groups.append((place[0].source, [place]))
    return groups


def _excerpt(
    source: SourceFile, places: list[tuple[Span, str, bool]], gutter: int, hue: str, palette: Palette
) -> Iterator[str]:
    bar = f"{' ' * gutter} {palette.frame}|{palette.reset}"
    yield bar
    marks = [_mark(span, text, primary) for span, text, primary in places]
    previous: int | None = None
    for line in sorted({mark.line for mark in marks}):
        if previous is not None and line > previous + 1:
            yield f"{' ' * (gutter - 1)}{palette.frame}...{palette.reset}"
        previous = line
        here = sorted((m for m in marks if m.line == line), key=lambda m: m.start)
        shown, shift = _window(shown_text(source.line_text(line).rstrip("\r")), here)
        yield f"{palette.frame}{line:>{gutter}} |{palette.reset} {shown}".rstrip()
        for text in _underlines(here, shift, len(shown), hue, palette):
            yield f"{bar} {text}"


def _mark(span: Span, text: str, primary: bool) -> Mark:
    """Where a span is underlined: its part on its first line, at least one column wide."""
    line, column = span.line_column
    source_line = span.source.line_text(line)
    length = min(max(span.end - span.start, 0), max(len(source_line) - (column - 1), 0))
    start = shown_width(source_line[: column - 1])
    end = shown_width(source_line[: column - 1 + length])
    return Mark(line, start, max(end, start + 1), printable(text), primary)


def _underlines(marks: list[Mark], shift: int, width: int, hue: str, palette: Palette) -> Iterator[str]:
    """One line a mark, but marks without a text share the line of the last."""
    pending: list[Mark] = []
    for mark in marks:
        overlaps = bool(pending) and pending[-1].end > mark.start
        if overlaps:
            yield _underline(pending, shift, width, hue, palette)
            pending = []
        pending.append(mark)
        if mark.text:
            yield _underline(pending, shift, width, hue, palette)
            pending = []
    if pending:
        yield _underline(pending, shift, width, hue, palette)


def _underline(marks: list[Mark], shift: int, width: int, hue: str, palette: Palette) -> str:
    parts: list[str] = []
    column = 0
    for mark in marks:
        start, end = max(mark.start - shift, 0), max(min(mark.end - shift, width), mark.start - shift + 1)
        sign, tint = ("^", hue) if mark.primary else ("-", palette.note)
        first, *rest = mark.text.split("\n")
        text = f" {first}" if first else ""
        below = "".join(f"\n{' ' * (end + 1)}{line}" for line in rest)
        parts.append(f"{' ' * (start - column)}{tint}{sign * (end - start)}{text}{below}{palette.reset}")
        column = end
    return "".join(parts)


def shown_text(line: str) -> str:
    """A source line as shown: tabs as spaces, what cannot be printed replaced."""
    shown = ""
    column = 0
    for char in line:
        piece = " " * (TAB_COLUMNS - column % TAB_COLUMNS) if char == "\t" else printable(char)
        shown += piece
        column += shown_width(piece)
    return shown


def shown_width(text: str) -> int:
    """Columns that `text` takes when it starts at column 0."""
    column = 0
    for char in text:
        if char == "\t":
            column += TAB_COLUMNS - column % TAB_COLUMNS
        elif unicodedata.combining(char):
            continue
        else:
            column += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return column


def _window(shown: str, marks: list[Mark]) -> tuple[str, int]:
    """The part of a long line around its marks, and how far its columns moved."""
    if len(shown) <= WIDEST_LINE:
        return shown, 0
    start = max(min(m.start for m in marks) - WIDEST_LINE // 3, 0)
    end = min(start + WIDEST_LINE, len(shown))
    front, back = "... " if start else "", " ..." if end < len(shown) else ""
    return f"{front}{shown[start:end]}{back}", start - len(front)
