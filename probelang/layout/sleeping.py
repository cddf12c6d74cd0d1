"""Which functions may wait for memory of the process that is not resident.

    function f(p) { return user_string(p) }   called from uprobe handlers only, never inside a foreach  ->  {f}

A sleepable program may (bpf_copy_from_user); a program that is not may not, nor the body of a foreach, which the kernel runs in
an RCU read section (kernel/bpf/hashtab.c, `bpf_for_each_hash_elem`). A function is compiled once for all its callers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from probelang import typed
from probelang.artifact.code import Foreach
from probelang.layout.program import KernelProbe
from probelang.layout.usage import callees, reachable
from probelang.layout.walk import Node, nodes, probe_nodes


def may_sleep(program: typed.Program, kernel: Sequence[KernelProbe]) -> frozenset[int]:
    """The numbers of those functions that every handler and caller allows to sleep."""
    sleepable: set[int] = set()
    barred: set[int] = set()
    for probe in kernel:
        code = list(probe_nodes(program.probes[probe.index]))
        called = reachable(program, callees(code))
        all_sleep = all(entry.sleepable for entry in probe.entries)
        (sleepable if all_sleep else barred).update(called)
        for part in [code, *(list(nodes(program.functions[f].body)) for f in called)]:
            barred.update(reachable(program, callees(_inside_foreach(part))))
    return frozenset(sleepable - barred)


def _inside_foreach(code: Iterable[Node]) -> list[Node]:
    return [node for loop in code if isinstance(loop, Foreach) for node in nodes(loop.body)]
