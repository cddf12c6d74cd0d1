"""Reads and writes of variables. What happens to a global is one atomic step of the store.

g = g > v ? g : v   ->  store.update_scalar(g, lambda old: old if old > v else v)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.artifact.walk import walk
from probelang.runtime.evaluate.analysis import is_pure, reads_inside_functions, same_value
from probelang.runtime.evaluate.arithmetic import BINARY, as_long, wrap
from probelang.runtime.evaluate.frame import Environment, Frame, SoftError, ValueCode
from probelang.runtime.store import ArrayOverflow, Value

if TYPE_CHECKING:
    from probelang.runtime.evaluate.expressions import Compiler

OVERFLOW = b"Array overflow, check MAXMAPENTRIES"
Operation: TypeAlias = Callable[[Value, Value], Value]


def read(compiler: Compiler, expr: code.Scalar | code.Element) -> ValueCode:
    if compiler.replaced is not None and same_value(expr, compiler.replaced):
        return lambda frame: frame.pending
    variable = expr.variable
    if isinstance(expr, code.Scalar):
        scalar = compiler.environment.store.scalar
        return lambda frame: scalar(variable)
    key, element = compiler.key(expr.index), compiler.environment.store.element
    empty: Value = b"" if expr.type is Type.STRING else 0

    def get(frame: Frame) -> Value:
        found = element(variable, key(frame))
        return empty if found is None else found

    return get


def write(compiler: Compiler, expr: code.Assign | code.Step | code.Accumulate) -> ValueCode:
    match expr:
        case code.Assign(target=code.Local(slot=slot)):
            return _assign_local(compiler, expr, slot)
        case code.Assign(target=target, op="="):
            return (
                _atomic(compiler, expr, target)
                if _reads_itself(compiler, expr)
                else _store(compiler, expr, target)
            )
        case code.Assign(target=target):
            return _modify(compiler, expr, target)
        case code.Step(target=code.Local(slot=slot)):
            return _step_local(slot, expr.delta, expr.post)
        case code.Step(target=target):
            return _step(compiler, expr, target)
        case code.Accumulate():
            return _accumulate(compiler, expr)


def set_variable(
    environment: Environment, target: code.Local | code.Scalar
) -> Callable[[Frame, Value], None]:
    """How a loop or a catch sets its variable."""
    if isinstance(target, code.Scalar):
        variable, set_scalar = target.variable, environment.store.set_scalar
        return lambda frame, value: set_scalar(variable, value)
    slot = target.slot

    def set_local(frame: Frame, value: Value) -> None:
        frame.locals[slot] = value

    return set_local


def _operation(environment: Environment, op: str, at: int) -> Operation:
    """`old op value` of a compound assignment."""
    if op == ".":
        cut = environment.cut
        return lambda old, value: cut(_text(old) + _text(value), at)
    function = BINARY[op]

    def apply(old: Value, value: Value) -> Value:
        try:
            return function(as_long(old), as_long(value))
        except ZeroDivisionError:
            raise SoftError(b"division by 0", at) from None

    return apply


def _assign_local(compiler: Compiler, expr: code.Assign, slot: int) -> ValueCode:
    value = compiler.value(expr.value)
    if expr.op == "=":

        def assign(frame: Frame) -> Value:
            result = frame.locals[slot] = value(frame)
            return result

        return assign
    apply = _operation(compiler.environment, expr.op, expr.at)

    def modify(frame: Frame) -> Value:
        operand = value(frame)
        result = frame.locals[slot] = apply(frame.locals[slot], operand)
        return result

    return modify


def _step_local(slot: int, delta: int, post: bool) -> ValueCode:
    def step(frame: Frame) -> Value:
        old = as_long(frame.locals[slot])
        new = frame.locals[slot] = wrap(old + delta)
        return old if post else new

    return step


def _store(
    compiler: Compiler, expr: code.Assign, target: code.Scalar | code.Element | code.Local
) -> ValueCode:
    value, store = compiler.value(expr.value), compiler.environment.store
    if not isinstance(target, code.Element):
        assert isinstance(target, code.Scalar)
        variable = target.variable

        def set_scalar(frame: Frame) -> Value:
            result = value(frame)
            store.set_scalar(variable, result)
            return result

        return set_scalar
    key, variable, at = compiler.key(target.index), target.variable, expr.at

    def set_element(frame: Frame) -> Value:
        place = key(frame)
        result = value(frame)
        try:
            store.set_element(variable, place, result)
        except ArrayOverflow:
            raise SoftError(OVERFLOW, at) from None
        return result

    return set_element


Update: TypeAlias = Callable[[Frame, Callable[[Value], Value]], tuple[Value, Value]]


def _updater(
    compiler: Compiler, target: code.Scalar | code.Element | code.Local, at: int
) -> Callable[[Frame], Callable[[Callable[[Value], Value]], tuple[Value, Value]]]:
    """Evaluates the place of a global; what it gives changes it in one atomic step and returns old and new."""
    store = compiler.environment.store
    if not isinstance(target, code.Element):
        assert isinstance(target, code.Scalar)
        variable = target.variable
        return lambda frame: lambda change: store.update_scalar(variable, change)
    key, variable = compiler.key(target.index), target.variable

    def place(frame: Frame) -> Callable[[Callable[[Value], Value]], tuple[Value, Value]]:
        found = key(frame)

        def update(change: Callable[[Value], Value]) -> tuple[Value, Value]:
            try:
                return store.update_element(variable, found, change)
            except ArrayOverflow:
                raise SoftError(OVERFLOW, at) from None

        return update

    return place


def _modify(
    compiler: Compiler, expr: code.Assign, target: code.Scalar | code.Element | code.Local
) -> ValueCode:
    place, value = _updater(compiler, target, expr.at), compiler.value(expr.value)
    apply = _operation(compiler.environment, expr.op, expr.at)

    def modify(frame: Frame) -> Value:
        update = place(frame)
        operand = value(frame)
        return update(lambda old: apply(old, operand))[1]

    return modify


def _step(compiler: Compiler, expr: code.Step, target: code.Scalar | code.Element | code.Local) -> ValueCode:
    place, delta, which = _updater(compiler, target, expr.at), expr.delta, 0 if expr.post else 1
    return lambda frame: place(frame)(lambda old: wrap(as_long(old) + delta))[which]


def _reads_itself(compiler: Compiler, expr: code.Assign) -> bool:
    """Whether it is `g = e` with e reading g and free of effects, which is atomic."""
    target, functions = expr.target, compiler.environment.functions
    assert not isinstance(target, code.Local)
    if not any(same_value(node, target) for node in walk(expr.value)):
        return False
    indexes = target.index if isinstance(target, code.Element) else ()
    return (
        all(is_pure(part, functions) for part in (*indexes, expr.value))
        and not reads_inside_functions(expr.value, target.variable, functions)
    )  # fmt: skip


def _atomic(
    compiler: Compiler, expr: code.Assign, target: code.Scalar | code.Element | code.Local
) -> ValueCode:
    assert not isinstance(target, code.Local)
    place = _updater(compiler, target, expr.at)
    value = replace(compiler, replaced=target).value(expr.value)

    def assign(frame: Frame) -> Value:
        def change(old: Value) -> Value:
            frame.pending = old
            return value(frame)

        return place(frame)(change)[1]

    return assign


def _accumulate(compiler: Compiler, expr: code.Accumulate) -> ValueCode:
    value, store = compiler.long(expr.value), compiler.environment.store
    target, at = expr.target, expr.at
    variable = target.variable
    if isinstance(target, code.Scalar):

        def add(frame: Frame) -> Value:
            result = value(frame)
            store.accumulate(variable, None, result)
            return result

        return add
    key = compiler.key(target.index)

    def add_to_element(frame: Frame) -> Value:
        place = key(frame)
        result = value(frame)
        try:
            store.accumulate(variable, place, result)
        except ArrayOverflow:
            raise SoftError(OVERFLOW, at) from None
        return result

    return add_to_element


def _text(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value
