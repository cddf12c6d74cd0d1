"""Walks over typed code: every node below one, in the order of evaluation as written.

[n for n in nodes(handler.body) if isinstance(n, Print)]
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TypeAlias

from probelang.artifact.code import Expr, Handler, Histogram, Stmt

Node: TypeAlias = Expr | Stmt | Histogram


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind)) if isinstance(kind, type) and is_dataclass(kind) else ()


def nodes(*roots: object) -> Iterator[Node]:
    """All nodes, parents first. None and plain data are skipped."""
    pending = list(reversed(roots))
    while pending:
        node = pending.pop()
        if isinstance(node, tuple):
            pending.extend(reversed(node))
        elif isinstance(node, Expr | Stmt | Histogram):
            yield node
            pending.extend(getattr(node, name) for name in reversed(_names(type(node))))


def handler_nodes(handler: Handler) -> Iterator[Node]:
    return nodes(handler.armed, handler.when, handler.body)
