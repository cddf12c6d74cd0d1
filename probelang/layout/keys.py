"""How the keys of an array lie in memory: a long is 8 bytes, a string as many as its longest possible value needs.

    a[execname(), tid()]  ->  (KeyField(0, 16, STRING), KeyField(16, 8, LONG))

Short keys are hashed and compared faster, so a string's capacity comes from the expressions that the whole program uses
at that position: a literal needs its length, `execname()` 15 bytes, anything else the string size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from probelang.artifact.code import (
    Call,
    Choose,
    Contains,
    Delete,
    Element,
    Expr,
    Extract,
    Foreach,
    Histogram,
    Text,
    Type,
    type_of,
)
from probelang.artifact.manifest import KeyField
from probelang.layout.walk import Node

TASK_COMM = 15  # TASK_COMM_LEN without its NUL


def longest(expr: Expr, known: Mapping[str, int], otherwise: int) -> int:
    """Bytes that the value of a string expression can have at most; `known`: of builtins by name."""
    match expr:
        case Text():
            return len(expr.value)
        case Choose():
            return max(longest(expr.then, known, otherwise), longest(expr.otherwise, known, otherwise))
        case Call():
            return min(known.get(expr.name, otherwise), otherwise)
        case _:
            return otherwise


def index_uses(code: Iterable[Node]) -> dict[int, list[tuple[Expr | None, ...]]]:
    """variable -> all index lists that the program applies to it."""
    uses: dict[int, list[tuple[Expr | None, ...]]] = {}
    for node in code:
        match node:
            case Element() | Contains():
                uses.setdefault(node.variable, []).append(node.index)
            case Extract() | Histogram() | Delete():
                if node.index is not None:
                    uses.setdefault(node.variable, []).append(node.index)
            case Foreach():
                if node.slice is not None:
                    uses.setdefault(node.variable, []).append(node.slice)
            case _:
                pass
    return uses


def key_fields(
    key: tuple[Type, ...], uses: list[tuple[Expr | None, ...]], known: Mapping[str, int], string_size: int
) -> tuple[KeyField, ...]:
    """The fields of an array with such uses."""
    fields: list[KeyField] = []
    offset = 0
    for position, kind in enumerate(key):
        size = 8
        if kind is Type.STRING:
            at = [use[position] for use in uses]
            needs = [longest(e, known, string_size - 1) for e in at if e is not None and type_of(e) is kind]
            size = max(8, (max(needs, default=1) + 7) // 8 * 8)
        fields.append(KeyField(offset, size, kind))
        offset += size
    return tuple(fields)


def key_size(fields: tuple[KeyField, ...]) -> int:
    return fields[-1].offset + fields[-1].size if fields else 0
