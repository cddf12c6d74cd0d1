"""Loops: while, for, and foreach over arrays and histograms.

foreach (n = k in a- limit 3)  ->  the three largest elements as they were when the loop began
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from probelang.artifact import code
from probelang.artifact.stacks import TOKEN
from probelang.runtime.evaluate.aggregates import extract_from, fits, histogram_counts, pattern
from probelang.runtime.evaluate.assignments import set_variable
from probelang.runtime.evaluate.frame import (
    BREAK,
    CONTINUE,
    GO_ON,
    ActionLimit,
    Frame,
    LongCode,
    StatementCode,
)
from probelang.runtime.evaluate.services import Symbols
from probelang.runtime.store import Key, Stat, Value

if TYPE_CHECKING:
    from probelang.runtime.evaluate.statements import StatementCompiler

Item: TypeAlias = tuple[Key, "Value | Stat"]


def loop(compiler: StatementCompiler, statement: code.Loop) -> StatementCode:
    inner = compiler.within(statement.at)
    expressions = compiler.expressions
    condition = None if statement.condition is None else expressions.long(statement.condition)
    step = None if statement.step is None else expressions.value(statement.step)
    turn = _turn(inner, statement.body)

    def run(frame: Frame) -> int:
        while condition is None or condition(frame):
            signal = turn(frame)
            if signal and signal != CONTINUE:
                return GO_ON if signal == BREAK else signal
            if step is not None:
                step(frame)
        return GO_ON

    return run


def _turn(compiler: StatementCompiler, body: code.Stmt) -> StatementCode:
    """The body; each turn counts one action more than its statements."""
    run_body, at, cost = compiler.body(body), compiler.at, 1

    def turn(frame: Frame) -> int:
        state = frame.run
        state.actions -= cost
        if state.actions < 0:
            raise ActionLimit(b"MAXACTION exceeded", at)
        return run_body(frame)

    return turn if compiler.counted else run_body


def foreach(compiler: StatementCompiler, statement: code.Foreach) -> StatementCode:
    expressions = compiler.expressions
    environment = expressions.environment
    store, variable = environment.store, statement.variable
    wanted = None if statement.slice is None else pattern(expressions, statement.slice)
    limit = None if statement.limit is None else expressions.long(statement.limit)
    set_keys = [set_variable(environment, key) for key in statement.keys]
    set_value = None if statement.value is None else set_variable(environment, statement.value)
    turn = _turn(compiler.within(statement.at), statement.body)

    def run(frame: Frame) -> int:
        slice_ = None if wanted is None else wanted(frame)
        turns = None if limit is None else max(limit(frame), 0)
        items = store.items(variable)
        if slice_ is not None:
            items = [item for item in items if fits(item[0], slice_)]
        if statement.order is not None:
            sort_items(items, statement.order, environment.services.symbols)
        for key, value in items[:turns]:
            for set_key, part in zip(set_keys, key, strict=True):
                set_key(frame, part)
            if set_value is not None:
                set_value(frame, value.count if isinstance(value, Stat) else value)
            signal = turn(frame)
            if signal and signal != CONTINUE:
                return GO_ON if signal == BREAK else signal
        return GO_ON

    return run


def sort_items(items: list[Item], order: code.Order, symbols: Symbols) -> None:
    """Ties by the keys, ascending whatever the direction. What stands for a stack in a key counts as its frames, or where it is the key
    to sort by, as it is shown."""
    items.sort(key=lambda item: tuple([_text(part, symbols.spell) for part in item[0]]))
    items.sort(key=_sort_key(order, symbols), reverse=order.descending)


def _text(part: Value, text: Callable[[bytes], bytes]) -> Value:
    return text(part) if isinstance(part, bytes) and TOKEN in part else part


def _sort_key(order: code.Order, symbols: Symbols) -> Callable[[Item], Value]:
    by = order.by
    if isinstance(by, int):
        return lambda item: _text(item[0][by], symbols.show)
    operator = "count" if by == "value" else by

    def value(item: Item) -> Value:
        found = item[1]
        if not isinstance(found, Stat):
            return found
        return extract_from(found, operator) if found.count else 0

    return value


def foreach_bucket(compiler: StatementCompiler, statement: code.ForeachBucket) -> StatementCode:
    expressions = compiler.expressions
    counts = histogram_counts(expressions, statement.histogram)
    limit: LongCode | None = None if statement.limit is None else expressions.long(statement.limit)
    set_bucket = set_variable(expressions.environment, statement.bucket)
    turn = _turn(compiler.within(statement.at), statement.body)

    def run(frame: Frame) -> int:
        buckets = list(range(len(counts(frame))))
        if statement.descending:
            buckets.reverse()
        turns = None if limit is None else max(limit(frame), 0)
        for bucket in buckets[:turns]:
            set_bucket(frame, bucket)
            signal = turn(frame)
            if signal and signal != CONTINUE:
                return GO_ON if signal == BREAK else signal
        return GO_ON

    return run
