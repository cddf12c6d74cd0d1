"""Expressions as Python closures, compiled once.

    Binary("+", Local(0), Number(1))  ->  a function of a Frame: frame.locals[0] + 1, wrapped

Operands are evaluated left to right. What a node means is said in `probelang.artifact.code`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never, cast

from probelang.artifact import code
from probelang.artifact.code import Automaton, Expr
from probelang.artifact.stacks import TOKEN
from probelang.runtime.evaluate import aggregates, assignments, calls, invocations, printing
from probelang.runtime.evaluate.arithmetic import BINARY, UNARY
from probelang.runtime.evaluate.frame import Environment, Frame, LongCode, SoftError, TextCode, ValueCode
from probelang.runtime.store import Key, Value

# both operands have the same type, which the checker has seen to
_COMPARE = cast(
    Mapping[str, Callable[[Value, Value], bool]],
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    },
)


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles the expressions of one program. `replaced`: reads of this variable (or element) give `frame.pending`
    instead, inside an atomic assignment to it."""

    environment: Environment
    replaced: code.Scalar | code.Element | None = None

    def value(self, expr: Expr) -> ValueCode:
        match expr:
            case code.Number(value):
                return lambda frame: value
            case code.Text(value):
                text = self.environment.cut(value)
                return lambda frame: text
            case code.Local(slot):
                return lambda frame: frame.locals[slot]
            case code.Scalar() | code.Element():
                return assignments.read(self, expr)
            case code.Contains():
                return aggregates.contains(self, expr)
            case code.Unary(op, operand):
                function, number = UNARY[op], self.long(operand)
                return lambda frame: function(number(frame))
            case code.Binary():
                return _binary(self, expr)
            case code.Compare(op, left, right) if code.type_of(left) is code.Type.STRING:
                return _compare(self.spelled(left), self.spelled(right), _COMPARE[op])
            case code.Compare(op, left, right):
                return _compare(self.value(left), self.value(right), _COMPARE[op])
            case code.Logical():
                return _logical(self, expr)
            case code.Choose(condition, then, otherwise):
                return _choose(self.long(condition), self.value(then), self.value(otherwise))
            case code.Concat(parts, at):
                return _concat(self.environment, [self.text(part) for part in parts], at)
            case code.Matches(subject, automaton, negated):
                return _matches(self.spelled(subject), self.environment.automata[automaton], negated)
            case code.Assign() | code.Step() | code.Accumulate():
                return assignments.write(self, expr)
            case code.Invoke():
                return invocations.invoke(self, expr)
            case code.Call():
                return calls.call(self, expr)
            case code.Extract() | code.BucketCount():
                return aggregates.read(self, expr)
            case code.Format() | code.Print():
                return printing.output(self, expr)
            case _:
                assert_never(expr)

    def long(self, expr: Expr) -> LongCode:
        """The same for an expression that the checker has found to be a long."""
        return cast(LongCode, self.value(expr))

    def text(self, expr: Expr) -> TextCode:
        return cast(TextCode, self.value(expr))

    def spelled(self, expr: Expr) -> TextCode:
        """A string that is looked into: what stands for a stack or a function in it becomes text."""
        value, spell = self.text(expr), self.environment.services.symbols.spell
        if isinstance(expr, code.Text):
            return value

        def spelled(frame: Frame) -> bytes:
            text = value(frame)
            return spell(text) if TOKEN in text else text

        return spelled

    def key(self, index: Sequence[Expr]) -> Callable[[Frame], Key]:
        """The key of an array's element."""
        parts = [self.value(part) for part in index]
        match parts:
            case [only]:
                return lambda frame: (only(frame),)
            case [first, second]:
                return lambda frame: (first(frame), second(frame))
            case _:
                return lambda frame: tuple([part(frame) for part in parts])


def _binary(compiler: Compiler, expr: code.Binary) -> LongCode:
    function, left, right, at = BINARY[expr.op], compiler.long(expr.left), compiler.long(expr.right), expr.at
    if expr.op not in ("/", "%"):
        return lambda frame: function(left(frame), right(frame))

    def divide(frame: Frame) -> int:
        dividend, divisor = left(frame), right(frame)
        if divisor == 0:
            raise SoftError(b"division by 0", at)
        return function(dividend, divisor)

    return divide


def _compare(left: ValueCode, right: ValueCode, test: Callable[[Value, Value], bool]) -> LongCode:
    return lambda frame: 1 if test(left(frame), right(frame)) else 0


def _logical(compiler: Compiler, expr: code.Logical) -> LongCode:
    left, right = compiler.long(expr.left), compiler.long(expr.right)
    if expr.op == "&&":
        return lambda frame: 1 if left(frame) and right(frame) else 0
    return lambda frame: 1 if left(frame) or right(frame) else 0


def _choose(condition: LongCode, then: ValueCode, otherwise: ValueCode) -> ValueCode:
    return lambda frame: then(frame) if condition(frame) else otherwise(frame)


def _concat(environment: Environment, parts: Sequence[TextCode], at: int) -> TextCode:
    cut = environment.cut
    return lambda frame: cut(b"".join([part(frame) for part in parts]), at)


def _matches(subject: TextCode, automaton: Automaton, negated: bool) -> LongCode:
    table, accepting = automaton.table, frozenset(automaton.accepting)
    at_end = accepting | frozenset(automaton.accepting_end)

    def search(text: bytes) -> bool:
        state = 0
        for byte in text:
            if state in accepting:
                return True
            state = table[state * 256 + byte]
        return state in at_end

    def matches(frame: Frame) -> int:
        text = subject(frame)
        found = search(text)
        frame.run.matched = (automaton.pattern, text) if found else None
        return int(found is not negated)

    return matches
