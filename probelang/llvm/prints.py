"""print and its family: a record in the ring buffer that holds the values; the runtime makes text of it.

    printf("%s %d\\n", execname(), n)  ->  record 0: { u32 0, u32 cpu, u32 length, u32 0, s64 n, the name }

Only longs: the record is reserved in the buffer and filled there. With strings it is composed in the frame, because its
size is known only then. What does not fit is counted in `lost`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from probelang.artifact.code import (
    Call,
    Expr,
    Extract,
    Format,
    Histogram,
    HistogramShape,
    Number,
    Piece,
    Print,
    Text,
    Type,
    type_of,
)
from probelang.artifact.manifest import FieldKind, Record
from probelang.llvm import expressions
from probelang.llvm.builder import Value
from probelang.llvm.emitter import CPU, RINGBUF_OUTPUT, RINGBUF_RESERVE, RINGBUF_SUBMIT, Emitter, StrVal

HEADER = 8
SYMBOLS: dict[str, FieldKind] = {"usymname": "user_symbol", "usymdata": "user_symbol_data"}


@dataclass(frozen=True, slots=True)
class Argument:
    """One entry of `Record.fields`, or several: `kinds` as the manifest counts them, `parts` what fills them in order."""

    kinds: tuple[FieldKind, ...]
    parts: tuple[Expr, ...]
    histogram: tuple[int, HistogramShape, tuple[Type, ...]] | None = None


def emit_print(e: Emitter, node: Print) -> None:
    pieces, arguments = simplify(e, node)
    histograms = tuple(a.histogram for a in arguments if a.histogram is not None)
    record = Record("print", tuple(kind for a in arguments for kind in a.kinds), "", pieces, histograms)
    with e.temporaries():
        check_histograms(e, arguments, node)
        values = expressions.emit_all(e, [part for a in arguments for part in a.parts])
        send(e, e.module.record(record), values)


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
            pieces.append(Piece("text", argument.value))
            continue
        if piece.kind in "mM":
            made = Format((piece,), (*stars, argument), node.at)
            pieces.append(Piece("s"))
            arguments.append(Argument(("string",), (made,)))
            continue
        pieces.append(piece)
        arguments += [Argument(("long",), (star,)) for star in stars if not isinstance(star, Histogram)]
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
            key = e.module.program.source.variables[argument.variable].key
            index = argument.index or ()
            types = tuple(key or ()) if argument.index is not None else ()
            kinds: tuple[FieldKind, ...] = tuple(kind_of(t) for t in types)
            of = (argument.variable, argument.shape, types)
            return Argument(("histogram", *kinds), (Number(0), *index), of)
        case Call() if argument.name in SYMBOLS:
            pid = Call("pid", (), Type.LONG, argument.at)
            return Argument((SYMBOLS[argument.name],), (*argument.arguments, pid))
        case _:
            return Argument((kind_of(type_of(argument)),), (argument,))


def kind_of(kind: Type) -> FieldKind:
    return "long" if kind is Type.LONG else "string"


def check_histograms(e: Emitter, arguments: Sequence[Argument], node: Print) -> None:
    """An empty histogram is a soft error here, where its place is known."""
    from probelang.llvm import aggregates

    for argument in arguments:
        if argument.histogram is not None:
            index = argument.parts[1:] if argument.histogram[2] else None
            count = aggregates.extract(e, Extract("count", argument.histogram[0], index, (), node.at))
            e.fail_if(e.compare("eq", count, 0), aggregates.EMPTY, node.at)


# --------------------------------------------------------------------------------------------------- records


def send(e: Emitter, record: int, values: Sequence[Value | StrVal]) -> None:
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
    e.helper(RINGBUF_SUBMIT, place, 0)
    e.start(behind)


def send_mixed(e: Emitter, record: int, values: Sequence[Value | StrVal]) -> None:
    """Composed in the frame; strings one behind the other."""
    texts = [v for v in values if isinstance(v, StrVal)]
    fixed = HEADER + 8 * len(values)
    room = 64
    while room < fixed + len(texts) * e.capacity:
        room *= 2
    base = e.reserve(2 * room)
    e.store(e.at(base), heading(e, record))
    for i, value in enumerate(values):
        e.store(e.at(base + HEADER + 8 * i), value if isinstance(value, Value) else e.mask(value.length))
    end = e.cell(fixed)
    for i, value in enumerate(values):
        if isinstance(value, StrVal):
            start = e.bits_and(e.get(end), room - 1)
            length = e.bits_and(e.load(e.at(base + HEADER + 8 * i)), e.capacity - 1)
            e.copy(e.offset(e.at(base), start), length, value.data)
            e.set(end, e.add(start, length))
    size = e.bits_and(e.get(end), 2 * room - 1)
    code = e.helper(RINGBUF_OUTPUT, e.map("events"), e.at(base), size, 0)
    with e.when(e.truth(code)):
        e.count("lost")
