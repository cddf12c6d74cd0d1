"""Builtins, operators and formats as code for the `Machine`: arguments come from its buffers, results go to buffer 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from probelang.artifact.code import Call, Piece, Type
from probelang.llvm.builder import Operand, Value
from probelang.llvm.calls import lower_call
from probelang.llvm.calls.lowering import Result
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.format import format_text
from probelang.llvm.values import Buffer, StrVal
from tests.llvm_text.machine import BUFFERS, Inline, Machine, Routine

Kinds: TypeAlias = Sequence[Literal["long", "string"]]
RESULT = BUFFERS - 1


def routine(
    machine_buffers: Callable[[], list[int]],
    kinds: Kinds,
    make: Callable[[Emitter, list[Result]], Result | None],
) -> Routine:
    """Code whose arguments are of these kinds; strings lie in buffers 0, 1, ..."""

    def write(e: Emitter, values: list[Value]) -> Operand:
        places = iter(machine_buffers())
        operands: list[Result] = [
            e.text_of(Buffer(next(places))) if kind == "string" else value
            for kind, value in zip(kinds, values, strict=True)
        ]
        result = make(e, operands)
        if isinstance(result, StrVal):
            e.copy_to_buffer(Buffer(machine_buffers()[RESULT]), result)
            return 1
        return 0 if result is None else result

    return tuple(f"p{i}" for i in range(len(kinds))), Inline(write)


def builtin(machine: Callable[[], list[int]], name: str, kinds: Kinds) -> Routine:
    def make(e: Emitter, operands: list[Result]) -> Result | None:
        return lower_call(e, Call(name, (), Type.LONG, 0), operands)

    return routine(machine, kinds, make)


def formatted(machine: Callable[[], list[int]], pieces: tuple[Piece, ...], kinds: Kinds) -> Routine:
    return routine(machine, kinds, lambda e, operands: format_text(e, pieces, operands, 0))


class Bench(Machine):
    """A machine for code made by these functions, which need to know where its buffers are."""

    def __init__(
        self,
        make: Callable[[Callable[[], list[int]]], dict[str, Routine]],
        string_size: int = 256,
        patterns: Sequence[bytes] = (),
    ) -> None:
        super().__init__(make(lambda: self.buffers), string_size, patterns)

    def text(self, name: str, *arguments: int | bytes) -> bytes:
        """The string that the code gives."""
        assert self.call(name, *arguments) == 1
        return self.buffer(RESULT)
