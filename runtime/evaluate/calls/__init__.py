"""The builtins of the user half: one Python function for each row of the compiler's table (a test compares the two).

    Call("strlen", (Text(b"abc"),))  ->  strlen(run, b"abc")  ->  3

A function takes the run and the arguments' values. A string that comes out too long is cut; `Fault` becomes a soft error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from probelang.artifact import code
from probelang.artifact.code import Expr, Type, type_of
from probelang.artifact.stacks import TOKEN
from probelang.runtime.evaluate.context import Fault
from probelang.runtime.evaluate.frame import Frame, SoftError, ValueCode
from probelang.runtime.store import Value

if TYPE_CHECKING:
    from probelang.runtime.evaluate.expressions import Compiler

TAKE_STACKS = frozenset(("print_ustack", "sprint_usyms"))
SHOW = frozenset(("warn", "log", "ftrace", "system", "speculate", "error"))
"""What shows a string, as printing does."""
Builtin: TypeAlias = Callable[..., "Value | None"]


def builtins() -> Mapping[tuple[str, int], Builtin]:
    """By name and number of arguments."""
    from probelang.runtime.evaluate.calls import (
        callers,
        changes,
        clock,
        control,
        floats,
        memory,
        process,
        stacks,
        text,
    )

    return {
        **process.BUILTINS,
        **clock.BUILTINS,
        **memory.BUILTINS,
        **changes.BUILTINS,
        **floats.BUILTINS,
        **text.BUILTINS,
        **stacks.BUILTINS,
        **callers.BUILTINS,
        **control.BUILTINS,
    }


def _argument(compiler: Compiler, name: str, argument: Expr) -> ValueCode:
    """What stands for a stack or a function in a string is text for whoever looks into the string."""
    value = compiler.value(argument)
    if name in TAKE_STACKS or type_of(argument) is not Type.STRING or isinstance(argument, code.Text):
        return value
    symbols = compiler.environment.services.symbols
    change = symbols.show if name in SHOW else symbols.spell

    def changed(frame: Frame) -> Value:
        text = value(frame)
        return change(text) if isinstance(text, bytes) and TOKEN in text else text

    return changed


def call(compiler: Compiler, expr: code.Call) -> ValueCode:
    function = builtins()[expr.name, len(expr.arguments)]
    arguments = [_argument(compiler, expr.name, argument) for argument in expr.arguments]
    cut, at, is_text = compiler.environment.cut, expr.at, expr.type is Type.STRING

    def run(frame: Frame) -> Value:
        values = [argument(frame) for argument in arguments]
        try:
            result = function(frame.run, *values)
        except Fault as fault:
            raise SoftError(cut(fault.message), at) from None
        if is_text:
            assert isinstance(result, bytes)
            return cut(result, at)
        return 0 if result is None else result

    return run
