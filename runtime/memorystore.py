"""Globals as plain Python values: what only the user half touches, and all of a program where there is no kernel.

store = MemoryStore(variables, limits.map_entries); store.accumulate(0, (7,), 42); store.stat(0, (7,)).count  ->  1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from probelang.artifact.code import Type, Variable
from probelang.artifact.histogram import bucket_count, bucket_of
from probelang.runtime.store import ArrayOverflow, Key, Stat, Value

Content: TypeAlias = Value | Stat

_SIGN = 1 << 63
_MASK = (1 << 64) - 1
_MASK_SQUARES = (1 << 128) - 1


def empty_stat(variable: Variable) -> Stat:
    return Stat(histograms=[[0] * bucket_count(shape) for shape in variable.shapes])


def add_to_stat(stat: Stat, variable: Variable, value: int) -> None:
    """`stat <<< value`, in place."""
    stat.minimum = value if stat.count == 0 else min(stat.minimum, value)
    stat.maximum = value if stat.count == 0 else max(stat.maximum, value)
    stat.count += 1
    stat.sum = ((stat.sum + value + _SIGN) & _MASK) - _SIGN
    stat.squares = (stat.squares + value * value) & _MASK_SQUARES
    for shape, counts in zip(variable.shapes, stat.histograms, strict=True):
        counts[bucket_of(shape, value)] += 1


class MemoryStore:
    """A `Store` (see `probelang.runtime.store`)."""

    def __init__(self, variables: Sequence[Variable], map_entries: int) -> None:
        self._variables = tuple(variables)
        self._scalars: list[Content] = [self._initial(variable) for variable in variables]
        self._arrays: list[dict[Key, Content]] = [{} for _ in variables]
        self._capacities = [map_entries if v.max_entries is None else v.max_entries for v in variables]

    def scalar(self, variable: int) -> Value:
        return _value(self._scalars[variable])

    def set_scalar(self, variable: int, value: Value) -> None:
        self._scalars[variable] = value

    def update_scalar(self, variable: int, change: Callable[[Value], Value]) -> tuple[Value, Value]:
        old = _value(self._scalars[variable])
        new = change(old)
        self._scalars[variable] = new
        return old, new

    def element(self, variable: int, key: Key) -> Value | None:
        value = self._arrays[variable].get(key)
        return None if value is None else _value(value)

    def set_element(self, variable: int, key: Key, value: Value) -> None:
        array = self._arrays[variable]
        if key not in array:
            self._make_room(variable)
        array[key] = value

    def update_element(
        self, variable: int, key: Key, change: Callable[[Value], Value]
    ) -> tuple[Value, Value]:
        array = self._arrays[variable]
        found = array.get(key)
        if found is None:
            self._make_room(variable)
            old: Value = b"" if self._variables[variable].value is Type.STRING else 0
        else:
            old = _value(found)
        new = change(old)
        array[key] = new
        return old, new

    def contains(self, variable: int, key: Key) -> bool:
        return key in self._arrays[variable]

    def keys(self, variable: int) -> Iterator[Key]:
        return iter(tuple(self._arrays[variable]))

    def items(self, variable: int) -> list[tuple[Key, Value | Stat]]:
        return [(key, _copy(value)) for key, value in self._arrays[variable].items()]

    def accumulate(self, variable: int, key: Key | None, value: int) -> None:
        about = self._variables[variable]
        stat = self._scalars[variable] if key is None else self._arrays[variable].get(key)
        if not isinstance(stat, Stat):
            assert key is not None
            self._make_room(variable)
            stat = self._arrays[variable][key] = empty_stat(about)
        add_to_stat(stat, about, value)

    def stat(self, variable: int, key: Key | None) -> Stat | None:
        found = self._scalars[variable] if key is None else self._arrays[variable].get(key)
        return found if isinstance(found, Stat) else None

    def delete(self, variable: int, key: Key) -> None:
        self._arrays[variable].pop(key, None)

    def clear(self, variable: int) -> None:
        about = self._variables[variable]
        if about.key is not None:
            self._arrays[variable].clear()
        elif about.value is Type.STATS:
            self._scalars[variable] = empty_stat(about)
        else:
            self._scalars[variable] = b"" if about.value is Type.STRING else 0

    def begin_handler(self, taken: tuple[int, ...]) -> None:
        """Nothing else runs while a handler does, so nothing need be detached."""

    def end_handler(self) -> None: ...

    def _make_room(self, variable: int) -> None:
        array = self._arrays[variable]
        if len(array) < self._capacities[variable]:
            return
        if not self._variables[variable].wrap or not array:
            raise ArrayOverflow
        del array[next(iter(array))]

    @staticmethod
    def _initial(variable: Variable) -> Content:
        if variable.value is Type.STATS:
            return empty_stat(variable)
        if variable.initial is not None:
            return variable.initial
        return b"" if variable.value is Type.STRING else 0


def _value(content: Content) -> Value:
    assert not isinstance(content, Stat)
    return content


def _copy(content: Content) -> Content:
    if not isinstance(content, Stat):
        return content
    histograms = [list(counts) for counts in content.histograms]
    return Stat(content.count, content.sum, content.minimum, content.maximum, content.squares, histograms)
