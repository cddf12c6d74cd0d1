"""One `Store` over two: variables that only the user half touches in memory, the others in the kernel's maps.

CombinedStore(shared=frozenset({0, 2}), kernel=map_store, memory=memory_store).scalar(1)  ->  memory_store.scalar(1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from probelang.artifact.manifest import Manifest, UserStorage
from probelang.runtime.store import Key, Stat, Store, Value


def shared_variables(manifest: Manifest) -> frozenset[int]:
    """Numbers of the variables that live in the kernel."""
    return frozenset(i for i, s in enumerate(manifest.storages) if not isinstance(s, UserStorage))


class CombinedStore:
    """Sends every request to the store that holds the variable."""

    def __init__(self, shared: frozenset[int], kernel: Store, memory: Store) -> None:
        self._shared = shared
        self._kernel = kernel
        self._memory = memory

    def _of(self, variable: int) -> Store:
        return self._kernel if variable in self._shared else self._memory

    def scalar(self, variable: int) -> Value:
        return self._of(variable).scalar(variable)

    def set_scalar(self, variable: int, value: Value) -> None:
        self._of(variable).set_scalar(variable, value)

    def update_scalar(self, variable: int, change: Callable[[Value], Value]) -> tuple[Value, Value]:
        return self._of(variable).update_scalar(variable, change)

    def element(self, variable: int, key: Key) -> Value | None:
        return self._of(variable).element(variable, key)

    def set_element(self, variable: int, key: Key, value: Value) -> None:
        self._of(variable).set_element(variable, key, value)

    def update_element(
        self, variable: int, key: Key, change: Callable[[Value], Value]
    ) -> tuple[Value, Value]:
        return self._of(variable).update_element(variable, key, change)

    def contains(self, variable: int, key: Key) -> bool:
        return self._of(variable).contains(variable, key)

    def keys(self, variable: int) -> Iterator[Key]:
        return self._of(variable).keys(variable)

    def items(self, variable: int) -> list[tuple[Key, Value | Stat]]:
        return self._of(variable).items(variable)

    def accumulate(self, variable: int, key: Key | None, value: int) -> None:
        self._of(variable).accumulate(variable, key, value)

    def stat(self, variable: int, key: Key | None) -> Stat | None:
        return self._of(variable).stat(variable, key)

    def delete(self, variable: int, key: Key) -> None:
        self._of(variable).delete(variable, key)

    def clear(self, variable: int) -> None:
        self._of(variable).clear(variable)

    def begin_handler(self, taken: tuple[int, ...]) -> None:
        self._kernel.begin_handler(tuple(v for v in taken if v in self._shared))
        self._memory.begin_handler(tuple(v for v in taken if v not in self._shared))

    def end_handler(self) -> None:
        self._memory.end_handler()
        self._kernel.end_handler()
