"""Reads of aggregates and histograms, and membership in arrays.

@avg(a[k])  ->  stat.sum / stat.count, truncated; of no values: the soft error `empty aggregate`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from probelang.artifact import code
from probelang.artifact.code import Expr
from probelang.runtime.evaluate.arithmetic import divide, wrap
from probelang.runtime.evaluate.frame import Frame, LongCode, SoftError, TextCode, ValueCode
from probelang.runtime.output.histogram import render_histogram
from probelang.runtime.store import Key, Stat, Value

if TYPE_CHECKING:
    from probelang.runtime.evaluate.expressions import Compiler

EMPTY = b"empty aggregate"
Pattern: TypeAlias = Callable[[Frame], tuple["Value | None", ...]]


def read(compiler: Compiler, expr: code.Extract | code.BucketCount) -> LongCode:
    if isinstance(expr, code.BucketCount):
        return _bucket_count(compiler, expr)
    find, op, at = _finder(compiler, expr.variable, expr.index), expr.op, expr.at

    def extract(frame: Frame) -> int:
        stat = find(frame)
        if stat is None or stat.count == 0:
            if op in ("count", "sum"):
                return 0
            raise SoftError(EMPTY, at)
        return extract_from(stat, op)

    return extract


def extract_from(stat: Stat, op: str) -> int:
    """An operator's value of an aggregate that is not empty."""
    match op:
        case "count":
            return stat.count
        case "sum":
            return stat.sum
        case "min":
            return stat.minimum
        case "max":
            return stat.maximum
        case "avg":
            return divide(stat.sum, stat.count)
        case _:
            return sample_variance(stat)


def sample_variance(stat: Stat) -> int:
    """Exact but for the last division, while the sum fits 64 bits."""
    if stat.count < 2:
        return 0
    spread = stat.count * stat.squares - stat.sum * stat.sum
    return wrap(spread // (stat.count * (stat.count - 1)))


def histogram_counts(compiler: Compiler, histogram: code.Histogram) -> Callable[[Frame], Sequence[int]]:
    find = _finder(compiler, histogram.variable, histogram.index)
    shape = compiler.environment.variables[histogram.variable].shapes.index(histogram.shape)
    at = histogram.at

    def counts(frame: Frame) -> Sequence[int]:
        stat = find(frame)
        if stat is None or stat.count == 0:
            raise SoftError(EMPTY, at)
        return stat.histograms[shape]

    return counts


def histogram_text(compiler: Compiler, histogram: code.Histogram) -> TextCode:
    counts, shape = histogram_counts(compiler, histogram), histogram.shape
    return lambda frame: render_histogram(shape, counts(frame))


def _bucket_count(compiler: Compiler, expr: code.BucketCount) -> LongCode:
    counts, bucket, at = histogram_counts(compiler, expr.histogram), compiler.long(expr.bucket), expr.at

    def count(frame: Frame) -> int:
        rows = counts(frame)
        number = bucket(frame)
        if not 0 <= number < len(rows):
            raise SoftError(b"histogram index out of range", at)
        return rows[number]

    return count


def _finder(
    compiler: Compiler, variable: int, index: tuple[Expr, ...] | None
) -> Callable[[Frame], Stat | None]:
    store = compiler.environment.store
    if index is None:
        return lambda frame: store.stat(variable, None)
    key = compiler.key(index)
    return lambda frame: store.stat(variable, key(frame))


def pattern(compiler: Compiler, index: Sequence[Expr | None]) -> Pattern:
    """A key in which None stands for anything."""
    parts: list[ValueCode | None] = [None if part is None else compiler.value(part) for part in index]
    return lambda frame: tuple([None if part is None else part(frame) for part in parts])


def fits(key: Key, wanted: tuple[Value | None, ...]) -> bool:
    return all(want is None or want == part for part, want in zip(key, wanted, strict=True))


def contains(compiler: Compiler, expr: code.Contains) -> LongCode:
    store, variable = compiler.environment.store, expr.variable
    exact = [part for part in expr.index if part is not None]
    if len(exact) == len(expr.index):
        key = compiler.key(exact)
        return lambda frame: 1 if store.contains(variable, key(frame)) else 0
    wanted = pattern(compiler, expr.index)

    def search(frame: Frame) -> int:
        slice_ = wanted(frame)
        return 1 if any(fits(key, slice_) for key in store.keys(variable)) else 0

    return search
