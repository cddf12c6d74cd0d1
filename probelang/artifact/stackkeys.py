"""Which arrays of a script are keyed by stacks: those that a flame graph can show.

    global a; probe P { s = ubacktrace(); a[execname(), s] <<< 1 }  ->  StackArray("a", variable=0, stacks=(1,), keys=("execname", "s"))

Found by following stacks through locals, globals, parameters and results, in the typed code that a manifest carries: a saved
object tells it as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from probelang.artifact import code
from probelang.artifact.code import Type, Variable
from probelang.artifact.manifest import Manifest, UserStorage
from probelang.artifact.walk import walk

STACK_CALLS = frozenset({"ubacktrace", "callers"})
"""Builtins whose value is a stack."""

Owner: TypeAlias = tuple[str, int]
Holder: TypeAlias = tuple[object, ...]
"""Something that may hold a stack: ("local", owner, slot), ("scalar", variable), ("value", variable), ("key", variable, position),
("result", function)."""
Target: TypeAlias = code.Local | code.Scalar | code.Element


@dataclass(frozen=True, slots=True)
class StackArray:
    """An array of longs or of aggregates. `stacks`: which parts of its key are stacks; `keys`: what each part is called where it is
    inserted. `has_count`: an aggregate; `has_sum`: whose sums are kept."""

    name: str
    variable: int
    stacks: tuple[int, ...]
    keys: tuple[str, ...]
    has_count: bool
    has_sum: bool


def stack_arrays(manifest: Manifest) -> tuple[StackArray, ...]:
    """In the order of their declaration. Arrays of strings are none."""
    bodies = _bodies(manifest)
    holders = _holders(bodies)
    names = _key_names(bodies, manifest)
    found: list[StackArray] = []
    for number, variable in enumerate(manifest.variables):
        parts = range(len(variable.key or ()))
        stacks = tuple(i for i in parts if ("key", number, i) in holders)
        if stacks and variable.value is not Type.STRING:
            keys = tuple(names.get((number, i), f"key {i + 1}") for i in parts)
            is_aggregate = variable.value is Type.STATS
            found.append(
                StackArray(
                    variable.name, number, stacks, keys, is_aggregate, _has_sum(manifest, number, variable)
                )
            )
    return tuple(found)


def _has_sum(manifest: Manifest, number: int, variable: Variable) -> bool:
    """In user space everything is kept."""
    storage = manifest.storages[number]
    if variable.value is not Type.STATS or isinstance(storage, UserStorage):
        return variable.value is Type.STATS
    return storage.stats is not None and storage.stats.sum is not None


def _bodies(manifest: Manifest) -> list[tuple[Owner, object]]:
    handlers = [
        ((kind, i), (handler.armed, handler.when, handler.body))
        for i, p in enumerate(manifest.probes)
        for kind, handler in (("before", p.before), ("probe", p.handler))
        if handler is not None
    ]
    return [*handlers, *((("function", i), f.body) for i, f in enumerate(manifest.functions))]


def _holders(bodies: Sequence[tuple[Owner, object]]) -> set[Holder]:
    """What may hold a stack: the least set that the program's assignments keep."""
    holders: set[Holder] = set()
    while True:
        before = len(holders)
        for owner, body in bodies:
            for node in walk(body):
                holders.update(_passed(node, owner, holders))
        if len(holders) == before:
            return holders


def _passed(node: object, owner: Owner, holders: set[Holder]) -> Iterator[Holder]:
    """To whom a node hands stacks on."""
    match node:
        case code.Assign(target=target, op="=", value=value):
            if _is_stack(value, owner, holders):
                yield _holder(target, owner)
            yield from _inserted(target, owner, holders)
        case code.Step(target=target) | code.Accumulate(target=target) | code.Assign(target=target):
            yield from _inserted(target, owner, holders)
        case code.Foreach(keys=keys, value=value, variable=variable):
            for position, key in enumerate(keys):
                if ("key", variable, position) in holders:
                    yield _holder(key, owner)
            if value is not None and ("value", variable) in holders:
                yield _holder(value, owner)
        case code.Invoke(chain=chain, arguments=arguments):
            for slot, argument in enumerate(arguments):
                if _is_stack(argument, owner, holders):
                    yield from (("local", ("function", number), slot) for number in chain)
        case code.Return(value=value) if value is not None and owner[0] == "function":
            if _is_stack(value, owner, holders):
                yield ("result", owner[1])
        case _:
            pass


def _inserted(target: Target, owner: Owner, holders: set[Holder]) -> Iterator[Holder]:
    if isinstance(target, code.Element):
        for position, part in enumerate(target.index):
            if _is_stack(part, owner, holders):
                yield ("key", target.variable, position)


def _holder(target: Target, owner: Owner) -> Holder:
    match target:
        case code.Local(slot=slot):
            return ("local", owner, slot)
        case code.Scalar(variable=variable):
            return ("scalar", variable)
        case code.Element(variable=variable):
            return ("value", variable)


def _is_stack(expr: code.Expr, owner: Owner, holders: set[Holder]) -> bool:
    match expr:
        case code.Call(name=name):
            return name in STACK_CALLS
        case code.Local() | code.Scalar() | code.Element():
            return _holder(expr, owner) in holders
        case code.Choose(then=then, otherwise=otherwise):
            return _is_stack(then, owner, holders) or _is_stack(otherwise, owner, holders)
        case code.Assign(op="=", value=value):
            return _is_stack(value, owner, holders)
        case code.Invoke(chain=chain):
            return any(("result", number) in holders for number in chain)
        case _:
            return False


def _key_names(bodies: Sequence[tuple[Owner, object]], manifest: Manifest) -> dict[tuple[int, int], str]:
    """What the parts of keys are called: by the first insertion that says it."""
    names: dict[tuple[int, int], str] = {}
    for owner, body in bodies:
        for node in walk(body):
            if isinstance(node, code.Assign | code.Step | code.Accumulate) and isinstance(
                node.target, code.Element
            ):
                for position, part in enumerate(node.target.index):
                    name = _name(part, owner, manifest)
                    if name:
                        names.setdefault((node.target.variable, position), name)
    return names


def _name(part: code.Expr, owner: Owner, manifest: Manifest) -> str:
    kind, number = owner
    match part:
        case code.Call(at=at) | code.Invoke(at=at) if 0 <= at < len(manifest.places):
            return manifest.places[at].token
        case code.Scalar(variable=variable):
            return manifest.variables[variable].name
        case code.Local(slot=slot):
            if kind == "function":
                return manifest.functions[number].locals[slot].name
            handler = manifest.probes[number].handler
            return handler.locals[slot].name if handler is not None else ""
        case _:
            return ""
