"""Calls of the script's own functions.

f(1)  with overloads f (prints, then `next`) and f (returns)  ->  both run, the second one's value
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.runtime.evaluate.frame import NEXT, Environment, Frame, SoftError, StatementCode, ValueCode
from probelang.runtime.store import Value

if TYPE_CHECKING:
    from probelang.runtime.evaluate.expressions import Compiler

NESTING = b"MAXNESTING exceeded"


def invoke(compiler: Compiler, expr: code.Invoke) -> ValueCode:
    environment = compiler.environment
    arguments = [compiler.value(argument) for argument in expr.arguments]
    chain = [(number, _fresh_locals(environment, number)) for number in expr.chain]
    empty: Value = b"" if expr.type is Type.STRING else 0
    at, nesting, bodies = expr.at, environment.limits.nesting, environment.bodies
    for number in expr.chain:
        body_of(environment, number)

    def call(frame: Frame) -> Value:
        values = [argument(frame) for argument in arguments]
        run = frame.run
        if run.depth >= nesting:
            raise SoftError(NESTING, at)
        run.depth += 1
        try:
            for number, fresh in chain:
                inner = Frame(values + fresh, run)
                inner.result = empty
                if bodies[number](inner) != NEXT:
                    return inner.result
        except RecursionError:
            raise SoftError(NESTING, at) from None
        finally:
            run.depth -= 1
        raise SoftError(b"all functions exhausted", at)

    return call


def body_of(environment: Environment, number: int) -> StatementCode:
    """The code of a function, compiled at its first use; a recursive call finds it later."""
    found = environment.bodies.get(number)
    if found is not None:
        return found
    environment.bodies[number] = lambda frame: environment.bodies[number](frame)  # while it is compiled
    # statements know expressions, not the other way round
    from probelang.runtime.evaluate.statements import compile_body

    function = environment.functions[number]
    environment.bodies[number] = body = compile_body(
        environment, function.body, function.at, not function.library
    )
    return body


def initial_locals(locals_: tuple[code.LocalVariable, ...]) -> list[Value]:
    return [b"" if local.type is Type.STRING else 0 for local in locals_]


def _fresh_locals(environment: Environment, number: int) -> list[Value]:
    """The locals of a function behind its parameters."""
    function = environment.functions[number]
    return initial_locals(function.locals[function.parameters :])
