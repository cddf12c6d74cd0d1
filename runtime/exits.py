"""Where the kernel says that a thread ends, and whether it is the last of its process.

Since Linux 6.16 the tracepoint sched_process_exit(task, group_dead) does, while the thread's memory is still there. Before
that it came behind exit_mm(), without `group_dead`: by then threads that have been waited for and those who waited may end in
any order, and nothing says which executable it was. But taskstats_exit(task, group_dead) is called before exit_mm() on
every kernel, and a program at its entry finds the same two arguments where one at the tracepoint finds them.

Source: kernel/exit.c, `do_exit`.
"""

from __future__ import annotations

import os

from probelang.runtime import bpf
from probelang.runtime.kernelbtf import kernel_facts

TRACEPOINT = "sched_process_exit"
FEATURE = "group_dead"
_FUNCTION = "func:taskstats_exit"


def tracepoint_tells() -> bool:
    fact = f"tracepoint:{TRACEPOINT}"
    return kernel_facts([fact])[fact] >= 2


def entered_function() -> int:
    """BTF id of the function that is used instead. Raises UnknownKernelFact."""
    return kernel_facts([_FUNCTION])[_FUNCTION]


def ask_group_dead(nothing: bytes) -> None:
    """`nothing`: a program that returns 0. Raises OSError or UnknownKernelFact."""
    if tracepoint_tells():
        return
    fd = bpf.load_program(
        "ask",
        bpf.PROG_TRACING,
        nothing,
        expected_attach_type=bpf.ATTACH_TRACE_FENTRY,
        attach_btf_id=entered_function(),
    )
    try:
        os.close(bpf.link_function_entry(fd))
    finally:
        os.close(fd)
