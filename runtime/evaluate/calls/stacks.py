"""Stacks and symbols; how a stack looks is in `probelang.runtime.output.stack`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.frame import Run
from probelang.runtime.output.stack import MASK, hex_stack, stack_lines, stack_names, symbol_data, symbol_name
from probelang.runtime.store import Value

MAX_DEPTH = 128


def _current_stack(run: Run, depth: int = MAX_DEPTH) -> bytes:
    """As many addresses as fit a string."""
    text = hex_stack(run.context.stack(min(max(depth, 0), MAX_DEPTH)))
    limit = run.environment.limits.string_size - 1
    return text if len(text) <= limit else text[: limit + 1].rpartition(b" ")[0]


def ustack(run: Run, number: int) -> int:
    addresses = run.context.stack(number + 1) if 0 <= number < MAX_DEPTH else []
    return addresses[number] if 0 <= number < len(addresses) else 0


def umodname(run: Run, address: int) -> bytes:
    return run.environment.services.symbols.module(address & MASK, _own_pid(run)) or b"<unknown>"


def _print_ustack(run: Run, stack: bytes) -> None:
    run.environment.output.print(stack_lines(run.environment.services.symbols, stack, None))


def _print_current(run: Run) -> None:
    lines = stack_lines(run.environment.services.symbols, _current_stack(run), run.context.pid())
    run.environment.output.print(lines)


def _print_brief(run: Run) -> None:
    names = stack_names(run.environment.services.symbols, _current_stack(run), run.context.pid())
    run.environment.output.print(names)


def _sprint_current(run: Run) -> bytes:
    return stack_lines(run.environment.services.symbols, _current_stack(run), run.context.pid())


def _own_pid(run: Run) -> int | None:
    """Symbols of a hit are those of its process; begin, end and timers ask about addresses that were kept."""
    return run.context.pid() if run.context.user_mode() else None


_OF_TEXT: Mapping[str, Callable[[Run, bytes], Value | None]] = {
    "sprint_usyms": lambda run, stack: stack_lines(run.environment.services.symbols, stack, _own_pid(run)),
}
_OF_NUMBER: Mapping[str, Callable[[Run, int], Value | None]] = {
    "usymname": lambda run, address: symbol_name(run.environment.services.symbols, address, _own_pid(run)),
    "usymdata": lambda run, address: symbol_data(run.environment.services.symbols, address, _own_pid(run)),
    "umodname": umodname,
}
BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    **{(name, 1): function for name, function in _OF_TEXT.items()},
    **{(name, 1): function for name, function in _OF_NUMBER.items()},
    ("ubacktrace", 0): _current_stack,
    ("ustack", 1): ustack,
    ("ucallers", 1): _current_stack,
    ("print_ustack", 1): _print_ustack,
    ("print_ubacktrace", 0): _print_current,
    ("print_ubacktrace_brief", 0): _print_brief,
    ("sprint_ubacktrace", 0): _sprint_current,
}
