"""The names that a piece of code refers to: functions it calls, variables it may mean.

references(block of `x = f(y)`)  ->  References(calls=(Call f,), variables={"x", "y"})
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import cast

from probelang import syntax


@dataclass(frozen=True, slots=True)
class References:
    """`variables`: names of locals and globals alike; only a declaration tells them apart."""

    calls: tuple[syntax.Call, ...]
    variables: frozenset[str]


def references(*roots: syntax.Node) -> References:
    calls: list[syntax.Call] = []
    variables: set[str] = set()
    for root in roots:
        for node in walk(root):
            match node:
                case syntax.Call():
                    calls.append(node)
                case syntax.Name():
                    variables.add(node.name)
                case _:
                    pass
    return References(tuple(calls), frozenset(variables))


def walk(root: syntax.Node) -> Iterator[syntax.Node]:
    """A node and everything below it, in source order. By hand, because scripts nest deeper than Python recurses."""
    waiting: list[object] = [root]
    while waiting:
        item = waiting.pop()
        if isinstance(item, syntax.Node):
            yield item
            waiting += [getattr(item, f.name) for f in reversed(fields(item)) if f.name != "span"]
        elif isinstance(item, tuple):
            waiting += reversed(cast("tuple[object, ...]", item))
