"""Which returns are hooked for `within X`: of the functions of X, where that does no harm and says all.

    hooks_of([(file of ./x, Code of function("f*"))], ...)   ->   ((Hook("/bin/x", (0x1139, 0x1180)),), False)

A hooked return replaces the return address on the stack. Through functions that exceptions may leave, and in programs that switch
stacks, nothing is hooked: their stacks are unwound instead, and so are those of code that has no return of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

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


def hooks_of(found: Found, around: Surroundings, env: Env) -> tuple[tuple[Hook, ...], bool]:
    """The functions whose returns can be hooked, and whether that is not all of the code. Code that is None: all of a file."""
    if env.options.backend == "ptrace" or _switches_stacks([file.binary for file, _ in found], around, env):
        return (), True
    hooks: list[Hook] = []
    unhooked = False
    for file, code in found:
        offsets = () if code is None or file.binary.throws else _hookable(file.binary, code.functions)
        unhooked = unhooked or code is None or code.has_copies or len(offsets) < len(code.functions)
        if offsets:
            hooks.append(Hook(file.binary.path, offsets))
    if sum(len(hook.offsets) for hook in hooks) > MOST_HOOKS:
        return (), True
    return tuple(hooks), unhooked


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
