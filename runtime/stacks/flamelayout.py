"""Where the boxes of a flame graph lie.

    main;work 3, main;rest 1  ->  Box(main, depth 0, 0..4), Box(rest, depth 1, 0..1), Box(work, depth 1, 1..4)

Rows are gone through once: boxes that neighbours share stay open, all others are closed. Nothing is kept of a box that
would be too narrow to see, so a million frames cost no more than what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.runtime.stacks.profile import Paths, Step

MOST_BOXES = 20_000
SMALLEST_SHARE = 1 / 12_000
"""A tenth of a pixel of 1,200."""


@dataclass(frozen=True, slots=True)
class Box:
    """`start` and `weight` in units of weight, from the left."""

    step: Step
    depth: int
    start: int
    weight: int


@dataclass(frozen=True, slots=True)
class Layout:
    """`left_out`: boxes too narrow to be seen."""

    boxes: tuple[Box, ...]
    total: int
    depth: int
    left_out: int


def lay_out(paths: Paths, most: int = MOST_BOXES) -> Layout:
    """Boxes that lie beneath stand first. Siblings come in the order of their names."""
    total = paths.total
    kept, count = _sweep(paths, total * SMALLEST_SHARE)
    kept.sort(key=lambda box: (-box.weight, box.depth))  # whoever stays, what lies beneath it stays too
    boxes = sorted(kept[:most], key=lambda box: (box.depth, box.start))
    depth = max((box.depth + 1 for box in boxes), default=0)
    return Layout(tuple(boxes), total, depth, count - len(boxes))


def _sweep(paths: Paths, least: float) -> tuple[list[Box], int]:
    """The boxes that are wide enough, and the count of all."""
    kept: list[Box] = []
    count = position = 0
    opened: list[int] = []  # where the boxes of the current way began
    current: tuple[int, ...] = ()

    def close(depth: int) -> None:
        nonlocal count
        while len(opened) > depth:
            start = opened.pop()
            count += 1
            if position - start >= least:
                step = paths.steps[current[len(opened)]]
                kept.append(Box(step, len(opened), start, position - start))

    for way, weight in paths.rows:
        close(_shared(current, way))
        current = way
        opened += [position] * (len(way) - len(opened))
        position += weight
    close(0)
    return kept, count


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many of the first steps are the same."""
    for depth, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return depth
    return min(len(one), len(other))
