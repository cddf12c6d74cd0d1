"""Histograms as text.

    shape log, one value 4 and two values 2  ->
    value |-------------------------------------------------- count
        0 |                                                    0
        1 |                                                    0
        2 |@@                                                  2
        4 |@                                                   1
        8 |                                                    0
       16 |                                                    0

Two empty rows stand either side of the values (of a linear one: no empty overflow rows). Empty rows further than two from
any value are replaced by ` ~`. Bars are scaled down to the width when a count is larger than it.
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.artifact.code import HistogramShape
from probelang.artifact.histogram import LOG_ZERO, bucket_label

WIDTH = 50
MARGIN = 2  # empty rows shown beside a row with values


def render_histogram(shape: HistogramShape, counts: Sequence[int]) -> bytes:
    """The table, with an empty line after it. `counts` has one count for each bucket, not all zero."""
    low, high = _visible_range(shape, counts)
    largest = max(counts)
    scale = max(1, -(-largest // WIDTH))
    labels = {bucket: bucket_label(shape, bucket) for bucket in range(low, high + 1)}
    label_width = max(len("value"), *(len(label) for label in labels.values()))
    count_width = len(str(largest))
    lines = [f"{'value':>{label_width}} |{'-' * WIDTH} count"]
    elided = False
    for bucket, label in labels.items():
        if not any(counts[max(low, bucket - MARGIN) : min(high, bucket + MARGIN) + 1]):
            elided = True
            continue
        if elided:
            lines.append(" " * label_width + " ~")
            elided = False
        bar = "@" * (counts[bucket] // scale)
        lines.append(f"{label:>{label_width}} |{bar}{counts[bucket]:>{WIDTH - len(bar) + 2 + count_width}}")
    return ("\n".join(lines) + "\n\n").encode()


def _visible_range(shape: HistogramShape, counts: Sequence[int]) -> tuple[int, int]:
    filled = [bucket for bucket, count in enumerate(counts) if count]
    last = len(counts) - 1
    low, high = (filled[0], filled[-1]) if filled else (0, 0)
    for _ in range(MARGIN):
        # a logarithmic histogram shows no negative rows unless there are negative values
        if low > 0 and not (shape.kind == "log" and low == LOG_ZERO):
            low -= 1
        high = min(high + 1, last)
    if shape.kind == "linear":
        if low == 0 and counts[0] == 0:
            low = 1
        if high == last and counts[last] == 0:
            high = last - 1
    return low, high
