"""Loops over arrays: the body becomes a callback of bpf_for_each_map_elem.

    foreach (v = [k] in a) { if (v > 5) break; n += v }
    ->  i64 body(map, key, value, context): k = key; v = value; ...; break is: flow = BREAK, return 1
        for_each(a, body, &frame); flow RETURN, NEXT or ERROR goes on from here

Everything that the body shares with the code around it lies in the frame. The kernel visits elements in no order, so
sorting belongs to the user half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from probelang.artifact.code import Contains, Delete, Expr, Foreach, Local, Scalar, Type, type_of
from probelang.artifact.manifest import KeyField, MapStorage
from probelang.diag import InternalError
from probelang.llvm import arrays, expressions, globals, statements
from probelang.llvm.builder import Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import FLOW_BREAK, FLOW_ERROR, FLOW_NEXT, FLOW_NONE, FLOW_RETURN
from probelang.llvm.helper_ids import FOR_EACH, MAP_DELETE, MAP_LOOKUP
from probelang.llvm.values import Buffer, Cell, Jump, Jumps, StrVal

PROBE_READ_KERNEL_STR = 115
MAP, KEY, VALUE = Pointer("%map"), Pointer("%key"), Pointer("%value")
Wanted = list["Cell | Buffer | None"]


def emit_foreach(e: Emitter, stmt: Foreach) -> None:
    variable = e.module.program.source.variables[stmt.variable]
    if stmt.order is not None:
        raise InternalError("the checker refuses to sort in a process probe")
    storage = arrays.storage_of(e, stmt.variable)
    wanted = hold_slice(e, stmt.slice)
    left = None if stmt.limit is None else e.cell(expressions.emit_long(e, stmt.limit))

    def body(b: Emitter) -> None:
        skip_unmatched(b, storage, wanted)
        if left is not None:
            with b.when(b.compare("sle", b.get(left), 0)):
                b.ret(1)
            b.set(left, b.sub(b.get(left), 1))
        for target, field in zip(stmt.keys, storage.key, strict=True):
            put_key(b, target, field)
        if stmt.value is not None:
            put_value(b, stmt.value, variable.value)
        statements.spend(b, 1 + statements.weight(stmt.body), stmt.at)
        statements.emit(b, stmt.body)

    each(e, storage, body)


def each(e: Emitter, storage: MapStorage, body: Callable[[Emitter], None]) -> None:
    """Runs `body`, written into a callback, for every element; then goes where it wants to go."""
    e.module.need("for_each")
    header = e.module.header
    frame = e.frame_pointer()
    symbol = write_callback(e, body)
    e.store(e.at(header.flow), FLOW_NONE)
    behind = e.fresh("walked")
    if storage.swap:
        with e.key_memory(8) as zero:
            e.store(zero, 0)
            live = e.helper_pointer(MAP_LOOKUP, e.map(storage.map), zero)
        found = e.fresh("map")
        e.branch_if(e.is_null(live), behind, found)
        e.start(found)
    else:
        live = e.map(storage.map)
    # the kernel wants the context on the stack: the frame's address is handed on there
    with e.stack_word() as context:
        e.put(f"store volatile ptr {frame}, ptr {context}, align 8")
        e.helper(FOR_EACH, live, Pointer(f"@{symbol}"), context, 0)
    e.start(behind)
    flow = e.load(e.at(header.flow))
    e.store(e.at(header.flow), FLOW_NONE)
    go_on = e.fresh("goon")
    for code, jump in ((FLOW_RETURN, e.jumps.leave), (FLOW_NEXT, e.jumps.next)):
        if jump is not None:
            with e.when(e.compare("eq", flow, code)):
                e.jump(jump)
    e.branch_if(e.compare("eq", flow, FLOW_ERROR), e.error_labels[-1], go_on)
    e.start(go_on)


def write_callback(e: Emitter, body: Callable[[Emitter], None]) -> str:
    """The callback's symbol. It shares locals, result and memory with the code around the loop."""
    module = e.module
    module.callbacks += 1
    symbol = f"each_{module.callbacks}"
    parameters = (("map", Pointer), ("key", Pointer), ("value", Pointer), ("context", Pointer))
    b = Emitter(module, "callback", symbol, parameters, internal=True, top=e.top)
    b.frame = Pointer(b.assign("load volatile ptr, ptr %context, align 8"))
    b.part = e.part
    b.place = e.place
    b.locals, b.result, b.calls, b.saves, b.overrides = e.locals, e.result, e.calls, e.saves, e.overrides
    labels = {code: b.fresh("flow") for code in (FLOW_BREAK, FLOW_NEXT, FLOW_RETURN, FLOW_ERROR)}
    again = b.fresh("again")
    b.error_labels.append(labels[FLOW_ERROR])
    next_jump = None if e.jumps.next is None else Jump(labels[FLOW_NEXT], 0)
    b.jumps = Jumps(Jump(labels[FLOW_RETURN], 0), next_jump, Jump(labels[FLOW_BREAK], 0), Jump(again, 0))
    body(b)
    b.start(again)
    b.ret(0)
    for code, label in labels.items():
        if label in b.used:
            b.start_aside(label)
            b.store(b.at(module.header.flow), code)
            b.ret(1)
    e.high = max(e.high, b.high)
    module.add(
        b, "static", (("map", "pointer"), ("key", "pointer"), ("value", "pointer"), ("context", "pointer"))
    )
    return symbol


# -------------------------------------------------------------------------------------- keys and values


def key_text(b: Emitter, field: KeyField) -> StrVal:
    """A string field of the key at hand: what is in front of the zeros."""
    buffer = b.buffer()
    copied = b.helper(PROBE_READ_KERNEL_STR, b.data(buffer), field.size + 1, b.offset(KEY, field.offset))
    length = b.cell(0)
    with b.when(b.compare("sgt", copied, 0)):
        b.set(length, b.sub(copied, 1))
    b.set_length(buffer, b.mask(b.get(length)))
    return b.text_of(buffer)


def key_value(b: Emitter, field: KeyField) -> Value | StrVal:
    return b.load(b.offset(KEY, field.offset)) if field.type is Type.LONG else key_text(b, field)


def put_key(b: Emitter, target: Local | Scalar, field: KeyField) -> None:
    with b.temporaries():
        globals.put_variable(b, target, key_value(b, field))


def put_value(b: Emitter, target: Local | Scalar, kind: Type) -> None:
    """The element's value; of an aggregate its count, which comes first."""
    if kind is not Type.STRING:
        globals.put_variable(b, target, b.load(VALUE))
        return
    with b.temporaries():
        buffer = b.buffer()
        b.copy(b.at(buffer.offset), 8 + b.string_size, VALUE)
        globals.put_variable(b, target, b.text_of(buffer))


def hold_slice(e: Emitter, index: Sequence[Expr | None] | None) -> Wanted:
    """The values that a key must have, evaluated once; None where anything will do."""
    wanted: Wanted = []
    for expr in index or ():
        if expr is None:
            wanted.append(None)
            continue
        slot: Cell | Buffer = e.buffer() if type_of(expr) is Type.STRING else e.cell()
        with e.temporaries():
            globals.put(e, slot, expressions.emit(e, expr))
        wanted.append(slot)
    return wanted


def skip_unmatched(b: Emitter, storage: MapStorage, wanted: Wanted) -> None:
    """Leaves the callback when the key at hand is not of the slice."""
    for field, slot in zip(storage.key, wanted, strict=False):
        if slot is None:
            continue
        with b.temporaries():
            value = key_value(b, field)
            if isinstance(slot, Cell) and isinstance(value, Value):
                same = b.compare("eq", value, b.get(slot))
            elif isinstance(slot, Buffer) and isinstance(value, StrVal):
                from probelang.llvm import strings

                same = b.truth(strings.compare(b, "==", value, b.text_of(slot)))
            else:
                raise InternalError("a key and a slice of different types")
        with b.when(b.negate(same)):
            b.ret(0)


# ---------------------------------------------------------------------------------- wildcards without loop


def any_match(e: Emitter, node: Contains, result: Cell) -> None:
    """Sets `result` to 1 if an element matches."""
    storage = arrays.storage_of(e, node.variable)
    wanted = hold_slice(e, node.index)
    e.frame_pointer()

    def body(b: Emitter) -> None:
        skip_unmatched(b, storage, wanted)
        b.set(result, 1)
        b.ret(1)

    each(e, storage, body)


def delete_matching(e: Emitter, node: Delete) -> None:
    """Deletes the elements that match, all of them without an index."""
    storage = arrays.storage_of(e, node.variable)
    wanted = hold_slice(e, node.index)
    e.frame_pointer()

    def body(b: Emitter) -> None:
        skip_unmatched(b, storage, wanted)
        b.helper(MAP_DELETE, MAP, KEY)

    each(e, storage, body)
