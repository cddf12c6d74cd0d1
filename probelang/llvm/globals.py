"""Global scalars, and every assignment.

    n += 2          ->  lock add [n], 2                    (one instruction: exact from any number of CPUs)
    n = n * 3 + 1   ->  do { old = n; new = old * 3 + 1 } while (!compare_exchange(&n, old, new))
    s .= "x"        ->  the same with the sequence word before the string

Never load, add, store: another CPU, or another thread on this CPU, may run in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from probelang.artifact.code import (
    Accumulate,
    Assign,
    Binary,
    Call,
    Concat,
    Element,
    Expr,
    Invoke,
    Local,
    Print,
    Scalar,
    Step,
    Type,
)
from probelang.artifact.manifest import BssStorage
from probelang.builtins.table import overloads
from probelang.diag import InternalError
from probelang.layout.walk import nodes
from probelang.llvm import arrays, expressions, sharedtext
from probelang.llvm.builder import AtomicOp, Operand, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.values import Buffer, Cell, StrVal

PLAIN = 64  # attempts on kernels without iterators
ATTEMPTS = 1 << 16  # a compare-and-exchange that loses as often has met a fault of ours, not bad luck
ATOMIC: dict[str, AtomicOp] = {"+": "add", "-": "add", "&": "and", "|": "or", "^": "xor"}


def storage_pointer(e: Emitter, variable: int) -> Pointer:
    """Where a scalar lies in `.bss`."""
    storage = e.module.program.storages[variable]
    if not isinstance(storage, BssStorage):
        raise InternalError(f"variable {variable} is no scalar of the kernel half")
    return e.module.bss(storage.offset)


def read(e: Emitter, scalar: Scalar) -> Value | StrVal:
    if scalar.type is Type.LONG:
        return e.load(storage_pointer(e, scalar.variable))
    buffer = e.buffer()
    sharedtext.read_scalar(e, scalar.variable, buffer)
    return e.text_of(buffer)


def put(e: Emitter, target: Cell | Buffer, value: Value | StrVal | None) -> None:
    """Stores a value into a local."""
    if isinstance(target, Cell) and isinstance(value, Value):
        e.set(target, value)
    elif isinstance(target, Buffer) and isinstance(value, StrVal):
        e.copy_to_buffer(target, value)
    else:
        raise InternalError("a value and a variable of different types")


def put_variable(e: Emitter, target: Local | Scalar, value: Value | StrVal) -> None:
    """Stores into a local or global: loop variables and caught messages."""
    if isinstance(target, Local):
        put(e, e.locals[target.slot], value)
    elif isinstance(value, Value):
        e.store(storage_pointer(e, target.variable), value)
    else:
        sharedtext.write_scalar(e, target.variable, value)


def assign(e: Emitter, node: Assign, want: bool = True) -> Value | StrVal:
    """`want`: the value of the assignment is used."""
    with e.placed(node.at):
        match node.target:
            case Local():
                return assign_local(e, node, node.target)
            case Scalar() if node.type is Type.LONG:
                return assign_long(e, node, node.target, want)
            case Element() if node.type is Type.LONG:
                return arrays.assign_long(e, node, node.target, want)
            case _:
                return sharedtext.assign(e, node, node.target)


def assign_local(e: Emitter, node: Assign, target: Local) -> Value | StrVal:
    slot = e.locals[target.slot]
    value = expressions.emit(e, node.value)
    if node.op == ".":
        from probelang.llvm import strings

        if not isinstance(value, StrVal) or not isinstance(slot, Buffer):
            raise InternalError("`.=` on a long")
        value = strings.concat(e, [e.text_of(slot), value])
    elif node.op != "=":
        if not isinstance(value, Value) or not isinstance(slot, Cell):
            raise InternalError("arithmetic on a string")
        value = expressions.operate(e, node.op, e.get(slot), value, node.at)
    put(e, slot, value)
    return e.text_of(slot) if isinstance(slot, Buffer) else value_of(value)


def value_of(value: Value | StrVal | None) -> Value | StrVal:
    if value is None:
        raise InternalError("a void value is used")
    return value


def assign_long(e: Emitter, node: Assign, target: Scalar, want: bool) -> Value:
    pointer = storage_pointer(e, target.variable)
    if node.op == "=" and (change := change_of(node)) is not None:
        return exchange(e, pointer, lambda old: evaluate_with(e, target, old, change))[1]
    value = expressions.emit_long(e, node.value)
    return apply(e, pointer, node.op, value, node.at, want)


def apply(e: Emitter, pointer: Pointer, op: str, value: Value, at: int, want: bool) -> Value:
    """`*pointer op= value` in one atomic step; the value stored (anything, if nobody wants it)."""
    if op == "=":
        e.store(pointer, value)
        return value
    if op in ATOMIC:
        amount: Operand = e.sub(0, value) if op == "-" else value
        name = ATOMIC[op]
        if not want:
            e.atomic(name, pointer, amount)
            return value
        return e.arithmetic(name, e.atomic_fetch(name, pointer, amount), amount)
    return exchange(e, pointer, lambda old: expressions.operate(e, op, old, value, at))[1]


def exchange(e: Emitter, pointer: Pointer, change: Callable[[Value], Value]) -> tuple[Value, Value]:
    """Old and new value of a word that `change` is applied to until nobody came in between."""
    old_cell, new_cell = e.cell(), e.cell()
    with e.loop(ATTEMPTS, plain_turns=PLAIN) as loop:
        old = e.load(pointer)
        e.set(old_cell, old)
        e.set(new_cell, change(old))
        old = e.get(old_cell)
        seen = e.compare_exchange(pointer, old, e.get(new_cell))
        e.stop_if(loop, e.compare("eq", seen, old))
    return e.get(old_cell), e.get(new_cell)


def step(e: Emitter, node: Step, want: bool = True) -> Value:
    match node.target:
        case Local():
            slot = e.locals[node.target.slot]
            if not isinstance(slot, Cell):
                raise InternalError("`++` on a string")
            old = e.get(slot)
            new = e.add(old, node.delta)
            e.set(slot, new)
            return old if node.post else new
        case Scalar():
            return step_at(e, storage_pointer(e, node.target.variable), node, want)
        case Element():
            return arrays.step(e, node, node.target, want)


def step_at(e: Emitter, pointer: Pointer, node: Step, want: bool) -> Value:
    if not want:
        e.atomic("add", pointer, node.delta)
        return Value("0")
    old = e.atomic_fetch("add", pointer, node.delta)
    return old if node.post else e.add(old, node.delta)


# -------------------------------------------------------------------- assignments that read their own target


def change_of(node: Assign) -> Expr | None:
    """The value of `g = e` when e reads g and has no side effects: then the whole is one atomic step."""
    target = bare(node.target)
    code = list(nodes(node.value))
    if not any(isinstance(n, Scalar | Element) and bare(n) == target for n in code):
        return None
    return node.value if is_pure(node.value) else None


def is_pure(expr: Expr) -> bool:
    return not any(
        isinstance(n, Assign | Step | Accumulate | Invoke | Print)
        or (isinstance(n, Call) and any(row.effect for row in overloads(n.name)))
        for n in nodes(expr)
    )


def bare(target: Expr) -> Expr:
    """Without places, so that two mentions of the same element are equal."""
    match target:
        case Element():
            return replace(target, at=0, index=tuple(bare(i) for i in target.index))
        case Binary():
            return replace(target, at=0, left=bare(target.left), right=bare(target.right))
        case Concat():
            return replace(target, at=0, parts=tuple(bare(p) for p in target.parts))
        case Call():
            return replace(target, at=0, arguments=tuple(bare(a) for a in target.arguments))
        case _:
            return target


def evaluate_with(e: Emitter, target: Scalar | Element, old: Value, change: Expr) -> Value:
    """`change`, where `target` means `old`."""
    cell = e.cell(old)
    e.overrides.append((bare(target), cell))
    value = expressions.emit_long(e, change)
    e.overrides.pop()
    return value
