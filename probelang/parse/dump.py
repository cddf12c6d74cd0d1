"""Showing syntax trees, for --emit syntax: one node a line, with its place.

    1:1 Probe
      points: 1:7 ProbePoint
        components: 1:7 Component name='begin'
      body: 1:13 Block

Small values stand on the node's line; parts that are nodes stand below, indented.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import cast

from probelang import syntax
from probelang.source import Span


def dump(program: syntax.Program) -> str:
    """The whole program as text."""
    return "".join(f"{line}\n" for part in program.declarations for line in _lines(part, "", 0))


def _lines(node: syntax.Node, label: str, indent: int) -> Iterator[str]:
    line, column = node.span.line_column
    small: list[str] = []
    parts: list[tuple[str, syntax.Node]] = []
    for name, value in _fields(node):
        if isinstance(value, syntax.Node):
            parts.append((name, value))
        elif isinstance(value, tuple) and value:
            parts.extend(_flat(name, cast("tuple[object, ...]", value)))
        elif value is not None and value is not False and value not in ("", ()):
            small.append(f" {name}={value!r}")
    yield f"{'  ' * indent}{label}{line}:{column} {type(node).__name__}{''.join(small)}"
    for name, part in parts:
        yield from _lines(part, f"{name}: ", indent + 1)


def _fields(node: syntax.Node) -> Iterator[tuple[str, object]]:
    for field in fields(node):
        value: object = getattr(node, field.name)
        if not isinstance(value, Span):
            yield field.name, value


def _flat(name: str, items: tuple[object, ...]) -> Iterator[tuple[str, syntax.Node]]:
    for item in items:
        if isinstance(item, syntax.Node):
            yield name, item
