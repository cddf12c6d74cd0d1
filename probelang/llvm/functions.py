"""Functions of the script: how they are called, and how they become BPF functions or part of their callers.

    function f(n) { return n + 1 }    x = f(2)
    -> small and pure: its code in place; otherwise: store 2 at the clone's parameter in the frame, call i64 @f0_f(frame), load
       the clone's result from the frame; a status other than 0 is an error on its way (1), or `next` (2)

Each clone has its own part of the frame for parameters, locals and result. Callees are written before their callers, and
a caller's memory begins behind that of all its callees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from probelang.artifact.code import Function, Invoke, LocalVariable, Type
from probelang.layout.program import Clone
from probelang.layout.sleeping import may_sleep
from probelang.llvm import errors, expressions, globals, statements
from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.module import Module
from probelang.llvm.values import Buffer, Cell, Jump, Jumps, StrVal

OK, FAILED, NEXT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Linkage:
    """Where a compiled clone finds its locals (parameters first) and leaves its result; `end`: of its memory."""

    locals: tuple[Cell | Buffer, ...]
    result: Cell | Buffer | None
    end: int
    saves: tuple[str, ...]


def make_local(e: Emitter, kind: Type) -> Cell | Buffer:
    return e.buffer() if kind is Type.STRING else e.cell()


def make_locals(e: Emitter, variables: Sequence[LocalVariable]) -> list[Cell | Buffer]:
    return [make_local(e, v.type) for v in variables]


def clear(e: Emitter, slot: Cell | Buffer) -> None:
    """0 or empty."""
    if isinstance(slot, Cell):
        e.set(slot, 0)
    else:
        e.set_length(slot, 0)


# --------------------------------------------------------------------------------------------------- calling


def invoke(e: Emitter, node: Invoke) -> Value | StrVal | None:
    """Tries the overloads of the chain in order; the result lies in a temporary of the caller."""
    values = expressions.emit_all(e, node.arguments)
    result = None if node.type is Type.VOID else make_local(e, node.type)
    if result is not None:
        clear(e, result)
    done = e.fresh("called")
    chain = list(node.chain)
    kept = [keep(e, v) for v in values] if len(chain) > 1 else None
    for position, function in enumerate(chain):
        if kept is not None:
            values = [e.get(k) if isinstance(k, Cell) else e.text_of(k) for k in kept]
        following = e.fresh("following")
        call_one(e, node, e.calls.get(function), values, result, following)
        if not e.terminated:
            e.branch(done)
        if following not in e.used:
            break
        e.start_aside(following)
        if position + 1 == len(chain):
            e.fail(errors.EXHAUSTED, node.at)
    e.start(done)
    if result is None:
        return None
    return e.get(result) if isinstance(result, Cell) else e.text_of(result)


def keep(e: Emitter, value: Value | StrVal) -> Cell | Buffer:
    slot: Cell | Buffer = e.cell() if isinstance(value, Value) else e.buffer()
    globals.put(e, slot, value)
    return slot


def call_one(
    e: Emitter,
    node: Invoke,
    number: int | None,
    values: Sequence[Value | StrVal],
    result: Cell | Buffer | None,
    following: Label,
) -> None:
    if number is None:
        e.fail(errors.MAXNESTING, node.at)
        return
    clone = e.module.program.clones[number]
    if clone.inline:
        call_inline(e, clone, values, result, following)
    else:
        call_clone(e, clone, number, values, result, following)


def call_clone(
    e: Emitter,
    clone: Clone,
    number: int,
    values: Sequence[Value | StrVal],
    result: Cell | Buffer | None,
    following: Label,
) -> None:
    linkage: Linkage = e.module.linkages[number]
    for slot, value in zip(linkage.locals, values, strict=False):
        globals.put(e, slot, value)
    e.saves.update(dict.fromkeys(linkage.saves))
    status = Value(e.assign(f"call i64 @{clone.symbol}(ptr {e.frame_pointer()})"))
    after_call(e, status, following)
    if result is not None and linkage.result is not None:
        value = e.get(linkage.result) if isinstance(linkage.result, Cell) else e.text_of(linkage.result)
        globals.put(e, result, value)


def after_call(e: Emitter, status: Value, following: Label) -> None:
    """Goes on when all is well; errors go to the pad, `next` to the following overload."""
    fine, wrong = e.fresh("fine"), e.fresh("wrong")
    e.branch_if(e.compare("eq", status, OK), fine, wrong)
    e.start(wrong)
    e.branch_if(e.compare("eq", status, NEXT), following, e.error_labels[-1])
    e.start(fine)


def call_inline(
    e: Emitter, clone: Clone, values: Sequence[Value | StrVal], result: Cell | Buffer | None, following: Label
) -> None:
    """The function's code in place: its locals are temporaries of the caller."""
    function = e.module.program.source.functions[clone.function]
    with e.temporaries():
        slots = make_locals(e, function.locals)
        for i, slot in enumerate(slots):
            if i < len(values):
                globals.put(e, slot, values[i])
            else:
                clear(e, slot)
        back = e.fresh("return")
        outer = (e.locals, e.result, e.jumps, e.calls, e.overrides)
        e.locals, e.result, e.overrides = slots, result, []
        e.jumps = Jumps(Jump(back, len(e.iterators)), Jump(following, len(e.iterators)))
        e.calls = {g: c for g, c in clone.calls if c is not None}
        count_actions(e, function)
        statements.emit(e, function.body)
        e.locals, e.result, e.jumps, e.calls, e.overrides = outer
        e.start(back)


# -------------------------------------------------------------------------------------------------- compiling


def compile_clone(module: Module, number: int) -> None:
    """Writes a clone that is not inline as a BPF global function."""
    clone = module.program.clones[number]
    function = module.program.source.functions[clone.function]
    top = memory_below(module, (c for _, c in clone.calls if c is not None))
    e = Emitter(module, "function", clone.symbol, (("frame", Pointer),), top=top)
    e.part, e.place = ("function", clone.function), function.at
    e.sleepable = clone.function in may_sleep(module.program.source, module.program.kernel)
    e.enter_frame_function()
    e.locals = make_locals(e, function.locals)
    e.result = None if function.result is Type.VOID else make_local(e, function.result)
    for slot in e.locals[function.parameters :]:
        clear(e, slot)
    if e.result is not None:
        clear(e, e.result)
    leave, following, failed = e.fresh("leave"), e.fresh("next"), e.fresh("failed")
    e.error_labels.append(failed)
    e.jumps = Jumps(Jump(leave, 0), Jump(following, 0))
    e.calls = {g: c for g, c in clone.calls if c is not None}
    count_actions(e, function)
    statements.emit(e, function.body)
    e.start(leave)
    e.ret(OK)
    for label, status in ((following, NEXT), (failed, FAILED)):
        if label in e.used:
            e.start_aside(label)
            e.ret(status)
    module.add(e, "global", (("frame", "frame"),))
    module.linkages[number] = Linkage(tuple(e.locals), e.result, e.high, tuple(e.saves))
    module.frame_end = max(module.frame_end, e.high)


def memory_below(module: Module, called: Iterable[int]) -> int:
    """Where memory may begin of code that calls these clones: behind theirs, and behind what those call that are inline."""
    end = module.header.routines_end
    pending = list(called)
    while pending:
        number = pending.pop()
        if number in module.linkages:
            end = max(end, module.linkages[number].end)
        else:
            pending += [c for _, c in module.program.clones[number].calls if c is not None]
    return end


def count_actions(e: Emitter, function: Function) -> None:
    """A call costs as many actions as the function has statements outside of loops; those of the library cost nothing."""
    if not function.library and not e.simple:
        statements.spend(e, statements.weight(function.body), function.at)
