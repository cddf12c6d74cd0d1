"""Places in source code as probe points write them.

parse_place("f*@src/x.c:10-20,30")  ->  Place("f*", "src/x.c", Lines(ranges=((10, 20), (30, 30))))
parse_place("f@x.c:+5")             ->  Place("f", "x.c", Lines(behind=5))
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from probelang.diag.deferred import places
from probelang.dwarf.image import BinaryError

_LINES = re.compile(r"\*|\+\d{1,9}|\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*")


@dataclass(frozen=True, slots=True)
class Lines:
    """`ranges`: first and last line of each. `behind`: so many lines behind the function's declaration. Neither: all."""

    ranges: tuple[tuple[int, int], ...] = ()
    behind: int | None = None

    def __contains__(self, line: object) -> bool:
        return isinstance(line, int) and any(low <= line <= high for low, high in self.ranges)

    @property
    def single(self) -> int | None:
        """The line, where only one is meant."""
        if len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]:
            return self.ranges[0][0]
        return None

    def text(self) -> str:
        if self.behind is not None:
            return f"+{self.behind}"
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in self.ranges) or "*"


@dataclass(frozen=True, slots=True)
class Place:
    """`function`: a name or glob. `file`: empty where none was given."""

    function: str
    file: str = ""
    lines: Lines | None = None


def parse_place(text: str) -> Place:
    """Raises BinaryError for what is none."""
    function, at, rest = text.partition("@")
    if not at:
        return Place(text)
    file, colon, lines = rest.rpartition(":")
    if not colon:
        file, lines = rest, ""
    if not function or not file or (colon and _LINES.fullmatch(lines) is None):
        raise BinaryError(places.BadPlace(place=text))
    return Place(function, file, _lines(lines) if colon else None)


def _lines(text: str) -> Lines:
    if text == "*":
        return Lines()
    if text.startswith("+"):
        return Lines(behind=int(text[1:]))
    pairs = (part.partition("-") for part in text.split(","))
    return Lines(tuple((int(low), int(high or low)) for low, _, high in pairs))
