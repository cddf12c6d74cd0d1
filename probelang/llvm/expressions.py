"""Expressions: typed code to values. Operands are evaluated left to right.

    emit_long(e, Binary("+", Local(0, LONG), Number(1), at))  ->  Value of `add i64 %v1, 1`

A value that must outlive something that calls or loops is put into the frame (`hold`), for three reasons: the BPF stack is
512 bytes for a whole chain of calls, the verifier forgets what it knew of it, and so loops converge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias, assert_never

from probelang.artifact.code import (
    Accumulate,
    Assign,
    Binary,
    BucketCount,
    Call,
    Choose,
    Compare,
    Concat,
    Contains,
    Element,
    Expr,
    Extract,
    Format,
    Histogram,
    Invoke,
    Local,
    Logical,
    Matches,
    Number,
    Print,
    Scalar,
    Step,
    Text,
    Type,
    Unary,
    type_of,
)
from probelang.diag import InternalError
from probelang.layout.walk import nodes
from probelang.llvm import aggregates, arrays, functions, globals, opaque, prints
from probelang.llvm.builder import Bit, Label, Predicate, Value
from probelang.llvm.cut import cut_literal
from probelang.llvm.emitter import Emitter
from probelang.llvm.values import Buffer, Cell, StrVal

Result: TypeAlias = Value | StrVal

PREDICATES: dict[str, Predicate] = {"==": "eq", "!=": "ne", "<": "slt", "<=": "sle", ">": "sgt", ">=": "sge"}
INSTRUCTIONS = {
    "+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor", "<<": "shl", ">>": "ashr", ">>>": "lshr",
}  # fmt: skip


def emit_long(e: Emitter, expr: Expr) -> Value:
    value = emit(e, expr)
    if not isinstance(value, Value):
        raise InternalError(f"a long was expected of {type(expr).__name__}")
    return value


def emit_text(e: Emitter, expr: Expr) -> StrVal:
    value = emit(e, expr)
    if not isinstance(value, StrVal):
        raise InternalError(f"a string was expected of {type(expr).__name__}")
    return value


def emit(e: Emitter, expr: Expr) -> Result | None:
    """The value of an expression; None for VOID."""
    match expr:
        case Number():
            return Value(str(expr.value))
        case Text():
            return e.literal(cut_literal(expr.value, e.string_size))
        case Local():
            slot = e.locals[expr.slot]
            return e.get(slot) if isinstance(slot, Cell) else e.text_of(slot)
        case Scalar() | Element():
            return emit_global(e, expr)
        case Contains():
            return arrays.contains(e, expr)
        case Unary() | Binary() | Logical():
            return emit_arithmetic(e, expr)
        case Compare():
            return emit_compare(e, expr)
        case Choose():
            return emit_choose(e, expr)
        case Assign():
            return globals.assign(e, expr)
        case Step():
            return globals.step(e, expr)
        case Accumulate():
            return aggregates.accumulate(e, expr)
        case Extract():
            return aggregates.extract(e, expr)
        case BucketCount():
            return aggregates.bucket_count(e, expr)
        case Invoke():
            return functions.invoke(e, expr)
        case Print():
            prints.emit_print(e, expr)
            return Value("0")
        case Concat() | Matches() | Format() | Call():
            with e.placed(expr.at):
                return emit_library(e, expr)
        case _:
            assert_never(expr)


def emit_void(e: Emitter, expr: Expr) -> None:
    """Evaluates for the effect only, which saves fetching the old value of what is counted."""
    match expr:
        case Step():
            globals.step(e, expr, want=False)
        case Assign():
            globals.assign(e, expr, want=False)
        case _:
            emit(e, expr)


def emit_global(e: Emitter, expr: Scalar | Element) -> Result:
    if e.overrides:
        key = globals.bare(expr)
        for target, slot in reversed(e.overrides):
            if target == key:
                return e.get(slot) if isinstance(slot, Cell) else e.text_of(slot)
    return globals.read(e, expr) if isinstance(expr, Scalar) else arrays.read(e, expr)


# -------------------------------------------------------------------------------------- several operands


def emit_all(e: Emitter, exprs: Sequence[Expr]) -> list[Result]:
    """Values in order; earlier ones outlive the evaluation of later ones."""
    held: list[Callable[[], Result]] = []
    for i, expr in enumerate(exprs):
        value = emit(e, expr)
        if value is None:
            raise InternalError("an operand without value")
        held.append(hold(e, value, exprs[i + 1 :]))
    return [get() for get in held]


def hold(e: Emitter, value: Result, later: Sequence[Expr]) -> Callable[[], Result]:
    """How to get `value` back after `later` has been evaluated."""
    if not any(is_complex(expr) for expr in later) or e.simple:
        return lambda: value
    if isinstance(value, Value):
        if value.lstrip("-").isdigit():
            return lambda: value
        cell = e.cell(value)
        return lambda: e.get(cell)
    if value.literal is not None:
        return lambda: value
    if any(isinstance(n, Assign) and n.type is Type.STRING for n in nodes(*later)):
        value = e.in_frame(value)  # it may be a variable's own memory
    text, length = value, e.cell(value.length)
    return lambda: replace(text, length=e.mask(e.get(length)))


def is_complex(expr: Expr) -> bool:
    """Whether evaluating it calls or loops or branches at length."""
    simple = Number | Text | Local | Unary | Binary | Compare
    return any(not isinstance(n, simple) or _is_text(n) for n in nodes(expr))


def _is_text(node: object) -> bool:
    return isinstance(node, Compare) and type_of(node.left) is Type.STRING


# ------------------------------------------------------------------------------------------------ numbers


def emit_arithmetic(e: Emitter, expr: Unary | Binary | Logical) -> Value:
    match expr:
        case Unary(op="-"):
            return e.sub(0, emit_long(e, expr.operand))
        case Unary(op="~"):
            return e.bits_xor(emit_long(e, expr.operand), -1)
        case Unary():
            return e.widen(e.compare("eq", emit_long(e, expr.operand), 0))
        case Logical():
            return emit_truth(e, expr)
        case Binary():
            left, right = emit_all(e, (expr.left, expr.right))
            if not isinstance(left, Value) or not isinstance(right, Value):
                raise InternalError("arithmetic on strings")
            return operate(e, expr.op, left, right, expr.at)
        case _:
            assert_never(expr)


def operate(e: Emitter, op: str, left: Value, right: Value, at: int) -> Value:
    """`left op right` on longs; may raise the soft error `division by 0`."""
    if op in "/%":
        e.fail_if(e.compare("eq", right, 0), "division by 0", at)
        return divide(e, left, right, op == "%")
    if op in ("<<", ">>", ">>>"):
        right = e.bits_and(right, 63)
    return e.arithmetic(INSTRUCTIONS[op], left, right)


def divide(e: Emitter, left: Value, right: Value, remainder: bool) -> Value:
    """Signed division by unsigned: BPF before ISA v4 has no other. INT64_MIN / -1 comes out as INT64_MIN."""

    def with_sign(value: Value, sign: Value) -> Value:
        return e.sub(e.bits_xor(value, sign), sign)

    if not right.lstrip("-").isdigit():
        # a divisor that LLVM knows to be a power of two becomes a look-up in a table
        right = e.opaque(right)
    left_sign, right_sign = e.shift_right(left, 63, signed=True), e.shift_right(right, 63, signed=True)
    dividend, divisor = with_sign(left, left_sign), with_sign(right, right_sign)
    if remainder:
        return with_sign(e.arithmetic("urem", dividend, divisor), left_sign)
    return with_sign(e.arithmetic("udiv", dividend, divisor), e.bits_xor(left_sign, right_sign))


def emit_compare(e: Emitter, expr: Compare) -> Value:
    left, right = emit_all(e, (expr.left, expr.right))
    if isinstance(left, StrVal) and isinstance(right, StrVal):
        from probelang.llvm import strings

        opaque.refuse_tokens(e, (left, right), place_of(e, expr))
        return strings.compare(e, expr.op, left, right)
    if isinstance(left, Value) and isinstance(right, Value):
        return e.widen(e.compare(PREDICATES[expr.op], left, right))
    raise InternalError("comparison of a long with a string")


def place_of(e: Emitter, expr: Expr) -> int:
    """Where an expression stands: its first part that knows."""
    places = (getattr(node, "at", None) for node in nodes(expr))
    return next((at for at in places if isinstance(at, int)), e.place)


def emit_truth(e: Emitter, expr: Expr) -> Value:
    """0 or 1, by branching."""
    cell = e.cell(0)
    yes, no = e.fresh("true"), e.fresh("false")
    branch_on(e, expr, yes, no)
    e.start(yes)
    e.set(cell, 1)
    e.start(no)
    return e.get(cell)


def branch_on(e: Emitter, expr: Expr, yes: Label, no: Label) -> None:
    """Goes to `yes` if the condition is not 0; nothing is computed that need not be."""
    match expr:
        case Logical():
            second = e.fresh("second")
            if expr.op == "&&":
                branch_on(e, expr.left, second, no)
            else:
                branch_on(e, expr.left, yes, second)
            e.start(second)
            branch_on(e, expr.right, yes, no)
        case Unary(op="!"):
            branch_on(e, expr.operand, no, yes)
        case _:
            e.branch_if(condition(e, expr), yes, no)


def condition(e: Emitter, expr: Expr) -> Bit:
    if isinstance(expr, Compare) and type_of(expr.left) is Type.LONG:
        left, right = emit_all(e, (expr.left, expr.right))
        if isinstance(left, Value) and isinstance(right, Value):
            return e.compare(PREDICATES[expr.op], left, right)
    return e.truth(emit_long(e, expr))


def emit_choose(e: Emitter, expr: Choose) -> Result:
    target: Cell | Buffer = e.cell() if expr.type is Type.LONG else e.buffer()
    yes, no, behind = e.fresh("then"), e.fresh("else"), e.fresh("endif")
    branch_on(e, expr.condition, yes, no)
    for label, arm in ((yes, expr.then), (no, expr.otherwise)):
        e.start(label)
        with e.temporaries():
            globals.put(e, target, emit(e, arm))
        if not e.terminated:
            e.branch(behind)
    e.start(behind)
    return e.get(target) if isinstance(target, Cell) else e.text_of(target)


# ------------------------------------------------------------------------------------- strings and calls


def emit_library(e: Emitter, expr: Concat | Matches | Format | Call) -> Result | None:
    """What the string routines and the builtins do."""
    from probelang.llvm import calls, strings
    from probelang.llvm.text import format, regex

    match expr:
        case Concat():
            return strings.concat(e, texts(emit_all(e, expr.parts)))
        case Matches():
            subject = emit_text(e, expr.subject)
            opaque.refuse_tokens(e, (subject,), expr.at)
            found = regex.matches(e, subject, expr.automaton, expr.at)
            return e.widen(e.compare("eq", found, 0)) if expr.negated else found
        case Format():
            values = [a for a in expr.arguments if not isinstance(a, Histogram)]
            if len(values) != len(expr.arguments):
                raise InternalError("the checker refuses histograms as text in a process probe")
            conversions = [
                partial(emit_all, e, values[first:end]) for first, end in format.groups(expr.pieces)
            ]
            return format.format_groups(e, expr.pieces, conversions, expr.at)
        case Call():
            return calls.lower_call(e, expr, emit_all(e, expr.arguments))
        case _:
            assert_never(expr)


def texts(values: Sequence[Result]) -> list[StrVal]:
    return [v for v in values if isinstance(v, StrVal)]
