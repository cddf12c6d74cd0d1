"""Whether a program changes stacks by itself, as coroutines do.

    switches_stacks(binary of qemu)  ->  True

The kernel keeps hooked returns as one list for a thread and drops what lies beyond the stack pointer (cleanup_return_instances in
kernel/events/uprobes.c): of two stacks in turn it loses what it needs, and the program dies. So in such programs nothing is hooked that
the user has not asked for. By the names of what does it, as far as it has a name: `<ucontext.h>`, Boost.Context, and libraries of coroutines.
"""

from __future__ import annotations

from probelang.dwarf.binary import Binary, dynamic_strings

_DT_SONAME = 14
_SWITCHES = (
    "swapcontext", "setcontext", "makecontext", "jump_fcontext", "make_fcontext", "ontop_fcontext", "co_switch", "co_resume",
    "coro_transfer", "coroutine_resume", "mco_resume", "aco_resume", "minicoro_switch",
)  # fmt: skip
_NAMES = tuple(b"\0" + name.encode() + end for name in _SWITCHES for end in (b"\0", b"@"))


def switches_stacks(binary: Binary) -> bool:
    """Whether it has or uses such a function. (The C library has them for others.)"""
    if any(name.startswith(("libc.so", "ld-linux")) for name in dynamic_strings(binary.image, _DT_SONAME)):
        return False
    return any(name in table.strings for table in binary.tables for name in _NAMES)
