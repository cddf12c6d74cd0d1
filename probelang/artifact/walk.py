"""Everything inside a piece of typed code, in no particular order.

    [n for n in walk(handler) if isinstance(n, Print)]

Needs no list of kinds: any dataclass of `probelang.artifact.code` counts, handlers and targets included. Whoever wants the order of
evaluation takes `probelang.layout.walk`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import cast


def walk(node: object) -> Iterator[object]:
    """The node, or those of a tuple, and everything inside."""
    todo: list[object] = [node]
    while todo:
        item = todo.pop()
        if isinstance(item, tuple):
            todo.extend(cast("tuple[object, ...]", item))
        elif is_dataclass(item) and not isinstance(item, type):
            yield item
            todo.extend(getattr(item, field.name) for field in fields(item))
