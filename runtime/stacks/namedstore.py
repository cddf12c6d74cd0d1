"""The script's variables as its user half sees them: names of functions in keys and values are text, and equal names are one key.

    calls["\\x1bF..1149.."]=3   calls["\\x1bF..1160.."]=4      in the kernel: two places in main
    NamedStore(store, ...).items(0)  ->  [((b"main",), 7)]

Programs in the kernel know where a function was seen, not where it begins, so one function may have several keys there. A change of the
element `calls["main"]` changes one of them so that all together come out right; additions that programs make meanwhile are not lost.
Stacks stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from probelang.artifact.code import Type, Variable
from probelang.runtime.mapvalues import merge_stats, merge_values, signed
from probelang.runtime.store import Key, Stat, Store, Value

_Name = Callable[[bytes], bytes]


class NamedStore:
    """A `Store` around that of the kernel's maps. `name`: names in place of what stands for functions."""

    def __init__(self, inner: Store, variables: Sequence[Variable], name: _Name) -> None:
        self._inner = inner
        self._name = name
        self._keyed = frozenset(i for i, v in enumerate(variables) if v.key and Type.STRING in v.key)
        self._groups: dict[int, dict[Key, list[Key]]] = {}
        """By variable: key as it is shown -> keys in the map, as of the last look in this handler."""
        self._seen: dict[tuple[int, Key], Key] = {}
        """A key that was in the map once: an element that is deleted and set again gets that, as a name may be longer than keys are."""

    def _value(self, value: Value) -> Value:
        return self._name(value) if isinstance(value, bytes) else value

    def _shown(self, key: Key) -> Key:
        return tuple([self._name(part) if isinstance(part, bytes) else part for part in key])

    def _look(self, variable: int) -> dict[Key, list[Key]]:
        groups: dict[Key, list[Key]] = {}
        for key in self._inner.keys(variable):
            self._add(groups, variable, self._shown(key), key)
        self._groups[variable] = groups
        return groups

    def _add(self, groups: dict[Key, list[Key]], variable: int, shown: Key, key: Key) -> None:
        groups.setdefault(shown, []).append(key)
        if shown != key:
            self._seen.setdefault((variable, shown), key)

    def _held(self, variable: int, key: Key) -> list[Key]:
        """The keys in the map that are shown as this one; itself where there is none."""
        if variable not in self._keyed:
            return [key]
        groups = self._groups.get(variable)
        if groups is None:
            groups = self._look(variable)
        return groups.get(key) or [self._seen.get((variable, key), key)]

    # ------------------------------------------------------------------------------------------- scalars

    def scalar(self, variable: int) -> Value:
        return self._value(self._inner.scalar(variable))

    def set_scalar(self, variable: int, value: Value) -> None:
        self._inner.set_scalar(variable, value)

    def update_scalar(self, variable: int, change: Callable[[Value], Value]) -> tuple[Value, Value]:
        old, new = self._inner.update_scalar(variable, lambda value: change(self._value(value)))
        return self._value(old), new

    # -------------------------------------------------------------------------------------------- arrays

    def element(self, variable: int, key: Key) -> Value | None:
        found: Value | None = None
        for held in self._held(variable, key):
            value = self._inner.element(variable, held)
            if value is not None:
                merged = self._value(value) if found is None else merge_values(found, self._value(value))
                assert not isinstance(merged, Stat)
                found = merged
        return found

    def set_element(self, variable: int, key: Key, value: Value) -> None:
        first, *others = self._held(variable, key)
        self._inner.set_element(variable, first, value)
        for other in others:
            self._inner.delete(variable, other)
        self._note(variable, key, first)

    def _note(self, variable: int, key: Key, held: Key) -> None:
        if variable in self._groups:
            self._groups[variable][key] = [held]

    def update_element(
        self, variable: int, key: Key, change: Callable[[Value], Value]
    ) -> tuple[Value, Value]:
        first, *others = self._held(variable, key)
        values = [self._inner.element(variable, other) for other in others]
        rest = sum(value for value in values if isinstance(value, int))

        def change_first(value: Value) -> Value:
            if isinstance(value, int):
                new = change(signed(value + rest))
                assert isinstance(new, int)
                return signed(new - rest)
            return change(self._value(value))

        old, new = self._inner.update_element(variable, first, change_first)
        if not others:
            self._note(variable, key, first)
        if isinstance(old, int) and isinstance(new, int):
            return signed(old + rest), signed(new + rest)
        for other in others:
            self._inner.delete(variable, other)
        self._note(variable, key, first)
        return self._value(old), new

    def contains(self, variable: int, key: Key) -> bool:
        return any(self._inner.contains(variable, held) for held in self._held(variable, key))

    def keys(self, variable: int) -> Iterator[Key]:
        return iter(list(self._look(variable))) if variable in self._keyed else self._inner.keys(variable)

    def items(self, variable: int) -> list[tuple[Key, Value | Stat]]:
        groups: dict[Key, list[Key]] = {}
        merged: dict[Key, Value | Stat] = {}
        for key, value in self._inner.items(variable):
            shown = self._shown(key)
            self._add(groups, variable, shown, key)
            named = value if isinstance(value, Stat) else self._value(value)
            merged[shown] = merge_values(merged[shown], named) if shown in merged else named
        if variable in self._keyed:
            self._groups[variable] = groups
        return list(merged.items())

    def accumulate(self, variable: int, key: Key | None, value: int) -> None:
        if key is None:
            self._inner.accumulate(variable, None, value)
            return
        held = self._held(variable, key)
        self._inner.accumulate(variable, held[0], value)
        if len(held) == 1:
            self._note(variable, key, held[0])

    def stat(self, variable: int, key: Key | None) -> Stat | None:
        if key is None:
            return self._inner.stat(variable, None)
        found: Stat | None = None
        for held in self._held(variable, key):
            stat = self._inner.stat(variable, held)
            found = stat if found is None else found if stat is None else merge_stats(found, stat)
        return found

    def delete(self, variable: int, key: Key) -> None:
        for held in self._held(variable, key):
            self._inner.delete(variable, held)
        if variable in self._groups:
            self._groups[variable].pop(key, None)

    def clear(self, variable: int) -> None:
        self._inner.clear(variable)
        self._groups.pop(variable, None)

    # ------------------------------------------------------------------------------------------ handlers

    def begin_handler(self, taken: tuple[int, ...]) -> None:
        self._groups = {}
        self._inner.begin_handler(taken)

    def end_handler(self) -> None:
        self._inner.end_handler()
        self._groups = {}
