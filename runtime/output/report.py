"""Globals that were written and never read are shown when the session ends.

    x=5    s="text"    a["k",5]=3    t @count=2 @min=1 @max=9 @sum=10 @avg=5    empty @count=0x0

Rows of an array come by decreasing value (aggregates: count), then by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from probelang.artifact.code import Type, Variable
from probelang.runtime.mapvalues import merge_values
from probelang.runtime.output.escape import escape_text
from probelang.runtime.output.sink import Aggregate, FinalVariable
from probelang.runtime.store import Key, Stat, Store, Value

Show: TypeAlias = Callable[[bytes], bytes]
"""What becomes of a string: what stands for a stack or a function in it is named."""


def final_variables(
    variables: Sequence[Variable],
    store: Store,
    without: frozenset[int] = frozenset(),
    show: Show = bytes,
) -> Iterator[FinalVariable]:
    """The variables to show, in the order of their declaration. `without`: those that are shown in another way."""
    for number, variable in enumerate(variables):
        if not variable.report or number in without:
            continue
        if variable.key is not None:
            rows = [(key, _shown(value, show)) for key, value in _named_rows(store.items(number), show)]
            rows.sort(key=lambda row: row[0])
            rows.sort(key=lambda row: _rank(row[1]), reverse=True)
            yield FinalVariable(variable.name, rows=tuple(rows))
        elif variable.value is Type.STATS:
            yield FinalVariable(variable.name, _shown(store.stat(number, None) or Stat(), show))
        else:
            yield FinalVariable(variable.name, _shown(store.scalar(number), show))


def _named_rows(items: list[tuple[Key, Value | Stat]], show: Show) -> list[tuple[Key, Value | Stat]]:
    """Keys as they are shown. Stacks that differ only in where a function was left look the same: they are counted together."""
    named: dict[Key, Value | Stat] = {}
    for key, value in items:
        shown = tuple([show(part) if isinstance(part, bytes) else part for part in key])
        named[shown] = merge_values(named[shown], value) if shown in named else value
    return list(named.items())


def variable_text(variable: FinalVariable) -> bytes:
    """One line for a scalar, a line a row for an array."""
    name = variable.name.encode("utf-8", "surrogateescape")
    if variable.rows is None:
        return b"" if variable.value is None else _line(name, variable.value)
    lines = [_line(name + b"[" + _key_text(key) + b"]", value) for key, value in variable.rows]
    return b"".join(lines)


def _line(name: bytes, value: Value | Aggregate) -> bytes:
    match value:
        case Aggregate(count=0):
            return name + b" @count=0x0\n"
        case Aggregate():
            return name + b" " + aggregate_text(value) + b"\n"
        case bytes():
            return name + b"=" + _quoted(value) + b"\n"
        case int():
            return name + b"=%d\n" % value


def aggregate_text(value: Aggregate) -> bytes:
    fields = (
        ("count", value.count),
        ("min", value.minimum),
        ("max", value.maximum),
        ("sum", value.sum),
        ("avg", value.average),
    )
    return " ".join(f"@{name}={number}" for name, number in fields if number is not None).encode()


def _shown(value: Value | Stat, show: Show) -> Value | Aggregate:
    if not isinstance(value, Stat):
        return show(value) if isinstance(value, bytes) else value
    if value.count == 0:
        return Aggregate(0)
    average = abs(value.sum) // value.count * (-1 if value.sum < 0 else 1)
    return Aggregate(value.count, value.minimum, value.maximum, value.sum, average)


def _rank(value: Value | Aggregate) -> Value:
    return value.count if isinstance(value, Aggregate) else value


def _key_text(key: Key) -> bytes:
    return b",".join(_quoted(part) if isinstance(part, bytes) else b"%d" % part for part in key)


def _quoted(text: bytes) -> bytes:
    return b'"' + escape_text(text) + b'"'
