"""Builtins that act on the session and its output."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.context import Fault
from probelang.runtime.evaluate.frame import Abort, Run
from probelang.runtime.store import Value


def abort(run: Run) -> None:
    run.environment.services.exit()
    raise Abort


def error(run: Run, message: bytes) -> None:
    raise Fault(message)


def speculate(run: Run, number: int, text: bytes) -> None:
    run.environment.services.speculations.add(number, text)


def randint(run: Run, limit: int) -> int:
    return int.from_bytes(os.urandom(8)) % limit if limit > 0 else 0


_PLAIN: Mapping[str, Callable[[Run], Value | None]] = {
    "exit": lambda run: run.environment.services.exit(),
    "switch_file": lambda run: run.environment.services.switch_file(),
    "speculation": lambda run: run.environment.services.speculations.create(),
}
_OF_TEXT: Mapping[str, Callable[[Run, bytes], Value | None]] = {
    "warn": lambda run, message: run.environment.services.warn(message),
    "log": lambda run, message: run.environment.output.print(message + b"\n"),
    "ftrace": lambda run, message: run.environment.services.ftrace(message),
    "system": lambda run, command: run.environment.services.system(command),
}
_OF_NUMBER: Mapping[str, Callable[[Run, int], Value | None]] = {
    "commit": lambda run, number: run.environment.services.speculations.commit(number),
    "discard": lambda run, number: run.environment.services.speculations.discard(number),
}
BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    **{(name, 0): function for name, function in _PLAIN.items()},
    **{(name, 1): function for name, function in _OF_TEXT.items()},
    **{(name, 1): function for name, function in _OF_NUMBER.items()},
    ("abort", 0): abort,
    ("error", 1): error,
    ("randint", 1): randint,
    ("speculate", 2): speculate,
}
