"""Which code needs scratch memory: strings beyond literals, loops, try. The rest stays in registers.

    probe process("x").function("f") { n++ }      -> simple
    probe process("x").function("f") { s = execname() . "!" }   -> frame

A wrong "simple" costs nothing but time: lowering notices (`NeedsFrame`) and starts the handler again with a frame.
"""

from __future__ import annotations

from collections.abc import Iterable

from probelang.artifact.code import (
    Assign,
    Call,
    Choose,
    Compare,
    Concat,
    Element,
    Foreach,
    ForeachBucket,
    Format,
    Histogram,
    If,
    Invoke,
    Local,
    Logical,
    Loop,
    Matches,
    Print,
    Scalar,
    Text,
    Try,
    Type,
    type_of,
)
from probelang.artifact.manifest import MapStorage, Storage
from probelang.layout.walk import Node

STACK_KEY = 64  # bytes; longer keys are built in a frame
FIELDS_IN_REGISTERS = 16
BRANCHES_IN_REGISTERS = 40  # more, and the verifier sees too many combinations of what registers hold


def needs_frame(code: Iterable[Node], storages: tuple[Storage, ...]) -> bool:
    """Without looking into called functions."""
    branches = 0
    for node in code:
        match node:
            case Loop() | Foreach() | ForeachBucket() | Try() | Concat() | Matches() | Format():
                return True
            case Local() | Scalar() | Assign() | Invoke() if type_of(node) is Type.STRING:
                return True
            case Element():
                if node.type is Type.STRING or _long_key(storages[node.variable]):
                    return True
            case Compare() if type_of(node.left) is Type.STRING and not _compares_name(node):
                return True
            case Print() if len(node.arguments) > FIELDS_IN_REGISTERS or _prints_text(node):
                return True
            case If() | Choose() | Logical():
                branches += 1
            case _:
                pass
    return branches > BRANCHES_IN_REGISTERS


def _compares_name(node: Compare) -> bool:
    """`execname() == "x"`: two words, without a routine."""
    sides = (node.left, node.right)
    names = any(isinstance(side, Call) and side.name in ("execname", "pexecname") for side in sides)
    return node.op in ("==", "!=") and names and any(isinstance(side, Text) for side in sides)


def _prints_text(node: Print) -> bool:
    values = [a for a in node.arguments if not isinstance(a, Histogram | Text)]
    return any(type_of(a) is Type.STRING for a in values)


def _long_key(storage: Storage) -> bool:
    return isinstance(storage, MapStorage) and storage.key_size > STACK_KEY
