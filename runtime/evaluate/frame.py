"""What runs while a handler runs: its locals, its context, its limits, and the ways out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from probelang.artifact.code import Automaton, Function, Place, Variable
from probelang.artifact.codesets import CodeSet
from probelang.artifact.limits import Limits
from probelang.runtime.evaluate.context import Context
from probelang.runtime.evaluate.services import Services
from probelang.runtime.output.sink import Sink
from probelang.runtime.store import Store, Value

if TYPE_CHECKING:
    from probelang.runtime.stacks.predicates import CodePredicates

# what a statement tells the one around it
GO_ON, BREAK, CONTINUE, NEXT, RETURN = range(5)


class SoftError(Exception):
    """A run-time error of the script: ends the handler unless a `try` is around it. `at` is a number of a place."""

    def __init__(self, message: bytes, at: int) -> None:
        super().__init__(message, at)
        self.message = message
        self.at = at


class ActionLimit(SoftError):
    """MAXACTION exceeded: the one soft error that `catch` does not see."""


class Abort(Exception):
    """abort(): the handler ends at once."""


class Run:
    """One run of a handler."""

    __slots__ = ("actions", "context", "depth", "environment", "matched", "tokens")

    def __init__(self, environment: Environment, context: Context, actions: int) -> None:
        self.environment = environment
        self.context = context
        self.actions = actions
        self.depth = 0
        self.matched: tuple[bytes, bytes] | None = None  # pattern and subject of the last match
        self.tokens = b""  # what tokenize(delimiters) goes on with


class Frame:
    """The locals of a handler or of one call of a function. `result`: of `return`; `pending`: the old value of the variable
    that an atomic assignment is about to change."""

    __slots__ = ("locals", "pending", "result", "run")

    def __init__(self, locals_: list[Value], run: Run) -> None:
        self.locals = locals_
        self.run = run
        self.result: Value = 0
        self.pending: Value = 0


ValueCode: TypeAlias = Callable[[Frame], Value]
LongCode: TypeAlias = Callable[[Frame], int]
TextCode: TypeAlias = Callable[[Frame], bytes]
StatementCode: TypeAlias = Callable[[Frame], int]


@dataclass(slots=True)
class Environment:
    """What the code of a whole program is compiled against. `bodies`: functions compiled so far; `cuts`: strings
    that were cut short, one of them at place `cut_at`; `lost_callers`: handlers that ended where their caller could not be found out."""

    variables: Sequence[Variable]
    functions: Sequence[Function]
    automata: Sequence[Automaton]
    places: Sequence[Place]
    limits: Limits
    store: Store
    output: Sink
    services: Services
    bodies: dict[int, StatementCode] = field(default_factory=dict[int, StatementCode])
    cuts: int = 0
    cut_at: int = -1
    code_sets: Sequence[CodeSet] = ()
    lost_callers: int = 0
    _predicates: CodePredicates | None = None

    @property
    def predicates(self) -> CodePredicates:
        """What answers questions about callers."""
        if self._predicates is None:
            from probelang.runtime.stacks.predicates import CodePredicates

            self._predicates = CodePredicates(self.code_sets)
        return self._predicates

    def cut(self, text: bytes, at: int = -1) -> bytes:
        """A string as it fits into a string buffer: too long a one ends in `...`, which is counted, with the place `at`."""
        size = self.limits.string_size
        if len(text) < size:
            return text
        self.cuts += 1
        self.cut_at = at
        return text[: size - 4] + b"..."
