"""sprint, sprintf and the like: a format's pieces to a string.

    sprintf("%d %s", n, s)   ->   number(n) and the bytes of " " and s appended to a buffer of the frame

Means what `probelang.runtime.output.pieces` means for the user half: C's printf, but `%#x` of 0 is `0x0`. A string ends at its
first NUL byte, which only `%c`, `%b` and `%m` can bring; `%m` and `%M` read at most as many bytes as a string holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from probelang.artifact.code import Piece
from probelang.llvm.builder import Operand, Value
from probelang.llvm.cut import cut_literal
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import TEXT_HEADER
from probelang.llvm.text import escapes, numbers
from probelang.llvm.text.buffers import limit
from probelang.llvm.text.compose import Composition, buffer_offset
from probelang.llvm.text.userstring import read_user_bytes
from probelang.llvm.values import StrVal

Result: TypeAlias = Value | StrVal

BASES = {"d": 10, "i": 10, "u": 10, "x": 16, "X": 16, "p": 16, "o": 8}
FLAGS = {
    "-": numbers.LEFT,
    "0": numbers.ZEROS,
    "+": numbers.PLUS,
    " ": numbers.BLANK,
    "#": numbers.PREFIX,
    "": 0,
}
LOWER, UPPER = ord("a") - ord("0") - 10, ord("A") - ord("0") - 10
WIDEST = 1 << 16  # no width or precision pads further, whatever the script computes
LONGEST_NUMBER = 22
PLAIN = Piece("s")


def format_text(e: Emitter, pieces: Sequence[Piece], values: Sequence[Result], at: int) -> StrVal:
    """`values` in the order in which the pieces take them. `at`: the place of faults of %m."""
    conversions = [partial(list[Result], values[first:end]) for first, end in groups(pieces)]
    return format_groups(e, pieces, conversions, at)


def groups(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """For each conversion which arguments are its: from, to."""
    found: list[tuple[int, int]] = []
    for piece in pieces:
        if piece.kind != "text":
            first = found[-1][1] if found else 0
            found.append((first, first + 1 + (piece.width == -1) + (piece.precision == -1)))
    return found


def format_groups(
    e: Emitter, pieces: Sequence[Piece], conversions: Sequence[Callable[[], Sequence[Result]]], at: int
) -> StrVal:
    """`conversions`: what gives the values of each. One is formatted before the next are computed: many values at a time have no
    place on the kernel's stack of 512 bytes."""
    if not conversions:
        return e.literal(cut_literal(b"".join(piece.text for piece in pieces), e.string_size))
    if len(conversions) == 1 and all(
        (piece.kind == "text" and not piece.text) or is_plain(piece) for piece in pieces
    ):
        (only,) = conversions[0]()
        if isinstance(only, StrVal):
            return only
        conversions = [lambda: [only]]
    composition = Composition(e)
    remaining = iter(conversions)
    for piece in pieces:
        with e.temporaries():
            values = () if piece.kind == "text" else next(remaining)()
            format_piece(composition, piece, iter(values), at)
    return composition.finish()


def is_plain(piece: Piece) -> bool:
    """%s and nothing else."""
    return piece.kind == "s" and not piece.flag and piece.width is None and piece.precision is None


def format_piece(composition: Composition, piece: Piece, values: Iterator[Result], at: int) -> None:
    e = composition.e
    if piece.kind == "text":
        composition.literal(piece.text)
        return
    spec = Spec(e, piece, values)
    value = next(values)
    if isinstance(value, StrVal):
        format_string(composition, piece, spec, value)
    elif piece.kind in BASES:
        word = spec.word()
        e.routine(
            "format_number", ("text", "value", "spec"), numbers.format_number, composition.offset, value, word
        )
        composition.grow(max(LONGEST_NUMBER + spec.most, spec.most_precision + 3))
    elif piece.kind == "c":
        format_character(composition, piece, spec, value)
    elif piece.kind == "b":
        format_binary(composition, binary_size(piece.width), value)
    else:
        format_memory(composition, piece, spec, value, at)


class Spec:
    """How a conversion looks; width and precision may come from arguments, which it takes off `values`."""

    def __init__(self, e: Emitter, piece: Piece, values: Iterator[Result]) -> None:
        self.e = e
        self.piece = piece
        self.width: Operand = min(piece.width or 0, WIDEST)
        self.precision: Operand | None = None if piece.precision is None else min(piece.precision, WIDEST)
        flags = FLAGS[piece.flag] | (numbers.SIGNED if piece.kind in "di" else 0)
        self.flags: Operand = flags | (numbers.PREFIX if piece.kind == "p" else 0)
        if piece.width == -1:
            self.width = long_of(next(values))
        if piece.precision == -1:
            self.precision = long_of(next(values))

    @property
    def most(self) -> int:
        """The largest width."""
        return self.width if isinstance(self.width, int) else WIDEST

    @property
    def most_precision(self) -> int:
        return WIDEST if isinstance(self.precision, Value) else (self.precision or 0)

    @property
    def is_plain(self) -> bool:
        return self.width == 0 and self.precision is None and "#" not in self.piece.flag

    def word(self) -> Operand:
        """As the routines want it (see `probelang.llvm.text.numbers`)."""
        e = self.e
        letters = UPPER if self.piece.kind == "X" else LOWER
        fixed = BASES.get(self.piece.kind, 0) | letters << numbers.LETTERS_SHIFT
        if isinstance(self.flags, int):
            fixed |= self.flags << numbers.FLAGS_SHIFT
        if isinstance(self.width, int):
            fixed |= self.width << numbers.WIDTH_SHIFT
        if isinstance(self.precision, int):
            fixed |= (self.precision + 1) << numbers.PRECISION_SHIFT
        word: Operand = fixed
        if isinstance(self.width, Value):
            word = e.bits_or(self.width_bits(self.width), word)
        if isinstance(self.precision, Value):
            shown = e.select(e.compare("sgt", self.precision, WIDEST), WIDEST, self.precision)
            more = e.select(e.compare("slt", shown, 0), 0, e.add(shown, 1))
            word = e.bits_or(e.shift_left(more, numbers.PRECISION_SHIFT), word)
        return word

    def width_bits(self, width: Value) -> Value:
        """A negative width aligns left."""
        e = self.e
        negative = e.compare("slt", width, 0)
        size = e.select(negative, e.sub(0, width), width)
        size = e.select(e.compare("ugt", size, WIDEST), WIDEST, size)
        left = e.select(negative, numbers.LEFT << numbers.FLAGS_SHIFT, 0)
        return e.bits_or(e.shift_left(size, numbers.WIDTH_SHIFT), left)

    def shown(self, length: Operand) -> Operand:
        """The length that precision leaves."""
        if self.precision is None:
            return length
        e = self.e
        smaller = e.select(e.compare("ult", self.precision, length), self.precision, length)
        # a negative precision is as none: unsigned it is larger than any length
        return smaller


def long_of(value: Result) -> Value:
    assert isinstance(value, Value)
    return value


def format_string(composition: Composition, piece: Piece, spec: Spec, text: StrVal) -> None:
    e = composition.e
    if spec.is_plain:
        composition.text(text)
        return
    if text.offset is None or piece.flag == "#":
        text = e.in_frame(text)
    size = spec.shown(text.length)
    source = buffer_offset(e, text)
    if piece.flag == "#":
        escaped = Composition(e)
        if spec.precision is not None:
            e.store(e.at(int(source)), size)
        room = e.string_size + 4
        size = e.routine(
            "text_escape", ("text", "from", "room"), escapes.escape, escaped.offset, source, room
        )
        source = escaped.offset
    put_text(composition, spec, source, size)


def put_text(composition: Composition, spec: Spec, source: Value, size: Operand) -> None:
    e = composition.e
    names = ("text", "from", "spec", "size")
    e.routine("format_text", names, numbers.format_text, composition.offset, source, spec.word(), size)
    composition.grow(max(e.string_size - 1, spec.most))


def format_character(composition: Composition, piece: Piece, spec: Spec, value: Value) -> None:
    e = composition.e
    if spec.is_plain:
        composition.byte(value)
        return
    buffer = e.buffer()
    e.store(e.data(buffer), value, bits=8)
    e.set_length(buffer, 1)
    spec.precision = None
    size: Operand = 1
    source = Value(str(buffer.offset))
    if piece.flag == "#":
        escaped = Composition(e)
        size = e.routine("text_escape", ("text", "from", "room"), escapes.escape, escaped.offset, source, 4)
        source = escaped.offset
    put_text(composition, spec, source, size)
    composition.has_nul = True


def binary_size(width: int | None) -> int:
    """Bytes of `%b`: 1, 2, 4 or 8."""
    return next((size for size in (1, 2, 4) if width is not None and 0 < width <= size), 8)


def format_binary(composition: Composition, size: int, value: Value) -> None:
    """The low bytes as they are, lowest first."""
    for i in range(size):
        composition.byte(composition.e.shift_right(value, 8 * i))


def format_memory(composition: Composition, piece: Piece, spec: Spec, address: Value, at: int) -> None:
    """%m: bytes of the process's memory; %M: in hexadecimal. The precision is their number."""
    e = composition.e
    buffer = e.buffer()
    wanted: Operand = 1 if spec.precision is None else spec.precision
    if isinstance(wanted, Value):
        wanted = e.select(e.compare("slt", wanted, 0), 0, wanted)
    count = limit(e, wanted, e.string_size)
    read_user_bytes(e, e.at(buffer.offset + TEXT_HEADER), address, count, at)
    e.set_length(buffer, count)
    spec.precision = None
    source = Value(str(buffer.offset))
    size: Operand = count
    if piece.kind == "M":
        shown = Composition(e)
        size = e.routine("format_bytes", ("text", "from"), numbers.format_bytes, shown.offset, source)
        source = shown.offset
    put_text(composition, spec, source, size)
    composition.has_nul = True
