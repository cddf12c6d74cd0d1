"""How the script's functions become BPF functions, which neither recurse nor nest deeper than eight.

    function f(n) { return n ? n * f(n - 1) : 1 }      (max. nesting 10)
    -> clones f_1 .. f_10; f_2 is written into f_1, f_4 into f_3, ...; in f_10 the call is the error MAXNESTING exceeded

A function that can reach a recursion is cloned for every depth at which it can be called; any other is compiled once.
Small pure functions are written into their callers, so that simple handlers stay simple.
Source: kernel/bpf/verifier.c, MAX_CALL_FRAMES and check_max_stack_depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from probelang import typed
from probelang.artifact.code import Call, Foreach, Invoke
from probelang.artifact.manifest import Storage
from probelang.layout.needs import needs_frame
from probelang.layout.program import Clone
from probelang.layout.tokens import LEVELS
from probelang.layout.usage import callees, reachable
from probelang.layout.walk import Node, nodes

MAX_LEVELS = 6  # of BPF functions below a handler, a routine at the bottom included
SIMPLE_NODES = 100  # of a function that is written into every caller


@dataclass(slots=True)
class _Builder:
    program: typed.Program
    storages: tuple[Storage, ...]
    nesting: int
    uses: dict[int, int]
    clones: list[Clone] = field(default_factory=list[Clone])
    numbers: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    levels: list[int] = field(default_factory=list[int])
    sizes: list[int] = field(default_factory=list[int])

    def code(self, function: int) -> list[Node]:
        return list(nodes(self.program.functions[function].body))

    def height(self, function: int) -> int:
        """Longest chain of calls from here; more than any nesting where there is recursion."""
        return _height(self.program, function, {})

    def clone(self, function: int, depth: int) -> int | None:
        """The number of the clone that a call at `depth` runs."""
        if depth > self.nesting:
            return None
        fixed = self.height(function) + depth - 1 <= self.nesting
        key = (function, 0 if fixed else depth)
        if key not in self.numbers:
            self.add(function, depth, key)
        return self.numbers[key]

    def add(self, function: int, depth: int, key: tuple[int, int]) -> None:
        code = self.code(function)
        called = tuple((g, self.clone(g, depth + 1)) for g in callees(code))
        size = len(code) + sum(self.sizes[c] for _, c in called if c is not None)
        frame = (
            needs_frame(code, self.storages)
            or size > SIMPLE_NODES
            or key[1] > 0
            or any(c is None or self.clones[c].frame for _, c in called)
        )
        below = levels_of(self.program.functions[function].body, dict(called), self.clones, self.levels)
        once = key[1] == 0 and self.uses[function] == 1
        inline = not frame or once or (key[1] > 0 and depth % 2 == 0) or below + 1 > MAX_LEVELS
        name = re.sub(r"\W", "_", self.program.functions[function].name)
        symbol = f"f{function}_{name}" + (f"_{depth}" if key[1] else "")
        self.numbers[key] = len(self.clones)
        self.clones.append(Clone(function, symbol, depth, inline, frame, called))
        self.levels.append(below if inline else below + 1)
        self.sizes.append(size)


def _height(program: typed.Program, function: int, open_calls: dict[int, None]) -> int:
    if function in open_calls:
        return 1 << 20
    below = [
        _height(program, g, open_calls | {function: None})
        for g in callees(nodes(program.functions[function].body))
    ]
    return min(1 << 20, 1 + max(below, default=0))


def levels_of(code: object, called: dict[int, int | None], clones: list[Clone], levels: list[int]) -> int:
    """BPF functions that code nests below itself: at least a routine; the body of a foreach is one, too."""
    deepest = 1
    inside: set[int] = set()
    for node in nodes(code):
        if isinstance(node, Foreach) and id(node.body) not in inside:
            deepest = max(deepest, 1 + levels_of(node.body, called, clones, levels))
            inside |= {id(n) for n in nodes(node.body)}
        elif isinstance(node, Call):
            deepest = max(deepest, LEVELS.get(node.name, 1))
        elif isinstance(node, Invoke):
            for function in node.chain:
                clone = called.get(function)
                if clone is not None:
                    deepest = max(deepest, levels[clone])
    return deepest


def make_clones(
    program: typed.Program, storages: tuple[Storage, ...], nesting: int, handlers: Iterable[list[Node]]
) -> tuple[tuple[Clone, ...], tuple[tuple[int, int], ...], list[int]]:
    """The clones, callees first; which clone a handler calls, by function; the levels of each."""
    roots: list[int] = []
    uses: dict[int, int] = {}
    for code in handlers:
        roots += callees(code)
        for node in code:
            _count(node, uses)
    for function in reachable(program, roots):
        for node in nodes(program.functions[function].body):
            _count(node, uses)
    builder = _Builder(program, storages, nesting, uses)
    called: dict[int, int] = {}
    for function in roots:
        number = builder.clone(function, 1)
        if number is not None:
            called[function] = number
    return tuple(builder.clones), tuple(called.items()), builder.levels


def _count(node: Node, uses: dict[int, int]) -> None:
    if isinstance(node, Invoke):
        for function in node.chain:
            uses[function] = uses.get(function, 0) + 1
