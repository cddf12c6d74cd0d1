"""print, printf and their string forms.

printf("%d %s\\n", n, s)  ->  services' sink gets the formatted bytes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from probelang.artifact import code
from probelang.artifact.code import Piece
from probelang.artifact.stacks import TOKEN
from probelang.runtime.evaluate.aggregates import histogram_text
from probelang.runtime.evaluate.context import Fault
from probelang.runtime.evaluate.frame import Frame, SoftError, ValueCode
from probelang.runtime.output.pieces import argument_count, compile_pieces
from probelang.runtime.store import Value

if TYPE_CHECKING:
    from probelang.runtime.evaluate.expressions import Compiler

LARGEST_DUMP = 4096  # bytes of one %m
Finder: TypeAlias = Callable[[Sequence[Value]], int]


def output(compiler: Compiler, expr: code.Format | code.Print) -> ValueCode:
    text = _formatted(compiler, expr)
    if isinstance(expr, code.Print):
        print_ = compiler.environment.output.print

        def show(frame: Frame) -> Value:
            print_(text(frame))
            return 0

        return show
    cut = compiler.environment.cut
    at = expr.at
    return lambda frame: cut(text(frame).partition(b"\0")[0], at)


def _formatted(compiler: Compiler, expr: code.Format | code.Print) -> Callable[[Frame], bytes]:
    format_ = compile_pieces(expr.pieces)
    arguments = [_argument(compiler, argument) for argument in expr.arguments]
    dumps = _memory_dumps(expr.pieces)
    if not dumps:
        return lambda frame: format_([argument(frame) for argument in arguments])
    at = expr.at

    def with_memory(frame: Frame) -> bytes:
        values = [argument(frame) for argument in arguments]
        for place, size in dumps:
            values[place] = _read(frame, values[place], size(values), at)
        return format_(values)

    return with_memory


def _argument(compiler: Compiler, argument: code.Expr | code.Histogram) -> ValueCode:
    if isinstance(argument, code.Histogram):
        return histogram_text(compiler, argument)
    value = compiler.value(argument)
    if code.type_of(argument) is not code.Type.STRING or isinstance(argument, code.Text):
        return value
    show = compiler.environment.services.symbols.show

    def shown(frame: Frame) -> Value:
        text = value(frame)
        return show(text) if isinstance(text, bytes) and TOKEN in text else text

    return shown


def _memory_dumps(pieces: Sequence[Piece]) -> list[tuple[int, Finder]]:
    """For each `%m` and `%M`: the number of the argument that is its address, and how many bytes it shows."""
    dumps: list[tuple[int, Finder]] = []
    end = 0
    for piece in pieces:
        end += argument_count(piece)
        if piece.kind in ("m", "M"):
            dumps.append((end - 1, _size_of(piece, end - 2)))
    return dumps


def _size_of(piece: Piece, place: int) -> Finder:
    if piece.precision == -1:

        def from_argument(values: Sequence[Value]) -> int:
            size = values[place]
            return size if isinstance(size, int) else 1

        return from_argument
    size = 1 if piece.precision is None else piece.precision
    return lambda values: size


def _read(frame: Frame, address: Value, size: int, at: int) -> bytes:
    assert isinstance(address, int)
    try:
        return frame.run.context.read_memory(address, min(max(size, 0), LARGEST_DUMP))
    except Fault as fault:
        raise SoftError(fault.message, at) from None
