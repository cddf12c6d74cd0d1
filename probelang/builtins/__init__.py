"""The builtin functions: one row each, and everything about a builtin that does not depend on a half.

A row says what the checker must know; the two lowerings carry the same name: a function in `probelang.llvm.calls`
for the kernel half, one in `probelang.runtime.evaluate.calls` for the user half (a test compares the three).
Functions that can be written in the language itself are not builtins but live in `stdlib/*.probe`.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.artifact.code import Type


@dataclass(frozen=True, slots=True)
class Builtin:
    """`parameters` and `result` are types; several rows may share a name with different arity. `process_only`: means something
    only where a process was hit (refused in begin, end and timer probes). `effect`: does more than compute, so it is
    never repeated or dropped. `kernel`: False where the kernel half cannot have it (refused in process probes with
    `advice`). `faults`: may read memory of the process, so the program is better sleepable.
    `guru`: changes the probed program, which only -g allows. `internal`: only the checker makes calls of it. `rewritten`: the checker
    makes other code of every call, so neither half has it."""

    name: str
    parameters: tuple[Type, ...]
    result: Type
    doc: str
    process_only: bool = False
    effect: bool = False
    kernel: bool = True
    faults: bool = False
    advice: str = ""
    guru: bool = False
    internal: bool = False
    rewritten: bool = False
