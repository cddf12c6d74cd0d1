"""Type variables: what inference fills in.

    x = y; y = 1   ->  the cells of x and y are one, then that one is `long`

A cell without type may be linked to another; one with a type never changes. So the first use in source order decides, and
a later one that disagrees is the mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.artifact.code import Type
from probelang.source import Span


@dataclass(slots=True, eq=False)
class Cell:
    """`origin`: where the type was first inferred. `doubtful`: a mistake about it was already reported."""

    type: Type | None = None
    origin: Span | None = None
    link: Cell | None = None
    doubtful: bool = False


LONG = Cell(Type.LONG)
STRING = Cell(Type.STRING)


def root(cell: Cell) -> Cell:
    while cell.link is not None:
        cell = cell.link
    return cell


def type_in(cell: Cell) -> Type | None:
    return root(cell).type


def settle(cell: Cell, kind: Type, origin: Span | None) -> bool:
    """Makes the cell this type; False when it has another."""
    cell = root(cell)
    if cell.type is None:
        cell.type, cell.origin = kind, origin
    return cell.type == kind


def unify(left: Cell, right: Cell, origin: Span | None) -> bool:
    """Makes both the same; False when they have different types."""
    left, right = root(left), root(right)
    if left is right:
        return True
    if left.type is None and right.type is None:
        right.link = left
        left.doubtful = left.doubtful or right.doubtful
        return True
    if left.type is None:
        left.type, left.origin = right.type, right.origin or origin
    elif right.type is None:
        right.type, right.origin = left.type, left.origin or origin
    return left.type == right.type
