"""Folded stacks: one line a stack, from the root, and its weight, as flamegraph.pl and its like read them.

    execname;main;work;inner 3

Frames that were inlined are frames as others are. Lines are sorted, so two files can be compared.
"""

from __future__ import annotations

import re

from probelang.runtime.stacks.profile import Paths

_SPACE = re.compile(r"\s+")


def folded(paths: Paths) -> bytes:
    names = [frame_text(step.name) for step in paths.steps]
    weights: dict[str, int] = {}
    for way, weight in paths.rows:
        line = ";".join([names[number] for number in way])
        weights[line] = weights.get(line, 0) + weight
    text = "".join(f"{line} {weight}\n" for line, weight in sorted(weights.items()))
    return text.encode("utf-8", "backslashreplace")


def frame_text(name: str) -> str:
    """A semicolon would begin another frame, a line's end another stack."""
    return _SPACE.sub(" ", name).replace(";", ":") or "?"
