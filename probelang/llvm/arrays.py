"""Arrays: keys, look-ups, elements.

    a[tid(), execname()]++  ->  key on the stack; element = lookup; missing: insert a zero, look up again; lock add [element], 1

A key is built in memory that is zero behind every string. In a sleepable program the map behind an array of maps is used
inside an RCU read section, because the user half may take it away.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from probelang.artifact.code import Assign, Call, Contains, Delete, Element, Expr, Step, Type
from probelang.artifact.manifest import BssStorage, KeyField, MapStorage
from probelang.diag import InternalError
from probelang.llvm import expressions, globals, sharedtext
from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import COMM, MAP_DELETE, MAP_LOOKUP, MAP_UPDATE
from probelang.llvm.values import StrVal

BPF_ANY, BPF_NOEXIST = 0, 1
OVERFLOW = "Array overflow, check MAXMAPENTRIES"
COMM_SIZE = 16
ATTEMPTS = 3  # inserting and looking up again, while others delete what we insert


def storage_of(e: Emitter, variable: int) -> MapStorage:
    storage = e.module.program.storages[variable]
    if not isinstance(storage, MapStorage):
        raise InternalError(f"variable {variable} is no array of the kernel half")
    return storage


# ------------------------------------------------------------------------------------------------------ keys


@contextmanager
def key(e: Emitter, storage: MapStorage, index: Sequence[Expr]) -> Generator[Pointer, None, None]:
    """The key in memory, for the duration of the block. The index is evaluated first, left to right."""
    with e.temporaries():
        values = evaluate_index(e, index)
        with key_of(e, storage, values) as pointer:
            yield pointer


def evaluate_index(e: Emitter, index: Sequence[Expr]) -> list[Value | StrVal | Call]:
    """Values of an index; `execname()` of the current task is left for the key itself, where a helper writes it."""
    plain = [i for i in index if not written_in_place(e, i)]
    values = iter(expressions.emit_all(e, plain))
    return [i if isinstance(i, Call) and written_in_place(e, i) else next(values) for i in index]


def written_in_place(e: Emitter, expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.name == "execname" and e.subject_is_current()


@contextmanager
def key_of(
    e: Emitter, storage: MapStorage, values: Sequence[Value | StrVal | Call]
) -> Generator[Pointer, None, None]:
    with e.key_memory(max(storage.key_size, 8)) as memory:
        for field, value in zip(storage.key, values, strict=True):
            write_field(e, e.offset(memory, field.offset), field, value)
        if not storage.key:
            e.store(memory, 0)
        yield memory


def write_field(e: Emitter, place: Pointer, field: KeyField, value: Value | StrVal | Call) -> None:
    if isinstance(value, Value):
        e.store(place, value)
    elif isinstance(value, Call):
        fill(e, place, field.size)  # some kernels (6.1 is one) write nothing behind the NUL
        e.helper(COMM, place, COMM_SIZE)
    elif value.literal is not None:
        data = value.literal.ljust(field.size, b"\0")
        for i in range(0, field.size, 8):
            e.store(e.offset(place, i), int.from_bytes(data[i : i + 8], "little"))
    elif value.padded and value.padded <= field.size:
        for i in range(0, value.padded, 8):
            e.store(e.offset(place, i), e.load(e.offset(value.data, i)))
        fill(e, e.offset(place, value.padded), field.size - value.padded)
    else:
        fill(e, place, field.size)
        e.copy(place, at_most(e, value.length, field.size) if e.simple else e.mask(value.length), value.data)


def at_most(e: Emitter, length: Value, limit: int) -> Value:
    """`length`, which is not above `limit`, so that the verifier sees it: on the stack a mask would allow too much."""
    cell = e.cell(limit)
    checked = e.opaque(length)
    with e.when(e.compare("ult", checked, limit)):
        e.set(cell, checked)
    return e.get(cell)


def fill(e: Emitter, place: Pointer, size_bytes: int) -> None:
    """Zeros."""
    if size_bytes <= 64:
        for i in range(0, size_bytes, 8):
            e.store(e.offset(place, i), 0)
    else:
        e.copy(place, size_bytes, e.zeros(size_bytes))


# -------------------------------------------------------------------------------------------------- elements


@contextmanager
def live_map(e: Emitter, storage: MapStorage, missing: Label) -> Generator[Pointer, None, None]:
    """The hash map itself; in the block of an array of maps, the one that is live."""
    if not storage.swap:
        yield e.map(storage.map)
        return
    with e.key_memory(8) as zero:
        e.store(zero, 0)
        e.hold_rcu()
        inner = e.helper_pointer(MAP_LOOKUP, e.map(storage.map), zero)
        found, behind = e.fresh("inner"), e.fresh("unlocked")
        e.branch_if(e.is_null(inner), missing, found)
        e.start(found)
        pad = e.push_error_pad()
        yield inner
        if not e.terminated:
            e.release_rcu()
            e.branch(behind)
        e.pop_error_pad(pad, e.release_rcu)
        e.start(behind)


@contextmanager
def within_live_map(e: Emitter, storage: MapStorage) -> Generator[Pointer, None, None]:
    """`live_map` for a block that is simply left out when there is no live map."""
    missing, behind = e.fresh("missing"), e.fresh("behind")
    with live_map(e, storage, missing) as live:
        yield live
    e.branch(behind)
    if storage.swap:
        e.start_aside(missing)
        e.release_rcu()
        e.branch(behind)
    e.start(behind)


@contextmanager
def element(
    e: Emitter, variable: int, index: Sequence[Expr], at: int, insert: bool
) -> Generator[Pointer, None, None]:
    """Pointer to an element's value. Missing: with `insert` it is made (full: soft error), else the block is skipped."""
    storage = storage_of(e, variable)
    with e.temporaries():
        values = evaluate_index(e, index)
        with element_of(e, variable, storage, values, at, insert) as pointer:
            yield pointer


@contextmanager
def element_of(
    e: Emitter,
    variable: int,
    storage: MapStorage,
    values: Sequence[Value | StrVal | Call],
    at: int,
    insert: bool,
) -> Generator[Pointer, None, None]:
    missing, behind, full = e.fresh("missing"), e.fresh("behind"), e.fresh("full")
    with key_of(e, storage, values) as memory:
        with live_map(e, storage, missing) as live:
            pointer = e.helper_pointer(MAP_LOOKUP, live, memory)
            if insert:
                pointer = insert_missing(e, storage, live, memory, pointer, full)
            else:
                found = e.fresh("found")
                e.branch_if(e.is_null(pointer), missing if not storage.swap else full, found)
                e.start(found)
            yield pointer
        if not e.terminated:
            e.branch(behind)
        close_element(e, storage, missing, full, behind, insert, at)
    e.start(behind)


def close_element(
    e: Emitter, storage: MapStorage, missing: Label, full: Label, behind: Label, insert: bool, at: int
) -> None:
    """The ways out of an element that is not there. `missing`: no map, or no element; `full`: inside the RCU section."""
    if insert or storage.swap:
        e.start_aside(full)
        if storage.swap:
            e.release_rcu()
        if insert:
            e.fail(OVERFLOW, at)
        else:
            e.branch(behind)
    if storage.swap or not insert:
        e.start_aside(missing)
        if storage.swap:
            e.release_rcu()
        e.branch(behind)


def insert_missing(
    e: Emitter, storage: MapStorage, live: Pointer, memory: Pointer, pointer: Pointer, full: Label
) -> Pointer:
    """Inserts a zero value where the look-up found nothing; another CPU may be doing the same, or deleting."""
    present = e.fresh("present")
    ways: list[tuple[Pointer, Label]] = []
    for _ in range(ATTEMPTS):
        ways.append((pointer, e.current))
        absent = e.fresh("absent")
        e.branch_if(e.is_null(pointer), absent, present)
        e.start(absent)
        e.helper(MAP_UPDATE, live, memory, e.zeros(storage.value_size), BPF_NOEXIST)
        pointer = e.helper_pointer(MAP_LOOKUP, live, memory)
    ways.append((pointer, e.current))
    e.branch_if(e.is_null(pointer), full, present)
    e.start(present)
    return e.phi(*ways)


def read(e: Emitter, node: Element) -> Value | StrVal:
    if node.type is Type.STRING:
        return sharedtext.read_element(e, node)
    cell = e.cell(0)
    with element(e, node.variable, node.index, node.at, insert=False) as pointer:
        e.set(cell, e.load(pointer))
    return e.get(cell)


def assign_long(e: Emitter, node: Assign, target: Element, want: bool) -> Value:
    storage = storage_of(e, target.variable)
    result = e.cell()
    with e.temporaries():
        change = globals.change_of(node) if node.op == "=" else None
        if change is not None:
            value, values = Value("0"), evaluate_index(e, target.index)
        else:
            values, value = evaluate_both(e, target.index, node.value)
        if change is not None and storage.swap:
            value = rewrite_taken(e, node, target, values, change)
            e.set(result, value)
            return e.get(result)
        with element_of(e, target.variable, storage, values, node.at, insert=True) as pointer:
            if change is not None:
                value = rewrite(e, pointer, target, change)
            else:
                value = globals.apply(e, pointer, node.op, value, node.at, want)
            if want:
                e.set(result, value)
    return e.get(result) if want else Value("0")


def rewrite(e: Emitter, pointer: Pointer, target: Element, change: Expr) -> Value:
    """`a[k] = e` where e reads a[k]: one atomic step; the new value."""
    return globals.exchange(e, pointer, lambda old: globals.evaluate_with(e, target, old, change))[1]


def rewrite_taken(
    e: Emitter, node: Assign, target: Element, values: Sequence[Value | StrVal | Call], change: Expr
) -> Value:
    """The same in an array that the user half may take: nothing may sleep in the read section, and e may read memory of the
    process, so it is computed between two sections."""
    storage = storage_of(e, target.variable)
    old, new, done = e.cell(), e.cell(), e.cell()
    with e.loop(globals.ATTEMPTS, plain_turns=globals.PLAIN) as loop:
        e.set(old, 0)
        with element_of(e, target.variable, storage, values, node.at, insert=False) as pointer:
            e.set(old, e.load(pointer))
        e.set(new, globals.evaluate_with(e, target, e.get(old), change))
        e.set(done, 0)
        with element_of(e, target.variable, storage, values, node.at, insert=True) as pointer:
            seen = e.compare_exchange(pointer, e.get(old), e.get(new))
            e.set(done, e.widen(e.compare("eq", seen, e.get(old))))
        e.stop_if(loop, e.truth(e.get(done)))
    return e.get(new)


def evaluate_both(
    e: Emitter, index: Sequence[Expr], value: Expr
) -> tuple[list[Value | StrVal | Call], Value]:
    """The index and then the value."""
    values = evaluate_index(e, (*index, value))
    last = values.pop()
    if not isinstance(last, Value):
        raise InternalError("a string assigned to a long")
    return values, last


def step(e: Emitter, node: Step, target: Element, want: bool) -> Value:
    result = e.cell()
    with element(e, target.variable, target.index, node.at, insert=True) as pointer:
        value = globals.step_at(e, pointer, node, want)
        if want:
            e.set(result, value)
    return e.get(result) if want else Value("0")


# ------------------------------------------------------------------------------------- membership and delete


def contains(e: Emitter, node: Contains) -> Value:
    result = e.cell(0)
    index = [i for i in node.index if i is not None]
    if len(index) == len(node.index):
        with element(e, node.variable, index, node.at, insert=False):
            e.set(result, 1)
        return e.get(result)
    from probelang.llvm import foreach

    foreach.any_match(e, node, result)
    return e.get(result)


def delete(e: Emitter, node: Delete) -> None:
    storage = e.module.program.storages[node.variable]
    if isinstance(storage, BssStorage):
        clear_scalar(e, node.variable, storage)
    elif node.index is None or any(i is None for i in node.index):
        from probelang.llvm import foreach

        foreach.delete_matching(e, node)
    else:
        index = [i for i in node.index if i is not None]
        delete_key(e, storage_of(e, node.variable), index)


def delete_key(e: Emitter, storage: MapStorage, index: Sequence[Expr]) -> None:
    with key(e, storage, index) as memory, within_live_map(e, storage) as live:
        e.helper(MAP_DELETE, live, memory)


def clear_scalar(e: Emitter, variable: int, storage: BssStorage) -> None:
    if e.module.program.source.variables[variable].value is Type.STRING:
        sharedtext.write_scalar(e, variable, e.literal(b""))
        return
    pointer = globals.storage_pointer(e, variable)
    if storage.size <= 256:
        for i in range(0, storage.size, 8):
            e.store(e.offset(pointer, i), 0)
    else:
        e.copy(pointer, storage.size, e.zeros(storage.size))
