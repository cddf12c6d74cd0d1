"""Statements as Python closures. Each returns how it ended: GO_ON, BREAK, CONTINUE, NEXT or RETURN.

while (n) n--   ->  a closure that loops until n is 0, or until the actions of this run are used up
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from probelang.artifact import code
from probelang.artifact.code import Stmt
from probelang.runtime.evaluate import loops
from probelang.runtime.evaluate.aggregates import fits, pattern
from probelang.runtime.evaluate.assignments import set_variable
from probelang.runtime.evaluate.expressions import Compiler
from probelang.runtime.evaluate.frame import (
    BREAK,
    CONTINUE,
    GO_ON,
    NEXT,
    RETURN,
    ActionLimit,
    Environment,
    Frame,
    SoftError,
    StatementCode,
    ValueCode,
)


@dataclass(frozen=True, slots=True)
class StatementCompiler:
    """`at`: the loop (or function) around, which is where running out of actions is reported. `counted`: statements count."""

    expressions: Compiler
    at: int
    counted: bool

    def block(self, *statements: Stmt) -> StatementCode:
        """Statements one after the other; each counts one action."""
        steps = [self.statement(statement) for statement in statements]
        cost, at = len(steps) if self.counted else 0, self.at

        def run(frame: Frame) -> int:
            state = frame.run
            state.actions -= cost
            if state.actions < 0:
                raise ActionLimit(b"MAXACTION exceeded", at)
            for step in steps:
                signal = step(frame)
                if signal:
                    return signal
            return GO_ON

        return run

    def body(self, statement: Stmt) -> StatementCode:
        return self.block(*(statement.body if isinstance(statement, code.Block) else (statement,)))

    def within(self, at: int) -> StatementCompiler:
        return replace(self, at=at)

    def statement(self, statement: Stmt) -> StatementCode:
        match statement:
            case code.Block(body):
                return self.block(*body)
            case code.Evaluate(value):
                return _evaluate(self.expressions.value(value))
            case code.If():
                return _if(self, statement)
            case code.Loop():
                return loops.loop(self, statement)
            case code.Foreach():
                return loops.foreach(self, statement)
            case code.ForeachBucket():
                return loops.foreach_bucket(self, statement)
            case code.Return(value):
                return _return(None if value is None else self.expressions.value(value))
            case code.Next():
                return lambda frame: NEXT
            case code.Break():
                return lambda frame: BREAK
            case code.Continue():
                return lambda frame: CONTINUE
            case code.Delete():
                return _delete(self.expressions, statement)
            case code.Try():
                return _try(self, statement)
            case _:
                assert_never(statement)


def compile_body(environment: Environment, body: Stmt, at: int, counted: bool) -> StatementCode:
    """The code of a handler or a function."""
    return StatementCompiler(Compiler(environment), at, counted).body(body)


def _evaluate(value: ValueCode) -> StatementCode:
    def run(frame: Frame) -> int:
        value(frame)
        return GO_ON

    return run


def _if(compiler: StatementCompiler, statement: code.If) -> StatementCode:
    condition, then = compiler.expressions.long(statement.condition), compiler.body(statement.then)
    if statement.otherwise is None:
        return lambda frame: then(frame) if condition(frame) else GO_ON
    otherwise = compiler.body(statement.otherwise)
    return lambda frame: then(frame) if condition(frame) else otherwise(frame)


def _return(value: ValueCode | None) -> StatementCode:
    if value is None:
        return lambda frame: RETURN
    result = value

    def run(frame: Frame) -> int:
        frame.result = result(frame)
        return RETURN

    return run


def _delete(expressions: Compiler, statement: code.Delete) -> StatementCode:
    store, variable = expressions.environment.store, statement.variable
    if statement.index is None:

        def clear(frame: Frame) -> int:
            store.clear(variable)
            return GO_ON

        return clear
    exact = [part for part in statement.index if part is not None]
    if len(exact) == len(statement.index):
        key = expressions.key(exact)

        def delete(frame: Frame) -> int:
            store.delete(variable, key(frame))
            return GO_ON

        return delete
    wanted = pattern(expressions, statement.index)

    def delete_matching(frame: Frame) -> int:
        slice_ = wanted(frame)
        for key in list(store.keys(variable)):
            if fits(key, slice_):
                store.delete(variable, key)
        return GO_ON

    return delete_matching


def _try(compiler: StatementCompiler, statement: code.Try) -> StatementCode:
    body, handler = compiler.body(statement.body), compiler.body(statement.handler)
    environment = compiler.expressions.environment
    name = None if statement.variable is None else set_variable(environment, statement.variable)

    def run(frame: Frame) -> int:
        depth = frame.run.depth
        try:
            return body(frame)
        except ActionLimit:
            raise
        except SoftError as error:
            frame.run.depth = depth
            if name is not None:
                name(frame, environment.cut(error.message))
        return handler(frame)

    return run
