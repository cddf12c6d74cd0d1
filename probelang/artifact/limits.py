"""Limits of a run. Reaching one is a soft error (or a counted loss) that names its place, never silent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`string_size`: bytes of a string buffer, with its NUL (-S). `map_entries`: elements of an array that declares no size
    (MAXMAPENTRIES). `actions`: statements per hit of a process probe (MAXACTION); `user_actions`: of a begin, end or
    timer handler. `nesting`: calls of functions inside each other (MAXNESTING). `errors`: soft errors that are
    reported and survived (MAXERRORS); `suppress_errors`: survive all of them."""

    string_size: int = 256
    map_entries: int = 65536
    actions: int = 100_000
    user_actions: int = 100_000_000
    nesting: int = 10
    errors: int = 0
    suppress_errors: bool = False
