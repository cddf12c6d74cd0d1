"""Stacks and symbols; how they look is `Symbols`' business (`probelang.runtime.evaluate.services`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from probelang.artifact.stacks import MOST_FRAMES
from probelang.runtime.evaluate.frame import Run
from probelang.runtime.evaluate.services import Symbols
from probelang.runtime.output.stack import MASK, UNKNOWN_FILE, SourcePart, hex_stack, source_text
from probelang.runtime.store import Value

Style: TypeAlias = Literal["full", "lines", "names"]


def _symbols(run: Run) -> Symbols:
    return run.environment.services.symbols


def _current_stack(run: Run) -> bytes:
    addresses, is_cut = run.context.walk(MOST_FRAMES)
    return _symbols(run).stack(addresses, run.context.pid(), is_cut)


def ustack(run: Run, number: int) -> int:
    addresses = run.context.stack(number + 1) if 0 <= number < MOST_FRAMES else []
    return addresses[number] if 0 <= number < len(addresses) else 0


def ucallers(run: Run, count: int) -> bytes:
    """As many addresses as fit a string."""
    text = hex_stack(run.context.stack(min(max(count, 0), MOST_FRAMES)))
    limit = run.environment.limits.string_size - 1
    return text if len(text) <= limit else text[: limit + 1].rpartition(b" ")[0]


def _name(run: Run, address: int) -> bytes:
    return _symbols(run).name(address, _own_pid(run)) or _hex(address)


def _data(run: Run, address: int) -> bytes:
    return _symbols(run).data(address, _own_pid(run)) or _hex(address)


def _module(run: Run, address: int) -> bytes:
    return _symbols(run).module(address, _own_pid(run)) or UNKNOWN_FILE


def _source(part: SourcePart) -> Callable[[Run, int], bytes]:
    return lambda run, address: source_text(part, _symbols(run).source(address, _own_pid(run)), address)


def _hex(address: int) -> bytes:
    return b"%#x" % (address & MASK)


def _own_pid(run: Run) -> int | None:
    """Symbols of a hit are those of its process; begin, end and timers ask about addresses that were kept."""
    return run.context.pid() if run.context.user_mode() else None


def _current(style: Style) -> Callable[[Run], bytes]:
    return lambda run: _symbols(run).lines(_current_stack(run), _own_pid(run), style)


def _kept(style: Style) -> Callable[[Run, bytes], bytes]:
    return lambda run, stack: _symbols(run).lines(stack, _own_pid(run), style)


def _print_current(style: Style) -> Callable[[Run], None]:
    text = _current(style)
    return lambda run: run.environment.output.print(text(run))


def _print_kept(run: Run, stack: bytes) -> None:
    run.environment.output.print(_kept("full")(run, stack))


_OF_NUMBER: Mapping[str, Callable[[Run, int], Value | None]] = {
    "usymname": _name,
    "usymdata": _data,
    "umodname": _module,
    "usymfile": _source("file"),
    "usymline": _source("line"),
    "usymfileline": _source("place"),
    "ustack": ustack,
    "ucallers": ucallers,
}
BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    **{(name, 1): function for name, function in _OF_NUMBER.items()},
    ("ubacktrace", 0): _current_stack,
    ("sprint_ubacktrace", 0): _current("full"),
    ("sprint_ubacktrace_brief", 0): _current("names"),
    ("print_ubacktrace", 0): _print_current("full"),
    ("print_ubacktrace_brief", 0): _print_current("names"),
    ("print_ubacktrace_fileline", 0): _print_current("lines"),
    ("sprint_usyms", 1): _kept("full"),
    ("print_ustack", 1): _print_kept,
}
