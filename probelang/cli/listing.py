"""`probelang list` (and run -l, -L): the places that a probe point means, one a line.

probelang list -L 'process("/bin/x").function("list_*")'
-> process("/bin/x").function("list_insert@/src/x.c:12") $list:struct list * $i:int (it was optimised out)
   ...
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING

from probelang.cli.arguments import Given, UsageError
from probelang.cli.compiling import watch
from probelang.cli.messages import Messages
from probelang.cli.request import read_options
from probelang.pipeline import known_features, list_places

if TYPE_CHECKING:
    from probelang.resolve.listing import Listed, Readable

_STATEMENT = re.compile(r'statement\("([^"@]*)@([^"]*)"\)')
_NUMBERS = re.compile(r"(\d+)")


def list_points(given: Given, messages: Messages, point: str | None = None) -> int:
    """`point` is given by run -l; else it is the only word."""
    if point is None:
        if len(given.words) != 1:
            raise UsageError("list takes one probe point, quoted from the shell")
        point = given.words[0]
    options = read_options(given, (), known_features())
    verbose = given.has("-L") or messages.json
    found = list_places(point, options, verbose, watch(given, messages).hooks())
    rows = sorted(found, key=lambda listed: (_natural(listed.point), listed.file, listed.address))
    for line in dict.fromkeys(row_text(row, given, messages.json) for row in rows):
        sys.stdout.write(line + "\n")
    return 0


def row_text(row: Listed, given: Given, as_json: bool) -> str:
    if as_json:
        return _as_json(row)
    point = shlex.quote(row.point) if given.has("--quote") else row.point
    if not given.has("-L"):
        return point
    return " ".join((point, *(_readable_text(r) for r in row.readable)))


def _readable_text(readable: Readable) -> str:
    text = f"{readable.name}:{readable.type}" if readable.type else readable.name
    return f"{text} ({readable.reason})" if readable.reason else text


def _as_json(row: Listed) -> str:
    readable = [r.name for r in row.readable if not r.reason]
    variables = [
        {"name": r.name, "type": r.type, "available": not r.reason, "reason": r.reason}
        for r in row.readable
        if r.type
    ]
    fields = {"point": row.point, "file": row.file, "address": row.address, "readable": readable}
    return json.dumps({**fields, "variables": variables})


def _natural(text: str) -> list[tuple[int, str]]:
    """A key by which line 9 comes before line 12, and statements come in the order of their source."""
    text = _STATEMENT.sub(r'statement("\2@\1")', text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(text)]
