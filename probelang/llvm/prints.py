"""print and its family: a record in the ring buffer that holds the values; the runtime makes text of it.

    printf("%s %d\\n", execname(), n)  ->  record 0: { u32 0, u32 cpu, u32 length, u32 0, s64 n, the name }

Only longs: the record is reserved in the buffer and filled there. With strings it is composed in the frame, because its
size is known only then. What does not fit is counted in `lost`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from probelang.artifact.code import (
    Expr,
    Format,
    Histogram,
    Piece,
    Print,
    Text,
    Type,
    type_of,
)
from probelang.artifact.manifest import FieldKind, Record
from probelang.llvm import expressions
from probelang.llvm.builder import Operand, Pointer, Value
from probelang.llvm.cut import cut_literal
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import CPU, RINGBUF_OUTPUT, RINGBUF_RESERVE, RINGBUF_SUBMIT
from probelang.llvm.values import Buffer, Cell, StrVal

HEADER = 8
AT_ONCE = 32  # values in registers and on the stack of 512 bytes; more go through the frame one by one
NO_WAKEUP = 1  # BPF_RB_NO_WAKEUP: the reader looks by itself every few milliseconds


@dataclass(frozen=True, slots=True)
class Argument:
    """One entry of `Record.fields`: its kind, and what fills it."""

    kind: FieldKind
    parts: tuple[Expr | Histogram, ...]


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of a histogram as they were: `size` bytes at `offset` of the frame. In a record they are a string."""

    offset: int
    size: int


Sent: TypeAlias = Value | StrVal | Counters


def emit_print(e: Emitter, node: Print) -> None:
    pieces, arguments = simplify(e, node)
    shown = [a.parts[0] for a in arguments if a.kind == "histogram"]
    histograms = tuple(h.shape for h in shown if isinstance(h, Histogram))
    record = Record("print", tuple(a.kind for a in arguments), "", pieces, histograms)
    parts = [part for a in arguments for part in a.parts]
    with e.temporaries():
        if len(parts) <= AT_ONCE:
            send(e, e.module.record(record), evaluate(e, parts))
        else:
            send_mixed(e, e.module.record(record), keep(e, parts))


def send_call(e: Emitter, name: str, values: Sequence[Value | StrVal]) -> None:
    """A record that makes the runtime do builtin `name` with these arguments."""
    fields: tuple[FieldKind, ...] = tuple("long" if isinstance(v, Value) else "string" for v in values)
    with e.temporaries():
        send(e, e.module.record(Record("call", fields, name)), values)


# ------------------------------------------------------------------------------------------------- arguments


def simplify(e: Emitter, node: Print) -> tuple[tuple[Piece, ...], list[Argument]]:
    """Literals go into the pieces; what only this half can format becomes a string."""
    pieces: list[Piece] = []
    arguments: list[Argument] = []
    rest = list(node.arguments)
    for piece in node.pieces:
        if piece.kind == "text":
            pieces.append(piece)
            continue
        stars = [rest.pop(0) for size in (piece.width, piece.precision) if size == -1]
        argument = rest.pop(0)
        plain = piece.width is None and piece.precision is None and not piece.flag
        if piece.kind == "s" and plain and isinstance(argument, Text):
            pieces.append(Piece("text", cut_literal(argument.value, e.string_size)))
            continue
        if piece.kind in "mM":
            made = Format((piece,), (*stars, argument), node.at)
            pieces.append(Piece("s"))
            arguments.append(Argument("string", (made,)))
            continue
        pieces.append(piece)
        arguments += [Argument("long", (star,)) for star in stars if not isinstance(star, Histogram)]
        arguments.append(argument_of(e, argument))
    return join_texts(pieces), arguments


def join_texts(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbouring texts as one."""
    joined: list[Piece] = []
    for piece in pieces:
        if piece.kind == "text" and joined and joined[-1].kind == "text":
            joined[-1] = replace(joined[-1], text=joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return tuple(joined)


def argument_of(e: Emitter, argument: Expr | Histogram) -> Argument:
    match argument:
        case Histogram():
            return Argument("histogram", (argument,))
        case _:
            return Argument(kind_of(type_of(argument)), (argument,))


def kind_of(kind: Type) -> FieldKind:
    return "long" if kind is Type.LONG else "string"


def evaluate(e: Emitter, parts: Sequence[Expr | Histogram]) -> list[Sent]:
    """The values, in order; a histogram's counters are copied where its turn comes."""
    plain = [p for p in parts if not isinstance(p, Histogram)]
    if len(plain) == len(parts):
        return [*expressions.emit_all(e, plain)]
    return [settled(e, value) for value in keep(e, parts)]


def keep(e: Emitter, parts: Sequence[Expr | Histogram]) -> list[Cell | Buffer | Counters]:
    """The values, each in memory where nothing that follows changes it."""
    kept: list[Cell | Buffer | Counters] = []
    for part in parts:
        if isinstance(part, Histogram):
            kept.append(snapshot(e, part))
        elif type_of(part) is Type.LONG:
            kept.append(e.cell(expressions.emit_long(e, part)))
        else:
            buffer = e.buffer()
            e.copy_to_buffer(buffer, expressions.emit_text(e, part))
            kept.append(buffer)
    return kept


def settled(e: Emitter, value: Sent | Cell | Buffer) -> Sent:
    """A value that was kept."""
    if isinstance(value, Cell):
        return e.get(value)
    return e.text_of(value) if isinstance(value, Buffer) else value


def snapshot(e: Emitter, histogram: Histogram) -> Counters:
    """An empty histogram is a soft error here, where its place is known."""
    from probelang.llvm import aggregates

    layout = aggregates.layout_of(e, histogram.variable)
    place = aggregates.histogram_layout(layout, histogram)
    counters = Counters(e.reserve(8 * place.buckets), 8 * place.buckets)
    count = e.cell(0)

    def copy(stat: Pointer) -> None:
        e.set(count, e.load(e.offset(stat, layout.count)))
        e.copy(e.at(counters.offset), counters.size, e.offset(stat, place.offset))

    aggregates.with_stat(e, histogram.variable, histogram.index, histogram.at, copy)
    e.fail_if(e.compare("eq", e.get(count), 0), aggregates.EMPTY, histogram.at)
    return counters


# --------------------------------------------------------------------------------------------------- records


def send(e: Emitter, record: int, values: Sequence[Sent]) -> None:
    if all(isinstance(v, Value) for v in values):
        send_longs(e, record, [v for v in values if isinstance(v, Value)])
    else:
        send_mixed(e, record, values)


def heading(e: Emitter, record: int) -> Value:
    """The first word: number of the record, and the CPU."""
    return e.bits_or(e.shift_left(e.helper(CPU), 32), record)


def send_longs(e: Emitter, record: int, values: Sequence[Value]) -> None:
    head = heading(e, record)
    place = e.helper_pointer(RINGBUF_RESERVE, e.map("events"), HEADER + 8 * len(values), 0)
    full, sent, behind = e.fresh("full"), e.fresh("sent"), e.fresh("behind")
    e.branch_if(e.is_null(place), full, sent)
    e.start(full)
    e.count("lost")
    e.branch(behind)
    e.start(sent)
    e.store(place, head, volatile=False)
    for i, value in enumerate(values):
        e.store(e.offset(place, HEADER + 8 * i), value, volatile=False)
    e.helper(RINGBUF_SUBMIT, place, NO_WAKEUP)
    e.start(behind)


def send_mixed(e: Emitter, record: int, values: Sequence[Sent | Cell | Buffer]) -> None:
    """Composed in the frame; strings one behind the other."""
    fixed = HEADER + 8 * len(values)
    room = 64
    while room < fixed + sum(longest(e, v) for v in values):
        room *= 2
    # what lies behind `room` catches what only the verifier thinks possible
    base = e.reserve(room + max(room, *(longest(e, v) for v in values)))
    e.store(e.at(base), heading(e, record))
    for i, value in enumerate(values):
        e.store(e.at(base + HEADER + 8 * i), first_word(e, settled(e, value)))
    end = e.cell(fixed)
    for i, kept in enumerate(values):
        if isinstance(kept, Value | Cell):
            continue
        value = settled(e, kept)
        start = e.bits_and(e.get(end), room - 1)
        if isinstance(value, Counters):
            e.copy(e.offset(e.at(base), start), value.size, e.at(value.offset))
            e.set(end, e.add(start, value.size))
        elif isinstance(value, StrVal):
            length = e.mask(e.load(e.at(base + HEADER + 8 * i)))
            e.copy(e.offset(e.at(base), start), length, value.data)
            e.set(end, e.add(start, length))
    size = e.bits_and(e.get(end), 2 * room - 1)
    code = e.helper(RINGBUF_OUTPUT, e.map("events"), e.at(base), size, NO_WAKEUP)
    with e.when(e.truth(code)):
        e.count("lost")


def longest(e: Emitter, value: Sent | Cell | Buffer) -> int:
    """Bytes behind the fields."""
    if isinstance(value, Value | Cell):
        return 0
    return value.size if isinstance(value, Counters) else e.capacity


def first_word(e: Emitter, value: Sent) -> Operand:
    """A long itself, or a length."""
    if isinstance(value, Value):
        return value
    return value.size if isinstance(value, Counters) else e.mask(value.length)
