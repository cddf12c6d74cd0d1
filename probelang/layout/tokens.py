"""Builtins about stacks and callers, as layout sees them: how long their values are, and how deep their functions nest.

    token_lengths(program)  ->  {"ubacktrace": 18, "caller": 26, ...}      a key `seen[ubacktrace()]` has 24 bytes

What a process probe gets of them is a token (`probelang.artifact.stacks`), which is short whatever it stands for.
"""

from __future__ import annotations

from probelang import typed
from probelang.artifact.code import Call
from probelang.artifact.points import is_process_point
from probelang.builtins.tokens import TOKENS
from probelang.layout.usage import whole_code

_LOCATE, _WALK = 2, 4
LEVELS = {
    "code_in": _LOCATE + 1, "caller": _LOCATE, "usymname": _LOCATE, "usymdata": _LOCATE,
    "umodname": _LOCATE, "usymfile": _LOCATE, "usymline": _LOCATE, "usymfileline": _LOCATE,
    "ubacktrace": _WALK, "callers": _WALK, "ustack": _WALK, "ucallers": _WALK, "print_ubacktrace": _WALK,
    "print_ubacktrace_brief": _WALK, "print_ubacktrace_fileline": _WALK, "within_code": _WALK + 1,
}  # fmt: skip
"""BPF functions in a chain of calls, below the code that has the call (`probelang.llvm.unwind`)."""


def token_calls(program: typed.Program, in_process: bool) -> frozenset[str]:
    """The builtins of TOKENS that process probes, or the others, call."""
    probes = [p for p in program.probes if is_process_point(p.point) == in_process]
    return frozenset(
        node.name
        for probe in probes
        for node in whole_code(program, probe)
        if isinstance(node, Call) and node.name in TOKENS
    )


def token_lengths(program: typed.Program) -> dict[str, int]:
    """Of those that only process probes call: elsewhere the text itself is at hand."""
    elsewhere = token_calls(program, in_process=False)
    return {name: size for name, size in TOKENS.items() if name not in elsewhere}
