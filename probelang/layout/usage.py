"""Who touches which global: the half that decides where a variable lives.

global n, t; probe process("x").function("f") { n++ }  probe end { print(n, t) }
-> kernel: {n}; user: {n, t}; so t is an ordinary value of the user half and n lies in `.bss`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from probelang import typed
from probelang.artifact.code import (
    Accumulate,
    Assign,
    BucketCount,
    Contains,
    Delete,
    Element,
    Extract,
    Foreach,
    ForeachBucket,
    Histogram,
    Invoke,
    Local,
    Scalar,
    Step,
    Try,
)
from probelang.artifact.points import TimerPoint, is_process_point
from probelang.layout.walk import Node, nodes, probe_nodes


@dataclass(frozen=True, slots=True)
class Touch:
    """What some code does with globals, as sets of their numbers."""

    reads: frozenset[int]
    writes: frozenset[int]
    deletes: frozenset[int]

    @property
    def all(self) -> frozenset[int]:
        return self.reads | self.writes | self.deletes


def callees(code: Iterable[Node]) -> list[int]:
    """Functions called, in the order of first appearance."""
    found: dict[int, None] = {}
    for node in code:
        if isinstance(node, Invoke):
            found.update(dict.fromkeys(node.chain))
    return list(found)


def reachable(program: typed.Program, roots: Iterable[int]) -> list[int]:
    """The functions `roots` and all that they call."""
    found: dict[int, None] = {}
    pending = list(roots)
    while pending:
        function = pending.pop(0)
        if function not in found:
            found[function] = None
            pending += callees(nodes(program.functions[function].body))
    return list(found)


def whole_code(program: typed.Program, probe: typed.Probe) -> Iterator[Node]:
    """The nodes of a probe's handlers and of all functions that they can reach."""
    own = list(probe_nodes(probe))
    yield from own
    for function in reachable(program, callees(own)):
        yield from nodes(program.functions[function].body)


def touch(code: Iterable[Node]) -> Touch:
    reads: set[int] = set()
    writes: set[int] = set()
    deletes: set[int] = set()
    for node in code:
        match node:
            case Scalar() | Element():
                reads.add(node.variable)  # a target is a read too: harmless
            case Contains() | Extract() | Histogram():
                reads.add(node.variable)
            case Foreach():
                reads.add(node.variable)
                writes.update(_written((*node.keys, node.value)))
            case ForeachBucket():
                writes.update(_written((node.bucket,)))
            case Try():
                writes.update(_written((node.variable,)))
            case Assign() | Step() | Accumulate():
                writes.update(_written((node.target,)))
            case Delete():
                deletes.add(node.variable)
            case BucketCount():
                reads.add(node.histogram.variable)
            case _:
                pass
    return Touch(frozenset(reads), frozenset(writes), frozenset(deletes))


def _written(targets: Iterable[Local | Scalar | Element | None]) -> list[int]:
    return [t.variable for t in targets if isinstance(t, Scalar | Element)]


@dataclass(frozen=True, slots=True)
class Usage:
    """Per half. `taken`: what one timer handler both reads and deletes while the kernel half writes it."""

    kernel: Touch
    user: Touch
    taken: frozenset[int]


def _real_reads(code: list[Node]) -> frozenset[int]:
    """Variables whose values are looked at, targets of plain writes not counted."""
    targets = {id(n.target) for n in code if isinstance(n, Assign | Step | Accumulate)}
    return touch(n for n in code if id(n) not in targets).reads


def usage(program: typed.Program) -> Usage:
    kernel: list[Node] = []
    user: list[Node] = []
    taken: set[int] = set()
    for probe in program.probes:
        code = list(whole_code(program, probe))
        if is_process_point(probe.point):
            kernel += code
            continue
        user += code
        if isinstance(probe.point, TimerPoint):
            taken |= _real_reads(code) & touch(code).deletes
    by_kernel = touch(kernel)
    return Usage(by_kernel, touch(user), frozenset(taken & by_kernel.writes))
