"""What the lowering of a builtin is, and the arguments it takes apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from probelang.artifact.code import Call
from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.values import StrVal

Result: TypeAlias = Value | StrVal
Values: TypeAlias = tuple[Result, ...]
Lowering: TypeAlias = Callable[[Emitter, Values, Call], "Result | None"]


def number(values: Values, index: int) -> Value:
    value = values[index]
    assert isinstance(value, Value)
    return value


def text(values: Values, index: int) -> StrVal:
    value = values[index]
    assert isinstance(value, StrVal)
    return value


def known(value: Value) -> int | None:
    """The number, where it is known at compile time."""
    return int(value) if value.lstrip("-").isdigit() else None


def narrow(e: Emitter, value: Value, bits: int, signed: bool) -> Value:
    """The low bits of a number as a signed or unsigned one."""
    if bits == 64:
        return value
    if not signed:
        return e.bits_and(value, (1 << bits) - 1)
    return e.shift_right(e.shift_left(value, 64 - bits), 64 - bits, signed=True)
