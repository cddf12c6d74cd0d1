"""Where the evaluator finds globals: one interface over plain Python values and over BPF maps.

`MemoryStore` holds what only the user half touches (and everything, in tests and where there is no kernel);
`probelang.runtime.mapstore` holds what programs in the kernel share. Values are int and bytes; an aggregate
is a `Stat`; a key is a tuple of int and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Value: TypeAlias = int | bytes
Key: TypeAlias = tuple[Value, ...]


class ArrayOverflow(Exception):
    """The array is full; the evaluator turns it into the soft error `Array overflow`."""


@dataclass(slots=True)
class Stat:
    """What has been accumulated: exact. `minimum` and `maximum` mean nothing while `count` is 0. `histograms[i]` are the bucket
    counts of the variable's shape i. `squares` is the sum of squares modulo 2**128, `sum` wraps at 64 bits."""

    count: int = 0
    sum: int = 0
    minimum: int = 0
    maximum: int = 0
    squares: int = 0
    histograms: list[list[int]] = field(default_factory=list[list[int]])


class Store(Protocol):
    """`variable` is a number of the program. Every `update_*` is one atomic step against the kernel half: `change` may run more
    than once and must have no side effects."""

    def scalar(self, variable: int) -> Value: ...
    def set_scalar(self, variable: int, value: Value) -> None: ...
    def update_scalar(self, variable: int, change: Callable[[Value], Value]) -> tuple[Value, Value]:
        """Old and new value."""
        ...

    def element(self, variable: int, key: Key) -> Value | None: ...
    def set_element(self, variable: int, key: Key, value: Value) -> None:
        """Raises ArrayOverflow."""
        ...

    def update_element(
        self, variable: int, key: Key, change: Callable[[Value], Value]
    ) -> tuple[Value, Value]:
        """Old (0 or empty when missing) and new value; raises ArrayOverflow."""
        ...

    def contains(self, variable: int, key: Key) -> bool:
        """For arrays of values and of aggregates."""
        ...

    def keys(self, variable: int) -> Iterator[Key]:
        """The keys now, in any order; stable while it runs."""
        ...

    def items(self, variable: int) -> list[tuple[Key, Value | Stat]]:
        """A copy of the whole array."""
        ...

    def accumulate(self, variable: int, key: Key | None, value: int) -> None:
        """`key` None: a scalar aggregate. Raises ArrayOverflow."""
        ...

    def stat(self, variable: int, key: Key | None) -> Stat | None:
        """None when the element is missing."""
        ...

    def delete(self, variable: int, key: Key) -> None: ...
    def clear(self, variable: int) -> None:
        """Empties an array; a scalar goes back to 0, empty or no values."""
        ...

    def begin_handler(self, taken: tuple[int, ...]) -> None:
        """A handler starts; `taken` are the variables that it deletes from and reads: they are detached from the kernel half
        until end_handler, so that what is deleted is exactly what was read."""
        ...

    def end_handler(self) -> None: ...
