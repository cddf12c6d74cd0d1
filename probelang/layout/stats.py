"""Where the fields of an aggregate lie.

@count(s) @avg(s) @hist_log(s)  ->  StatLayout(size=1048, count=0, sum=8, histograms=(HistogramLayout(log, 16, 129),))
"""

from __future__ import annotations

from probelang.artifact.code import Variable
from probelang.artifact.histogram import bucket_count
from probelang.artifact.manifest import HistogramLayout, StatLayout


def stat_layout(variable: Variable, operators: frozenset[str] = frozenset()) -> StatLayout:
    """Only the fields that `variable.statistics` and `operators` need; a report shows count, min, max, sum and avg."""
    used = set(variable.statistics) | operators
    if variable.report:
        used |= {"sum", "min", "max"}
    end = 8

    def place(wanted: bool, size: int = 8) -> int | None:
        nonlocal end
        if not wanted:
            return None
        end += size
        return end - size

    total = place(bool(used & {"sum", "avg", "variance"}))
    minimum = place("min" in used)
    maximum = place("max" in used)
    squares = place("variance" in used, 16)
    histograms: list[HistogramLayout] = []
    for shape in variable.shapes:
        histograms.append(HistogramLayout(shape, end, bucket_count(shape)))
        end += 8 * bucket_count(shape)
    return StatLayout(end, 0, total, minimum, maximum, squares, tuple(histograms))
