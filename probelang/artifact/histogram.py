"""Buckets of histograms: how many there are, which one a value falls into, and what each is called.

    log:    bucket 64 is 0, 64+k is 2**(k-1) <= v < 2**k, 64-k its mirror; 129 buckets, called by the number nearest to 0
    linear: bucket 0 is below `low`, i is low+(i-1)*step <= v < low+i*step up to the step that `high` begins, the last is above

Both halves count into the same numbers, so this is the one place that defines them.
"""

from __future__ import annotations

from probelang.artifact.code import HistogramShape

LOG_ZERO = 64
LOG_BUCKETS = 129


def bucket_count(shape: HistogramShape) -> int:
    if shape.kind == "log":
        return LOG_BUCKETS
    return -((shape.low - shape.high) // shape.step) + 3


def bucket_of(shape: HistogramShape, value: int) -> int:
    """The bucket of a signed 64-bit value."""
    if shape.kind == "log":
        return LOG_ZERO + value.bit_length() if value >= 0 else LOG_ZERO - (-value).bit_length()
    if value < shape.low:
        return 0
    return min((value - shape.low) // shape.step + 1, bucket_count(shape) - 1)


def bucket_label(shape: HistogramShape, bucket: int) -> str:
    if shape.kind == "log":
        distance = abs(bucket - LOG_ZERO)
        if distance == 0:
            return "0"
        return str(1 << (distance - 1)) if bucket > LOG_ZERO else str(-(1 << (distance - 1)))
    if bucket == 0:
        return f"<{shape.low}"
    if bucket == bucket_count(shape) - 1:
        return f">{shape.high}"
    return str(shape.low + (bucket - 1) * shape.step)
