"""What code does to variables, without running it.

    probe timer.s(1) { foreach (k in a) print(a[k]); delete a; n++ }   taken_variables  ->  (a,)

Transitive through calls of functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import TypeAlias, cast

from probelang.artifact import code
from probelang.artifact.code import Expr, Function, Handler
from probelang.artifact.walk import walk

Parts: TypeAlias = tuple[object, ...]
Node: TypeAlias = object  # any dataclass of `probelang.artifact.code`

# builtins that do more than compute and read (the rows with `effect`): never evaluated twice
EFFECTS = frozenset(
    [
        "exit",
        "abort",
        "error",
        "warn",
        "log",
        "ftrace",
        "system",
        "switch_file",
        "randint",
        "speculation",
        "speculate",
        "commit",
        "discard",
        "tokenize",
        "print_ustack",
        "print_ubacktrace",
        "print_ubacktrace_brief",
        "print_ubacktrace_fileline",
        "set_user_int8",
        "set_user_int16",
        "set_user_int32",
        "set_user_int64",
        "set_register",
        "set_returnval",
        "session_hook",
        "session_keep",
    ]
)


def reached(node: Node, functions: Sequence[Function]) -> Iterator[Node]:
    """As `walk`, with the bodies of all functions that are called, each once."""
    seen: set[int] = set()
    todo: list[Node] = [node]
    while todo:
        for item in walk(todo.pop()):
            yield item
            if isinstance(item, code.Invoke):
                new = [number for number in item.chain if number not in seen]
                seen.update(new)
                todo.extend(functions[number].body for number in new)


def taken_variables(handler: Handler, functions: Sequence[Function]) -> tuple[int, ...]:
    """The variables that a handler both reads and deletes (from), for `Store.begin_handler`."""
    read: set[int] = set()
    deleted: set[int] = set()
    for node in reached(handler, functions):
        match node:
            case code.Delete(variable=variable):
                deleted.add(variable)
            case (
                code.Scalar(variable=variable)
                | code.Element(variable=variable)
                | code.Contains(variable=variable)
                | code.Extract(variable=variable)
                | code.Histogram(variable=variable)
                | code.Foreach(variable=variable)
            ):
                read.add(variable)
            case _:
                pass
    return tuple(sorted(read & deleted))


def is_pure(expr: Expr, functions: Sequence[Function]) -> bool:
    """Evaluating it again changes nothing. (Functions that it calls may change their own locals.)"""
    own = {id(node) for node in walk(expr)}
    for node in reached(expr, functions):
        match node:
            case code.Assign(target=target) | code.Step(target=target):
                pure = isinstance(target, code.Local) and id(node) not in own
            case code.Foreach(keys=keys, value=value):
                pure = not any(isinstance(name, code.Scalar) for name in (*keys, value))
            case code.ForeachBucket(bucket=name) | code.Try(variable=name):
                pure = not isinstance(name, code.Scalar)
            case code.Call(name=name):
                pure = name not in EFFECTS
            case code.Accumulate() | code.Print() | code.Delete():
                pure = False
            case _:
                pure = True
        if not pure:
            return False
    return True


def reads_inside_functions(expr: Expr, variable: int, functions: Sequence[Function]) -> bool:
    """Whether a function that the expression calls reads the variable, where no old value can be put in its place."""
    own = {id(node) for node in walk(expr)}
    return any(
        id(node) not in own and getattr(node, "variable", None) == variable
        for node in reached(expr, functions)
    )


def same_value(left: object, right: object) -> bool:
    """Whether two expressions are the same but for their places in the script."""
    if isinstance(left, tuple):
        if not isinstance(right, tuple):
            return False
        one, other = cast(Parts, left), cast(Parts, right)
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(left, type) or not is_dataclass(left):
        return left == right
    if type(left) is not type(right):
        return False
    names = [field.name for field in fields(left) if field.name != "at"]
    return all(same_value(getattr(left, name), getattr(right, name)) for name in names)
