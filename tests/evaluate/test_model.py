"""Random arithmetic and random statements against an independent model: C's own integers through ctypes."""

from __future__ import annotations

from ctypes import c_int64

from hypothesis import given, settings
from hypothesis import strategies as st

from probelang.artifact import code
from probelang.artifact.code import (
    Binary,
    Choose,
    Compare,
    Expr,
    Handler,
    Local,
    LocalVariable,
    Logical,
    Number,
    Type,
    Unary,
)
from probelang.artifact.limits import Limits
from probelang.runtime.evaluate.context import SessionContext
from probelang.runtime.evaluate.evaluator import Evaluator
from probelang.runtime.evaluate.frame import SoftError
from probelang.runtime.memorystore import MemoryStore
from tests.evaluate.scripts import Outcome, RecordingServices, RecordingSink

EXTREMES = [0, 1, -1, 2, 63, 64, 65, -63, 2**31, 2**63 - 1, -(2**63), -(2**63) + 1]
LONGS = st.sampled_from(EXTREMES) | st.integers(-(2**63), 2**63 - 1)
BINARY = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>"]


def expressions() -> st.SearchStrategy[Expr]:
    leaves: st.SearchStrategy[Expr] = LONGS.map(Number) | st.integers(0, 3).map(lambda n: Local(n, Type.LONG))

    def extend(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        return (
            st.builds(Binary, st.sampled_from(BINARY), inner, inner, st.just(0))
            | st.builds(Compare, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner, inner)
            | st.builds(Logical, st.sampled_from(["&&", "||"]), inner, inner)
            | st.builds(Unary, st.sampled_from(["-", "!", "~"]), inner)
            | st.builds(Choose, inner, inner, inner, st.just(Type.LONG))
            | st.builds(
                code.Assign,
                st.integers(0, 3).map(lambda n: Local(n, Type.LONG)),
                st.sampled_from(["=", *BINARY]),
                inner,
                st.just(Type.LONG),
                st.just(0),
            )
            | st.builds(
                code.Step,
                st.integers(0, 3).map(lambda n: Local(n, Type.LONG)),
                st.sampled_from([1, -1]),
                st.booleans(),
                st.just(0),
            )
        )

    return st.recursive(leaves, extend, max_leaves=25)


def wrapped(value: int) -> int:
    return int(c_int64(value).value)


def binary(op: str, left: int, right: int) -> int:
    """On C's 64-bit integers; raises ZeroDivisionError."""
    match op:
        case "+" | "-" | "*" | "&" | "|" | "^":
            result = int(eval(f"{left} {op} {right}"))
            return wrapped(result)
        case "/" | "%":
            # floating division would lose bits: correct Python's floor instead
            quotient, rest = divmod(left, right)
            if rest and (left < 0) != (right < 0):
                quotient, rest = quotient + 1, rest - right
            return wrapped(quotient if op == "/" else rest)
        case "<<":
            return wrapped(left * 2 ** (right % 64))
        case ">>":
            return int(left // 2 ** (right % 64))
        case _:
            return wrapped(left % 2**64 // 2 ** (right % 64))


def model(expr: Expr, variables: list[int]) -> int:
    """A second, plain reading of the language's definition."""
    match expr:
        case Number(value):
            return value
        case Local(slot):
            return variables[slot]
        case Binary(op, left, right):
            first = model(left, variables)
            return binary(op, first, model(right, variables))
        case Compare(op, left, right):
            first = model(left, variables)
            return int(bool(eval(f"{first} {op} {model(right, variables)}")))
        case Logical("&&", left, right):
            return int(model(left, variables) != 0 and model(right, variables) != 0)
        case Logical(_, left, right):
            return int(model(left, variables) != 0 or model(right, variables) != 0)
        case Unary("-", operand):
            return wrapped(-model(operand, variables))
        case Unary("!", operand):
            return int(model(operand, variables) == 0)
        case Unary(_, operand):
            return -1 - model(operand, variables)
        case Choose(condition, then, otherwise):
            return model(then if model(condition, variables) else otherwise, variables)
        case code.Assign(Local(slot), op, source):
            number = model(source, variables)
            variables[slot] = number if op == "=" else binary(op, variables[slot], number)
            return variables[slot]
        case code.Step(Local(slot), delta, post):
            old = variables[slot]
            variables[slot] = wrapped(old + delta)
            return old if post else variables[slot]
        case _:
            raise AssertionError(expr)


def evaluate(body: code.Stmt) -> Outcome:
    outcome = Outcome()
    sink = RecordingSink(outcome)
    services = RecordingServices(outcome, sink)
    evaluator = Evaluator((), (), (), (), Limits(), MemoryStore((), 10), sink, services)
    locals_ = tuple(LocalVariable(name, Type.LONG) for name in "abcd")
    try:
        evaluator.prepare(Handler(locals_, None, None, body, 0))(SessionContext("begin", "begin"))
    except SoftError as error:
        outcome.errors.append(error.message.decode())
    return outcome


@settings(max_examples=500, deadline=None)
@given(st.lists(LONGS, min_size=4, max_size=4), expressions())
def test_expressions_mean_what_they_mean_in_c(initial: list[int], expr: Expr) -> None:
    pieces = tuple(piece for _ in range(5) for piece in (code.Piece("d"), code.Piece("text", b" ")))
    show = code.Print(pieces, (expr, *(Local(n, Type.LONG) for n in range(4))), 0)
    setting = [
        code.Evaluate(code.Assign(Local(n, Type.LONG), "=", Number(value), Type.LONG, 0))
        for n, value in enumerate(initial)
    ]
    outcome = evaluate(code.Block((*setting, code.Evaluate(show))))
    variables = list(initial)
    try:
        value = model(expr, variables)
    except ZeroDivisionError:
        assert (outcome.errors, outcome.text) == (["division by 0"], "")
    else:
        assert outcome.errors == []
        assert [int(word) for word in outcome.text.split()] == [value, *variables]
