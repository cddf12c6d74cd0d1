"""Members of structs, unions and classes: of their own, of anonymous ones inside them, and of base classes.

    member(Object(-> struct list, rdi), "id", around)   ->   Object(int, InMemory(u_register("rdi") + 8))

`->` follows a pointer and is `.` on what is none, as in the script language.
"""

from __future__ import annotations

from dataclasses import replace

from probelang.diag import similar_names
from probelang.diag.deferred import variables
from probelang.dwarf.ctypes import Member, Pointer, Struct, Void, bare, size_of, type_name
from probelang.target.bits import part
from probelang.target.location import InMemory, Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.values import (
    Object,
    Surroundings,
    completed,
    follow_pointer,
    follow_references,
    referred,
)

_MOST_LEVELS = 32  # of structs in structs: damaged files have circles


def member(obj: Object, name: str, around: Surroundings) -> Object:
    """`obj->name`, also where C writes a point. Raises TargetMistake and Unavailable."""
    owner = _owner(obj, around)
    struct = bare(owner.type)
    assert isinstance(struct, Struct)
    path = find_member(struct, name, around)
    if path is not None:
        for step in path:
            owner = member_object(owner, step, around)
        return owner
    if struct.kind != "union" and (found := around.static_member(f"{struct.name}::{name}")) is not None:
        return found
    known = tuple(dict.fromkeys(_names(struct, around)))
    if struct.declared:
        raise TargetMistake(
            variables.NotFollowable(
                what=type_name(struct), reason="only a declaration of it is known, not its members"
            )
        )
    raise TargetMistake(
        variables.UnknownMember(
            name=name, type=type_name(owner.type), similar=similar_names(name, known), available=known
        )
    )


def _owner(obj: Object, around: Surroundings) -> Object:
    """The struct itself."""
    obj = follow_references(obj, around)
    plain = bare(obj.type)
    if isinstance(plain, Pointer):
        target = referred(plain.target.get())
        if isinstance(target, Pointer):
            reason = "it is a pointer to a pointer; `[0]` follows it once"
            raise TargetMistake(variables.NotFollowable(what=type_name(obj.type), reason=reason))
        if isinstance(target, Void):
            raise TargetMistake(variables.UntypedPointer(type=type_name(obj.type)))
        obj = follow_references(follow_pointer(obj, plain, around), around)
    obj = replace(obj, type=completed(obj.type, around))
    if not isinstance(bare(obj.type), Struct):
        raise TargetMistake(variables.NotFollowable(what=type_name(obj.type), reason="it has no members"))
    return obj


def find_member(struct: Struct, name: str, around: Surroundings) -> tuple[Member, ...] | None:
    """The way to a member through anonymous ones and base classes, the shortest there is."""
    rows: list[tuple[Struct, tuple[Member, ...]]] = [(struct, ())]
    seen: set[int] = set()
    while rows:
        further: list[tuple[Struct, tuple[Member, ...]]] = []
        for owner, path in rows:
            if id(owner) in seen or len(path) > _MOST_LEVELS:
                continue
            seen.add(id(owner))
            for each in owner.members:
                if each.name == name:
                    return (*path, each)
                if each.name is None and (inner := inside(each, around)) is not None:
                    further.append((inner, (*path, each)))
        rows = further
    return None


def inside(unnamed: Member, around: Surroundings) -> Struct | None:
    """The struct that a base class or an anonymous member is."""
    plain = bare(completed(unnamed.type.get(), around))
    return plain if isinstance(plain, Struct) else None


def _names(struct: Struct, around: Surroundings, level: int = 0) -> list[str]:
    """Of all members, those of anonymous ones and of base classes too."""
    found: list[str] = []
    for each in struct.members:
        if each.name is not None:
            found.append(each.name)
        elif level < 4 and (inner := inside(each, around)) is not None:
            found += _names(inner, around, level + 1)
    return found


def member_object(owner: Object, step: Member, around: Surroundings) -> Object:
    """One member of a struct."""
    ctype = completed(step.type.get(), around)
    if step.offset_bytes is None:
        if not isinstance(owner.location, InMemory):
            raise Unavailable("its place in the object can only be computed for one in memory")
        return Object(ctype, InMemory(around.member_location(step.location, owner.location.address)))
    first = 8 * step.offset_bytes + (step.bit_offset if step.bit_size else 0)
    if first < 0:
        raise Unavailable("its place in the object is damaged in the debug information")
    if step.bit_size:
        place = part(owner.location, first // 8 * 8, first % 8 + step.bit_size)
        return Object(ctype, place, step.bit_size, first % 8)
    size = size_of(ctype)
    return Object(ctype, part(owner.location, first, None if size is None else 8 * size))
