"""Aggregates: adding a value, and reading what has been added.

    s <<< v   ->  lock add [sum], v; min and max by compare-and-exchange; lock add [bucket], 1; lock add [count], 1

Exact from any number of CPUs: every field is one atomic operation, the count last, so who sees a count sees minimum and
maximum. Minimum and maximum are stored so that all zero means empty (`manifest.StatLayout`).
"""

from __future__ import annotations

from collections.abc import Callable

from probelang.artifact.code import (
    Accumulate,
    BucketCount,
    Element,
    Expr,
    Extract,
    Histogram,
    HistogramShape,
    Scalar,
)
from probelang.artifact.histogram import LOG_ZERO
from probelang.artifact.manifest import BssStorage, HistogramLayout, MapStorage, StatLayout
from probelang.diag import InternalError
from probelang.llvm import arrays, expressions, globals
from probelang.llvm.builder import Bit, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.values import Cell

INT64_MAX, INT64_MIN = (1 << 63) - 1, -(1 << 63)
ATTEMPTS = 1 << 16
EMPTY = "empty aggregate"


def layout_of(e: Emitter, variable: int) -> StatLayout:
    storage = e.module.program.storages[variable]
    if not isinstance(storage, BssStorage | MapStorage) or storage.stats is None:
        raise InternalError(f"variable {variable} is no aggregate of the kernel half")
    return storage.stats


# ------------------------------------------------------------------------------------------------- adding


def accumulate(e: Emitter, node: Accumulate) -> Value:
    variable = node.target.variable
    layout = layout_of(e, variable)
    storage = e.module.program.storages[variable]
    if isinstance(node.target, Scalar) and isinstance(storage, BssStorage):
        value = expressions.emit_long(e, node.value)
        add(e, globals.storage_pointer(e, variable), layout, value)
        return value
    index = node.target.index if isinstance(node.target, Element) else ()
    kept = e.cell()
    with e.temporaries():
        values, value = arrays.evaluate_both(e, index, node.value)
        e.set(kept, value)
        map_storage = arrays.storage_of(e, variable)
        with arrays.element_of(e, variable, map_storage, values, node.at, insert=bool(index)) as pointer:
            add(e, pointer, layout, e.get(kept))
    return e.get(kept)


def add(e: Emitter, stat: Pointer, layout: StatLayout, value: Value) -> None:
    """Adds one value to the aggregate at `stat`."""
    if layout.sum is not None:
        e.atomic("add", e.offset(stat, layout.sum), value)
    if layout.minimum is not None:
        improve(
            e, e.offset(stat, layout.minimum), value, INT64_MAX, lambda new, old: e.compare("slt", new, old)
        )
    if layout.maximum is not None:
        improve(
            e, e.offset(stat, layout.maximum), value, INT64_MIN, lambda new, old: e.compare("sgt", new, old)
        )
    if layout.squares is not None:
        add_square(e, e.offset(stat, layout.squares), value)
    for histogram in layout.histograms:
        bucket, valid = bucket_of(e, histogram, value)
        with e.when(valid):
            place = e.offset(e.offset(stat, histogram.offset), e.shift_left(bucket, 3))
            e.atomic("add", place, 1)
    e.atomic("add", e.offset(stat, layout.count), 1)


def improve(
    e: Emitter, place: Pointer, value: Value, domain: int, better: Callable[[Value, Value], Bit]
) -> None:
    """Replaces the minimum or maximum at `place` while `value` is better."""
    first, behind = e.load(place), e.fresh("kept")
    again = e.fresh("better")
    e.branch_if(better(value, e.bits_xor(first, domain)), again, behind)
    e.start(again)
    with e.loop(ATTEMPTS, plain_turns=64) as loop:
        old = e.load(place)
        e.stop_if(loop, e.negate(better(value, e.bits_xor(old, domain))))
        seen = e.compare_exchange(place, old, e.bits_xor(value, domain))
        e.stop_if(loop, e.compare("eq", seen, old))
    e.start(behind)


def add_square(e: Emitter, place: Pointer, value: Value) -> None:
    """Adds value**2, 128 bits, to two words: each atomic, the carry follows the low word."""
    sign = e.shift_right(value, 63, signed=True)
    size = e.sub(e.bits_xor(value, sign), sign)
    high, low = e.shift_right(size, 32), e.bits_and(size, 0xFFFFFFFF)
    middle = e.mul(high, low)  # twice, 33 bits up
    low_square = e.mul(low, low)
    shifted = e.shift_left(middle, 33)
    total_low = e.add(low_square, shifted)
    carry = e.widen(e.compare("ult", total_low, shifted))
    total_high = e.add(e.add(e.mul(high, high), e.shift_right(middle, 31)), carry)
    old = e.atomic_fetch("add", place, total_low)
    overflow = e.widen(e.compare("ult", e.add(old, total_low), total_low))
    e.atomic("add", e.offset(place, 8), e.add(total_high, overflow))


def bucket_of(e: Emitter, histogram: HistogramLayout, value: Value) -> tuple[Value, Bit]:
    """The bucket's number, and that it is one (which the verifier must see, and which always holds)."""
    if histogram.shape.kind == "log":
        bucket = log_bucket(e, value)
    else:
        bucket = linear_bucket(e, histogram.shape, histogram.buckets, value)
    bucket = e.opaque(bucket)
    return bucket, e.compare("ult", bucket, histogram.buckets)


def log_bucket(e: Emitter, value: Value) -> Value:
    """64, plus or minus the number of bits of the magnitude; without branches: bits are smeared down and counted."""
    sign = e.shift_right(value, 63, signed=True)
    bits = e.sub(e.bits_xor(value, sign), sign)
    for distance in (1, 2, 4, 8, 16, 32):
        bits = e.bits_or(bits, e.shift_right(bits, distance))
    bits = e.sub(bits, e.bits_and(e.shift_right(bits, 1), 0x5555555555555555))
    pairs = e.bits_and(e.shift_right(bits, 2), 0x3333333333333333)
    bits = e.add(e.bits_and(bits, 0x3333333333333333), pairs)
    bits = e.bits_and(e.add(bits, e.shift_right(bits, 4)), 0x0F0F0F0F0F0F0F0F)
    count = e.shift_right(e.mul(bits, 0x0101010101010101), 56)
    return e.add(e.sub(e.bits_xor(count, sign), sign), LOG_ZERO)


def linear_bucket(e: Emitter, shape: HistogramShape, buckets: int, value: Value) -> Value:
    cell = e.cell(0)
    with e.when(e.compare("sge", value, shape.low)):
        e.set(cell, buckets - 1)
        row = e.arithmetic("udiv", e.sub(value, shape.low), shape.step)
        with e.when(e.compare("ult", row, buckets - 2)):
            e.set(cell, e.add(row, 1))
    return e.get(cell)


# ------------------------------------------------------------------------------------------------- reading


def with_stat(
    e: Emitter, variable: int, index: tuple[Expr, ...] | None, at: int, use: Callable[[Pointer], None]
) -> None:
    """Runs `use` with a pointer to the aggregate; not at all when the element is missing."""
    storage = e.module.program.storages[variable]
    if isinstance(storage, BssStorage):
        use(globals.storage_pointer(e, variable))
        return
    with arrays.element(e, variable, index or (), at, insert=False) as pointer:
        use(pointer)


def extract(e: Emitter, node: Extract) -> Value:
    layout = layout_of(e, node.variable)
    count, first, second, third = e.cell(0), e.cell(0), e.cell(0), e.cell(0)
    fields = {
        "count": (), "sum": (layout.sum,), "min": (layout.minimum,), "max": (layout.maximum,), "avg": (layout.sum,),
        "variance": (layout.sum, layout.squares, None if layout.squares is None else layout.squares + 8),
    }[node.op]  # fmt: skip

    def use(stat: Pointer) -> None:
        e.set(count, e.load(e.offset(stat, layout.count)))
        for cell, field in zip((first, second, third), fields, strict=False):
            if field is None:
                raise InternalError(f"the layout has no field for @{node.op}")
            e.set(cell, e.load(e.offset(stat, field)))

    with_stat(e, node.variable, node.index, node.at, use)
    if node.op == "count":
        return e.get(count)
    if node.op == "sum":
        return e.get(first)
    e.fail_if(e.compare("eq", e.get(count), 0), EMPTY, node.at)
    match node.op:
        case "min":
            return e.bits_xor(e.get(first), INT64_MAX)
        case "max":
            return e.bits_xor(e.get(first), INT64_MIN)
        case "avg":
            return expressions.divide(e, e.get(first), e.get(count), remainder=False)
        case _:
            from probelang.llvm import variance

            return variance.variance(e, e.get(count), e.get(first), e.get(second), e.get(third))


def emit_count(e: Emitter, histogram: Histogram) -> Value:
    """How many values the aggregate of a histogram holds."""
    return extract(e, Extract("count", histogram.variable, histogram.index, (), histogram.at))


def bucket_count(e: Emitter, node: BucketCount) -> Value:
    histogram = node.histogram
    layout = layout_of(e, histogram.variable)
    place = histogram_layout(layout, histogram)
    count, result = e.cell(0), e.cell(0)
    with e.temporaries():
        index = histogram.index or ()
        values, bucket = arrays.evaluate_both(e, index, node.bucket)
        wanted = e.cell(bucket)
        storage = e.module.program.storages[histogram.variable]
        if isinstance(storage, BssStorage):
            read_bucket(
                e, globals.storage_pointer(e, histogram.variable), layout, place, wanted, count, result
            )
        else:
            element = arrays.element_of(
                e, histogram.variable, storage_map(storage), values, node.at, insert=False
            )
            with element as pointer:
                read_bucket(e, pointer, layout, place, wanted, count, result)
        e.fail_if(e.compare("eq", e.get(count), 0), EMPTY, node.at)
        valid = e.compare("ult", e.get(wanted), place.buckets)
        e.fail_if(e.negate(valid), "histogram index out of range", node.at)
    return e.get(result)


def storage_map(storage: object) -> MapStorage:
    if not isinstance(storage, MapStorage):
        raise InternalError("a histogram that the kernel half does not hold")
    return storage


def read_bucket(
    e: Emitter,
    stat: Pointer,
    layout: StatLayout,
    place: HistogramLayout,
    wanted: Cell,
    count: Cell,
    result: Cell,
) -> None:
    e.set(count, e.load(e.offset(stat, layout.count)))
    number = e.opaque(e.get(wanted))
    with e.when(e.compare("ult", number, place.buckets)):
        e.set(result, e.load(e.offset(e.offset(stat, place.offset), e.shift_left(number, 3))))


def histogram_layout(layout: StatLayout, histogram: Histogram) -> HistogramLayout:
    for place in layout.histograms:
        if place.shape == histogram.shape:
            return place
    raise InternalError("a histogram that the layout does not have")
