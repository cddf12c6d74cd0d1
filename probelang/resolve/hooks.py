"""Which returns are hooked for `within X`: of the functions of X, where that does no harm and says all.

    hooks_of([(file of ./x, Code of function("f*"))], ...)   ->   Hooks((Hook("/bin/x", (0x1139, 0x1180)),), unhooked=False)

A hooked return replaces the return address on the stack. Through functions that exceptions may leave, and in programs that switch
stacks, nothing is hooked: their stacks are unwound instead, and so are those of code that has no return of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from probelang.artifact.codesets import Hook
from probelang.dwarf.binary import Binary
from probelang.dwarf.functions import Function
from probelang.dwarf.image import BinaryError
from probelang.resolve.candidates import FileTarget
from probelang.resolve.extents import Code
from probelang.resolve.paths import needed_libraries
from probelang.resolve.points import Env
from probelang.resolved import Surroundings
from probelang.sites import judge, judge_return, switches_stacks

MOST_HOOKS = 256
"""Functions of one `within`: each call of each of them costs something. Of more the stacks are unwound."""

Found = list[tuple[FileTarget, Code | None]]


@dataclass(frozen=True, slots=True)
class Hooks:
    """`around`: where only copies cannot be hooked, the code of the functions that hold them, and their hooks."""

    hooks: tuple[Hook, ...] = ()
    unhooked: bool = True
    around: Found = field(default_factory=Found)
    around_hooks: tuple[Hook, ...] = ()


def hooks_of(found: Found, around: Surroundings, env: Env) -> Hooks:
    """Code that is None: all of a file."""
    if env.options.backend == "ptrace" or _switches_stacks([file.binary for file, _ in found], around, env):
        return Hooks()
    hooks, is_whole = _all_hooks(found)
    copies: Found = [(file, code.around) for file, code in found if code is not None and code.has_copies]
    if _count(hooks) > MOST_HOOKS:
        return Hooks()
    if not is_whole or not copies:
        return Hooks(hooks, not is_whole)
    holders, is_known = _all_hooks(copies)
    if not is_known or _count(hooks) + _count(holders) > MOST_HOOKS:
        return Hooks(hooks)
    return Hooks(hooks, True, copies, holders)


def _all_hooks(found: Found) -> tuple[tuple[Hook, ...], bool]:
    """Of the functions of each file, copies aside, and whether all can be hooked."""
    hooks: list[Hook] = []
    is_whole = True
    for file, code in found:
        offsets = () if code is None or file.binary.throws else _hookable(file.binary, code.functions)
        is_part = code is not None and (code.functions or code.around)
        is_whole = is_whole and code is not None and bool(is_part) and len(offsets) == len(code.functions)
        if offsets:
            hooks.append(Hook(file.binary.path, offsets))
    return tuple(hooks), is_whole


def _count(hooks: tuple[Hook, ...]) -> int:
    return sum(len(hook.offsets) for hook in hooks)


def _hookable(binary: Binary, functions: Iterable[Function]) -> tuple[int, ...]:
    """Offsets of entries."""
    return tuple(
        sorted(
            f.offset
            for f in functions
            if not f.indirect and judge(binary, f.address) is None and judge_return(binary, f) is None
        )
    )


def _switches_stacks(binaries: list[Binary], around: Surroundings, env: Env) -> bool:
    """Whether one of the files does, or a program with its libraries that is known to run them."""
    programs = {b.path for b in binaries if b.kind != "library"}
    programs |= {around.program} if around.program is not None else set()
    loaded = {path for program in programs for path in (program, *needed_libraries(program, env.host))}
    for path in sorted(loaded - {b.path for b in binaries}):
        with suppress(BinaryError):  # it is none that is asked about
            binaries = [*binaries, env.host.open(path)]
    return any(map(switches_stacks, binaries))
