"""Walks over typed code: every node below one, in the order of evaluation as written.

[n for n in nodes(handler.body) if isinstance(n, Print)]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TypeAlias, cast, get_args

from probelang import typed
from probelang.artifact.code import Expr, Handler, Histogram, Stmt

Node: TypeAlias = Expr | Stmt | Histogram


_NAMES: dict[str, tuple[str, ...]] = {
    kind.__name__: tuple(f.name for f in fields(kind))
    for kind in (*get_args(Expr), *get_args(Stmt), Histogram)
}


def nodes(*roots: object) -> Iterator[Node]:
    """All nodes, parents first. None and plain data are skipped."""
    pending: list[object] = [*reversed(roots)]
    while pending:
        node = pending.pop()
        if isinstance(node, tuple):
            pending.extend(reversed(cast("tuple[object, ...]", node)))
        elif isinstance(node, Expr | Stmt | Histogram):
            yield node
            names = _NAMES[type(node).__name__]
            pending.extend(getattr(node, name) for name in reversed(names))


def handler_nodes(handler: Handler) -> Iterator[Node]:
    return nodes(handler.armed, handler.when, handler.body)


def probe_nodes(probe: typed.Probe) -> Iterator[Node]:
    """Of all its handlers."""
    return (node for handler in probe.handlers for node in handler_nodes(handler))
