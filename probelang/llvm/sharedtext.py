"""Strings that several threads share: never seen half-written, and `s .= x` loses nothing.

A global string has a sequence word: even at rest, odd while it is written (scalars: in front of the string, as the
manifest says; arrays: one for the whole variable). Who wants to write makes it odd by compare-and-exchange from the even
number it has read before, so a change that was computed from an old value is found out and computed again; the write
itself is short and not preempted. Readers copy, and copy again if the word was odd or has moved.

    s .= x   ->   do { n = read(s, old); new = old . x } while (!write(s, new, n))
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from probelang.artifact.code import Assign, Element, Expr, Local, Scalar
from probelang.artifact.manifest import STRING_HEADER, BssStorage
from probelang.llvm import arrays, expressions, globals
from probelang.llvm.builder import Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import MAP_LOOKUP, MAP_UPDATE
from probelang.llvm.values import Buffer, StrVal

SPINS = 1 << 14  # a writer holds the word for some ten nanoseconds, or until it is scheduled again
ATTEMPTS = 1 << 12
PLAIN = 8  # of both, on kernels without iterators
ANY_SEQUENCE = -1  # odd, so never the number of a string at rest: write whatever is there now


def value_size(e: Emitter) -> int:
    """Bytes of a string in memory."""
    return (STRING_HEADER + e.string_size + 7) // 8 * 8


# -------------------------------------------------------------------------------------------- the sequence word


def sequence_pointer(e: Emitter, variable: int) -> Pointer:
    storage = e.module.program.storages[variable]
    if isinstance(storage, BssStorage):
        return e.module.bss(storage.offset)
    return e.module.bss(dict(e.module.program.sequences)[variable])


@contextmanager
def unpreempted(e: Emitter) -> Generator[None, None, None]:
    kfuncs = "preempt_kfuncs" in e.module.options.features
    if kfuncs:
        e.module.need("preempt_kfuncs")
        e.kfunc("bpf_preempt_disable")
    yield
    if kfuncs:
        e.kfunc("bpf_preempt_enable")


def read_stable(e: Emitter, word: Pointer, copy: Callable[[], None]) -> Value:
    """Runs `copy` until the sequence word was even and the same before and after; that number."""
    seen = e.cell()
    with e.loop(SPINS, plain_turns=PLAIN) as loop:
        before = e.load(word)
        e.set(seen, before)
        copy()
        after = e.load(word)
        moved = e.bits_or(e.bits_xor(after, e.get(seen)), e.bits_and(after, 1))
        e.stop_if(loop, e.compare("eq", moved, 0))
    return e.get(seen)


def write_exclusive(e: Emitter, word: Pointer, expected: Value, write: Callable[[], Value]) -> Value:
    """Runs `write` while the word is odd; its result, or 0 when the word was not `expected` any more. With ANY_SEQUENCE
    it waits its turn. The result of `write` must not be 0."""
    result = e.cell(0)
    anything = e.cell(e.widen(e.compare("eq", expected, ANY_SEQUENCE)))
    wanted = e.cell(expected)
    with e.loop(SPINS, plain_turns=PLAIN) as loop:
        with e.when(e.truth(e.get(anything))):
            e.set(wanted, e.bits_and(e.load(word), -2))
        with unpreempted(e):
            sequence = e.get(wanted)
            got = e.compare_exchange(word, sequence, e.add(sequence, 1))
            with e.when(e.compare("eq", got, e.get(wanted))):
                e.set(result, write())
                e.atomic("add", word, 1)
        e.stop_if(loop, e.truth(e.get(result)))
        e.stop_if(loop, e.compare("eq", e.get(anything), 0))
    return e.get(result)


# ----------------------------------------------------------------------------------------------------- scalars


def read_scalar(e: Emitter, variable: int, target: Buffer) -> Value:
    """Copies the string into `target`; its sequence number."""

    def build(r: Emitter, arguments: list[Value]) -> None:
        buffer = r.cell(arguments[0])
        word = sequence_pointer(r, variable)
        text = r.offset(word, 8)

        def copy() -> None:
            place = r.checked_buffer(r.get(buffer))
            length = r.mask(r.load(text, bits=32))
            r.store(place, length)
            r.copy(r.offset(place, STRING_HEADER), length, r.offset(text, STRING_HEADER))

        r.ret(read_stable(r, word, copy))

    return e.routine(f"read_text_{variable}", ("target",), build, target.offset)


def put_text(e: Emitter, target: Pointer, source: Pointer) -> None:
    """Copies a string in memory, its length before its data."""
    length = e.mask(e.load(source, bits=32))
    e.store(target, length)
    e.copy(e.offset(target, STRING_HEADER), length, e.offset(source, STRING_HEADER))


def write_scalar(e: Emitter, variable: int, text: StrVal, expected: Value | None = None) -> Value:
    """1, or 0 when the string has changed since `expected` was read."""
    source = e.buffer()
    e.copy_to_buffer(source, text)

    def build(r: Emitter, arguments: list[Value]) -> None:
        place = r.checked_buffer(arguments[0])
        word = sequence_pointer(r, variable)
        target = r.offset(word, 8)

        def write() -> Value:
            put_text(r, target, place)
            return Value("1")

        r.ret(write_exclusive(r, word, arguments[1], write))

    sequence = Value(str(ANY_SEQUENCE)) if expected is None else expected
    return e.routine(f"write_text_{variable}", ("source", "expected"), build, source.offset, sequence)


# ---------------------------------------------------------------------------------------------------- elements


def read_element(e: Emitter, node: Element) -> StrVal:
    buffer = e.buffer()
    with e.temporaries():
        values = arrays.evaluate_index(e, node.index)
        with arrays.key_of(e, arrays.storage_of(e, node.variable), values) as memory:
            read_element_at(e, node.variable, memory, buffer)
    return e.text_of(buffer)


def read_element_at(e: Emitter, variable: int, memory: Pointer, target: Buffer) -> Value:
    """Copies the element with the key at `memory` (empty when missing); the variable's sequence number."""
    storage = arrays.storage_of(e, variable)

    def copy() -> None:
        e.set_length(target, 0)
        with arrays.within_live_map(e, storage) as live:
            pointer = e.helper_pointer(MAP_LOOKUP, live, memory)
            found, absent = e.fresh("found"), e.fresh("absent")
            e.branch_if(e.is_null(pointer), absent, found)
            e.start(found)
            e.copy(e.at(target.offset), value_size(e), pointer)
            e.start(absent)

    return read_stable(e, sequence_pointer(e, variable), copy)


def write_element_at(
    e: Emitter, variable: int, memory: Pointer, text: StrVal, at: int, expected: Value
) -> Value:
    """1, or 0 when the variable has changed since `expected` was read; a full array is a soft error."""
    storage = arrays.storage_of(e, variable)
    value = e.buffer()
    e.copy_to_buffer(value, text)
    code = e.cell(0)

    def write() -> Value:
        with arrays.within_live_map(e, storage) as live:
            e.set(code, e.helper(MAP_UPDATE, live, memory, e.at(value.offset), arrays.BPF_ANY))
        return Value("1")

    result = write_exclusive(e, sequence_pointer(e, variable), expected, write)
    e.fail_if(e.truth(e.get(code)), arrays.OVERFLOW, at)
    return result


# -------------------------------------------------------------------------------------------------- assignment


def assign(e: Emitter, node: Assign, target: Local | Scalar | Element) -> StrVal:
    """`=` and `.=` on a global string; the value stored."""
    stored = e.buffer()
    with e.temporaries():
        if isinstance(target, Scalar):
            assign_scalar(e, node, target, stored)
        elif isinstance(target, Element):
            assign_element(e, node, target, stored)
    return e.text_of(stored)


def new_value(e: Emitter, node: Assign) -> tuple[Expr | None, StrVal]:
    """What `node` assigns: an expression to compute again from the present value; or what it appends, or a plain value."""
    change = globals.change_of(node) if node.op == "=" else None
    if change is not None:
        return change, e.literal(b"")
    return None, e.in_frame(expressions.emit_text(e, node.value))


def rewrite(
    e: Emitter, node: Assign, target: Scalar | Element, old: Buffer, change: Expr | None, text: StrVal
) -> StrVal:
    from probelang.llvm import strings

    if change is None:
        return strings.concat(e, [e.text_of(old), text])
    e.overrides.append((globals.bare(target), old))
    value = expressions.emit_text(e, change)
    e.overrides.pop()
    return value


def assign_scalar(e: Emitter, node: Assign, target: Scalar, stored: Buffer) -> None:
    change, text = new_value(e, node)
    if node.op == "=" and change is None:
        e.copy_to_buffer(stored, text)
        write_scalar(e, target.variable, e.text_of(stored))
        return
    old, sequence = e.buffer(), e.cell()
    appended = Held(e, text)
    with e.loop(ATTEMPTS, plain_turns=PLAIN) as loop, e.temporaries():
        e.set(sequence, read_scalar(e, target.variable, old))
        e.copy_to_buffer(stored, rewrite(e, node, target, old, change, appended.get()))
        done = write_scalar(e, target.variable, e.text_of(stored), e.get(sequence))
        e.stop_if(loop, e.truth(done))


def assign_element(e: Emitter, node: Assign, target: Element, stored: Buffer) -> None:
    storage = arrays.storage_of(e, target.variable)
    change = globals.change_of(node) if node.op == "=" else None
    if change is not None:
        values, text = arrays.evaluate_index(e, target.index), e.literal(b"")
    else:
        values = arrays.evaluate_index(e, (*target.index, node.value))
        last = values.pop()
        # execname() was left for the key; here it is the value, and asking for it later makes no difference
        text = e.in_frame(last if isinstance(last, StrVal) else expressions.emit_text(e, node.value))
    appended = Held(e, text)
    old, sequence = e.buffer(), e.cell(ANY_SEQUENCE)
    with (
        arrays.key_of(e, storage, values) as memory,
        e.loop(ATTEMPTS, plain_turns=PLAIN) as loop,
        e.temporaries(),
    ):
        if node.op == "=" and change is None:
            e.copy_to_buffer(stored, appended.get())
        else:
            e.set(sequence, read_element_at(e, target.variable, memory, old))
            e.copy_to_buffer(stored, rewrite(e, node, target, old, change, appended.get()))
        text = e.text_of(stored)
        done = write_element_at(e, target.variable, memory, text, node.at, e.get(sequence))
        e.stop_if(loop, e.truth(done))


class Held:
    """A string whose length waits in a cell while loops run."""

    def __init__(self, e: Emitter, text: StrVal) -> None:
        self.e, self.data, self.literal = e, text.data, text.literal
        self.length = e.cell(text.length)

    def get(self) -> StrVal:
        return StrVal(self.data, self.e.mask(self.e.get(self.length)), self.literal)
