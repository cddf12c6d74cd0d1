"""Statements. A jump out of loops destroys their iterators first; what a loop may cost is counted in actions.

while (i < n) i++    ->   bpf_iter_num of as many turns as a handler has actions; when they are used up: MAXACTION exceeded
"""

from __future__ import annotations

from typing import assert_never

from probelang.artifact.code import (
    Block,
    Break,
    Continue,
    Delete,
    Evaluate,
    Expr,
    Foreach,
    ForeachBucket,
    If,
    Local,
    Loop,
    Next,
    Return,
    Scalar,
    Stmt,
    Try,
)
from probelang.diag import InternalError
from probelang.llvm import aggregates, arrays, errors, expressions, foreach, globals
from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import MAX_TURNS
from probelang.llvm.values import Jump, Jumps, LoopState, StrVal


def emit(e: Emitter, stmt: Stmt) -> None:
    with e.temporaries():
        match stmt:
            case Block():
                for inner in stmt.body:
                    emit(e, inner)
            case Evaluate():
                expressions.emit_void(e, stmt.value)
            case If():
                emit_if(e, stmt)
            case Loop():
                emit_loop(e, stmt)
            case Foreach():
                foreach.emit_foreach(e, stmt)
            case ForeachBucket():
                emit_buckets(e, stmt)
            case Return():
                emit_return(e, stmt.value)
            case Next():
                e.jump(e.jumps.next or e.jumps.leave)
            case Break():
                jump_to(e, e.jumps.break_)
            case Continue():
                jump_to(e, e.jumps.continue_)
            case Delete():
                arrays.delete(e, stmt)
            case Try():
                emit_try(e, stmt)
            case _:
                assert_never(stmt)


def jump_to(e: Emitter, target: Jump | None) -> None:
    if target is None:
        raise InternalError("break or continue outside of a loop")
    e.jump(target)


def emit_if(e: Emitter, stmt: If) -> None:
    yes, no, behind = e.fresh("then"), e.fresh("else"), e.fresh("endif")
    with e.temporaries():
        expressions.branch_on(e, stmt.condition, yes, no)
    e.start(yes)
    emit(e, stmt.then)
    if stmt.otherwise is not None:
        if not e.terminated:
            e.branch(behind)
        e.start(no)
        emit(e, stmt.otherwise)
        e.start(behind)
    else:
        e.start(no)


def emit_return(e: Emitter, value: Expr | None) -> None:
    if value is not None and e.result is not None:
        globals.put(e, e.result, expressions.emit(e, value))
    elif value is not None:
        expressions.emit_void(e, value)
    e.jump(e.jumps.leave)


# ------------------------------------------------------------------------------------------------------ loops


def weight(stmt: Stmt | None) -> int:
    """Statements outside of inner loops: what one pass through costs."""
    match stmt:
        case None:
            return 0
        case Block():
            return sum(weight(s) for s in stmt.body)
        case If():
            return 1 + max(weight(stmt.then), weight(stmt.otherwise))
        case Try():
            return 1 + weight(stmt.body)
        case _:
            return 1


def spend(e: Emitter, actions: int, at: int) -> None:
    """Takes from the hit's actions; when they are used up the handler ends with an error that nothing catches."""
    if e.simple:
        return
    place = e.at(e.module.header.actions)
    left = e.sub(e.load(place), actions)
    e.store(place, left)
    with e.when(e.compare("slt", left, 0)):
        e.fail(errors.MAXACTION, at)


def emit_loop(e: Emitter, stmt: Loop) -> None:
    turns = min(e.module.options.limits.actions + 1, MAX_TURNS)
    with e.loop(turns, exhausted=lambda: e.fail(errors.MAXACTION, stmt.at)) as loop:
        spend(e, 1 + weight(stmt.body), stmt.at)
        if stmt.condition is not None:
            go_on = e.fresh("go")
            with e.temporaries():
                expressions.branch_on(e, stmt.condition, go_on, loop.done)
            e.start(go_on)
        step = e.fresh("step")
        in_loop(e, loop, Jump(step, len(e.iterators)), stmt.body)
        e.start(step)
        if stmt.step is not None:
            with e.temporaries():
                expressions.emit_void(e, stmt.step)


def in_loop(e: Emitter, loop: LoopState, again: Jump, body: Stmt) -> None:
    """The body, with `break` and `continue`."""
    outer = e.jumps
    e.jumps = Jumps(outer.leave, outer.next, Jump(loop.done, len(e.iterators)), again)
    emit(e, body)
    e.jumps = outer


def emit_buckets(e: Emitter, stmt: ForeachBucket) -> None:
    """foreach over the buckets of a histogram, by number."""
    layout = aggregates.layout_of(e, stmt.histogram.variable)
    buckets = aggregates.histogram_layout(layout, stmt.histogram).buckets
    count = aggregates.emit_count(e, stmt.histogram)
    e.fail_if(e.compare("eq", count, 0), aggregates.EMPTY, stmt.at)
    left = e.cell(Value(str(buckets)) if stmt.limit is None else expressions.emit_long(e, stmt.limit))
    with e.loop(buckets) as loop:
        e.stop_if(loop, e.compare("sle", e.get(left), 0))
        e.set(left, e.sub(e.get(left), 1))
        spend(e, 1 + weight(stmt.body), stmt.at)
        number = e.sub(buckets - 1, loop.index) if stmt.descending else loop.index
        globals.put_variable(e, stmt.bucket, number)
        step = e.fresh("step")
        in_loop(e, loop, Jump(step, len(e.iterators)), stmt.body)
        e.start(step)


# -------------------------------------------------------------------------------------------------- try, catch


def emit_try(e: Emitter, stmt: Try) -> None:
    caught, behind = e.fresh("catch"), e.fresh("endtry")
    e.error_labels.append(caught)
    emit(e, stmt.body)
    e.error_labels.pop()
    if not e.terminated:
        e.branch(behind)
    if caught in e.used:
        e.start_aside(caught)
        errors.pass_on_hard(e)
        put_message(e, stmt.variable)
        emit(e, stmt.handler)
        if not e.terminated:
            e.branch(behind)
    if behind in e.used:
        e.start_aside(behind)


def put_message(e: Emitter, variable: Local | Scalar | None) -> None:
    if variable is not None:
        message: StrVal = errors.caught_text(e)
        globals.put_variable(e, variable, message)
