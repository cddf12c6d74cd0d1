"""Builtins that act on the session and its output.

probe timer.s(5) { warn("five seconds are over") exit() }
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S, V = Type.LONG, Type.STRING, Type.VOID

ROWS: tuple[Builtin, ...] = (
    Builtin("exit", (), V, "Ends the session after this handler; then the end probes run.", effect=True),
    Builtin(
        "abort", (), V, "Ends this handler at once, and the session; then the end probes run.", effect=True
    ),
    Builtin(
        "error", (S,), V, "Raises a soft error with this message; try and catch can handle it.", effect=True
    ),
    Builtin("warn", (S,), V, "Prints `WARNING:` and the message to standard error.", effect=True),
    Builtin("log", (S,), V, "Prints the message and a newline.", effect=True),
    Builtin("ftrace", (S,), V, "Writes the message to the kernel's trace buffer.", effect=True),
    Builtin("system", (S,), V, "Runs a shell command, without waiting for it.", effect=True),
    Builtin("switch_file", (), V, "Closes the file of -o and goes on in a new one.", effect=True),
    Builtin("randint", (L,), L, "A random number from 0 to n - 1; 0 when n is not positive.", effect=True),
    Builtin("speculation", (), L, "A new number for a speculative buffer, from 1.", effect=True),
    Builtin("speculate", (L, S), V, "Adds text to a speculative buffer.", effect=True),
    Builtin("commit", (L,), V, "Prints a speculative buffer and drops it.", effect=True),
    Builtin("discard", (L,), V, "Drops a speculative buffer.", effect=True),
)
