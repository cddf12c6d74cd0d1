"""The `@` operators that are written like calls: their names, and how many arguments each takes.

    @cast(p, "struct s")   two or three arguments, all but the first string literals

What they mean is decided later; here is what the grammar alone can tell.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operator:
    """`strings`: the index of the first argument that must be a string literal (all after it too); None for none."""

    least: int
    most: int
    usage: str
    strings: int | None = None
    guru: bool = False


OPERATORS: dict[str, Operator] = {
    "cast": Operator(2, 3, '`@cast(value, "type")` or `@cast(value, "type", "module")`', strings=1),
    "defined": Operator(1, 1, "`@defined($variable)`"),
    "probewrite": Operator(1, 1, "`@probewrite($variable)`"),
    "entry": Operator(1, 1, "`@entry(expression)`"),
    "perf": Operator(1, 1, '`@perf("counter")`', strings=0),
    "var": Operator(1, 2, '`@var("name@file.c")` or `@var("name", "module")`', strings=0),
    "const": Operator(1, 1, '`@const("NAME")`', strings=0, guru=True),
    "kregister": Operator(1, 1, "`@kregister(number)`", guru=True),
    "uregister": Operator(1, 1, "`@uregister(number)`"),
    "kderef": Operator(2, 2, "`@kderef(size, address)`", guru=True),
    "uderef": Operator(2, 2, "`@uderef(size, address)`"),
    "enum": Operator(1, 2, '`@enum("NAME")`', strings=0),
    "enumname": Operator(1, 3, '`@enumname(value, "enum type", "module")`', strings=1),
    "elapsed": Operator(0, 0, "`@elapsed`"),
}

# The aggregate, then number literals.
STATISTICS: dict[str, Operator] = {
    "count": Operator(1, 1, "`@count(aggregate)`"),
    "sum": Operator(1, 1, "`@sum(aggregate)`"),
    "min": Operator(1, 1, "`@min(aggregate)`"),
    "max": Operator(1, 1, "`@max(aggregate)`"),
    "avg": Operator(1, 1, "`@avg(aggregate)`"),
    "variance": Operator(1, 2, "`@variance(aggregate)` or `@variance(aggregate, bits)`"),
    "quantile": Operator(2, 2, "`@quantile(aggregate, 50)`"),
    "distinct": Operator(1, 1, "`@distinct(aggregate)`"),
    "rate": Operator(1, 1, "`@rate(aggregate)`"),
}

HISTOGRAMS: dict[str, Operator] = {
    "hist_log": Operator(1, 1, "`@hist_log(aggregate)`"),
    "hist_linear": Operator(4, 4, "`@hist_linear(aggregate, low, high, step)`"),
}

# What `foreach (k in a @sum-)` can sort by.
SORT_OPERATORS = frozenset(("count", "sum", "min", "max", "avg", "variance"))

ALL_NAMES = frozenset((*OPERATORS, *STATISTICS, *HISTOGRAMS))
