"""The stack on which a DWARF expression computes, with code in place of numbers.

    push(breg5 0), push(lit8), plus   ->   [Value(u_register("rdi") + 8)]

An expression that builds code without bound (`dup plus` over and over doubles it) is refused. Source: DWARF 5, 2.5.1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import cast

from probelang.artifact.code import Expr, Number
from probelang.dwarf import constants as c
from probelang.dwarf.entry import Entry
from probelang.target.build import extract
from probelang.target.location import Unavailable

MOST_NODES, MOST_DEPTH, MOST_VALUES = 2000, 64, 1000
FLOATING = "it is computed with floating point numbers, which probes cannot do"


@dataclass(frozen=True, slots=True)
class Integer:
    """A base type. The generic type (an address, of unknown sign) is None where a type stands."""

    bits: int
    is_signed: bool


@dataclass(frozen=True, slots=True)
class Value:
    """`expr`: extended to 64 bits as its type says. `nodes`, `depth`: of its tree."""

    expr: Expr
    type: Integer | None = None
    nodes: int = 1
    depth: int = 1


class Stack:
    """Raises IndexError where there is less on it than an operation takes."""

    def __init__(self, values: tuple[Value, ...] = ()) -> None:
        self._values = list(values)

    def __len__(self) -> int:
        return len(self._values)

    def copy(self) -> Stack:
        return Stack(tuple(self._values))

    def pop(self) -> Value:
        return self._values.pop()

    def peek(self, index: int) -> Value:
        """0: the top."""
        if index >= len(self._values):
            raise IndexError
        return self._values[-1 - index]

    def push(self, value: Value) -> None:
        if len(self._values) >= MOST_VALUES:
            raise Unavailable("its description is too long to compile")
        self._values.append(value)

    def push_leaf(self, expr: Expr, type: Integer | None = None) -> None:
        """What no operand on the stack went into."""
        nodes, depth = measure(expr)
        self.push(Value(expr, type, nodes, depth))

    def push_result(self, expr: Expr, type: Integer | None, *operands: Value) -> None:
        """Computed from `operands`; cut to its type. Folding may have made it smaller than it is taken for."""
        if type is not None:
            expr = extract(expr, type.bits, type.is_signed)
        if isinstance(expr, Number):
            self.push(Value(expr, type))
            return
        nodes = 3 + sum(o.nodes for o in operands)
        depth = 3 + max((o.depth for o in operands), default=0)
        if nodes > MOST_NODES or depth > MOST_DEPTH:
            nodes, depth = measure(expr)  # exactly
        self.push(Value(expr, type, nodes, depth))


def measure(expr: Expr) -> tuple[int, int]:
    """Nodes and depth of a tree. Raises Unavailable where that is too much to be compiled."""
    nodes, deepest = 0, 0
    waiting: list[tuple[object, int]] = [(expr, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes, deepest = nodes + 1, max(deepest, depth)
        if nodes > MOST_NODES or deepest > MOST_DEPTH:
            raise Unavailable("its description is too long to compile")
        if is_dataclass(node):
            for field in fields(node):
                inner: object = getattr(node, field.name)
                if isinstance(inner, tuple):
                    waiting += [(part, depth + 1) for part in cast("tuple[object, ...]", inner)]
                elif is_dataclass(inner):
                    waiting.append((inner, depth + 1))
    return nodes, deepest


def base_type(entry: Entry) -> Integer:
    """Of a DW_TAG_base_type. Raises Unavailable for what is no integer of 64 bits at most."""
    size = entry.number(c.AT_byte_size) or 0
    encoding = entry.number(c.AT_encoding)
    if encoding in (c.ATE_float, c.ATE_complex_float):
        raise Unavailable(FLOATING)
    if not 1 <= size <= 8:
        raise Unavailable(f"it is computed with numbers of {8 * size} bits")
    return Integer(8 * size, encoding in (c.ATE_signed, c.ATE_signed_char))
