"""Builtins about who called.

    probe process("x").function("f") { calls[caller()] <<< 1; if (caller is function("main")) println(callers(3)) }

A script calls `caller() caller_addr() callers(n)`. The others are what the checker makes of these and of `caller is X`,
`caller in X` and `within X`: no script can name them. Where the caller stands at a place is known when the program is compiled.
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S = Type.LONG, Type.STRING

ROWS: tuple[Builtin, ...] = (
    Builtin(
        "caller", (), S, "The name of the function that called this one.", process_only=True, rewritten=True
    ),
    Builtin(
        "caller_addr",
        (),
        L,
        "The address to which the current function returns: behind the call.",
        process_only=True,
        rewritten=True,
    ),
    Builtin(
        "callers",
        (L,),
        S,
        "The names of the n nearest callers, the immediate one first, joined by `<-`.",
        process_only=True,
    ),
    Builtin(
        "caller",
        (L,),
        S,
        "The name of the function whose code holds the byte at an address: of `caller()` the one before the return address.",
        process_only=True,
        internal=True,
    ),
    Builtin(
        "code_in",
        (L, L),
        L,
        "Whether the byte at an address is code of the set with this number, a literal. Ends the handler where that cannot be decided.",
        process_only=True,
        internal=True,
    ),
    Builtin(
        "within_code",
        (L,),
        L,
        "Whether a function of the set with this number, a literal, is active in this thread. Ends the handler where that cannot be decided.",
        process_only=True,
        internal=True,
    ),
)
