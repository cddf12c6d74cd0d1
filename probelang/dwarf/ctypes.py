"""Types of the probed program, as its debug information describes them. C++, Rust and Go have the same shapes.

    struct list { struct list *next; int id : 3; }
    ->  Struct("struct", "list", 16, members=(Member("next", Pointer(8, -> list), 0), Member("id", Base("int", 4, "signed"), 8, bit_size=3, ...)))

Types refer to each other in circles, so what one refers to is a `Lazy` that is read when it is asked for.
Source: DWARF 5, chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """A value that is computed when it is first asked for. `key`: equal for equal things, where that is known."""

    __slots__ = ("_compute", "_value", "key")

    def __init__(self, compute: Callable[[], T], key: object = None) -> None:
        self._compute: Callable[[], T] | None = compute
        self._value: T | None = None
        self.key = key

    def get(self) -> T:
        if self._compute is not None:
            self._value = self._compute()
            self._compute = None
        return self._value  # type: ignore[return-value]  # what `compute` returned


Encoding = Literal[
    "signed", "unsigned", "bool", "signed char", "unsigned char", "float", "complex", "address", "utf"
]


@dataclass(frozen=True, slots=True)
class Void:
    """No type: what `void *` points to. Also the type of a declaration that nothing defines."""


@dataclass(frozen=True, slots=True)
class Base:
    name: str
    size_bytes: int
    encoding: Encoding


@dataclass(frozen=True, slots=True, eq=False)
class Pointer:
    """`kind`: references of C++ are pointers that are followed without being asked to."""

    size_bytes: int
    target: Lazy[CType]
    kind: Literal["pointer", "reference"] = "pointer"


@dataclass(frozen=True, slots=True)
class Member:
    """`name` None: an anonymous struct or union, whose members are its owner's. `offset_bytes`: in the owner; None
    where an expression computes it (`location`: DWARF expression; the owner's address is pushed first; virtual bases).
    `bit_size` not 0: a bit field, which begins `bit_offset` bits (counted from the least significant bit of the
    little-endian storage at `offset_bytes`) into it. `inherited`: a base class. `static_location`: a DWARF expression, for a static
    member, that is not in the object."""

    name: str | None
    type: Lazy[CType]
    offset_bytes: int | None
    bit_size: int = 0
    bit_offset: int = 0
    inherited: bool = False
    location: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """`kind` of C; classes are "class". `name` "" for an anonymous one; C++ names carry their namespaces. `members` in order, base
    classes first. `declared`: no definition was found; then there are no members. `passing`: how functions take one by value: as the ABI says of
    its members, by its address (it has a copy constructor or a destructor), or the file does not say."""

    kind: Literal["struct", "class", "union"]
    name: str
    size_bytes: int
    fields: Lazy[tuple[Member, ...]]
    declared: bool = False
    passing: Literal["value", "reference", "unknown"] = "value"

    @property
    def members(self) -> tuple[Member, ...]:
        return self.fields.get()


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """`counts`: elements in each dimension, None where unknown (`int a[]`). `stride_bytes` None: the size of an element."""

    element: Lazy[CType]
    counts: tuple[int | None, ...]
    stride_bytes: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """`values`: names with their values, in order."""

    name: str
    size_bytes: int
    signed: bool
    values: Lazy[tuple[tuple[str, int], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Typedef:
    name: str
    target: Lazy[CType]


@dataclass(frozen=True, slots=True, eq=False)
class Qualified:
    """`keyword`: const, volatile, restrict, _Atomic."""

    keyword: str
    target: Lazy[CType]


@dataclass(frozen=True, slots=True, eq=False)
class FunctionType:
    """What a pointer to a function points to."""

    result: Lazy[CType]
    parameters: Lazy[tuple[CType, ...]]


_DEEPEST = 64  # types in one another; damaged files have circles
_MOST_PARAMETERS = 64

CType: TypeAlias = Void | Base | Pointer | Struct | Array | Enum | Typedef | Qualified | FunctionType


def bare(ctype: CType) -> CType:
    """Without typedefs and qualifiers."""
    for _ in range(100):  # damaged files have circles
        if not isinstance(ctype, Typedef | Qualified):
            return ctype
        ctype = ctype.target.get()
    return Void()


def size_of(ctype: CType) -> int | None:
    """In bytes; None where it is not known."""
    return _size(ctype, 0)


def _size(ctype: CType, depth: int) -> int | None:
    match bare(ctype):
        case Base(size_bytes=size) | Pointer(size_bytes=size) | Enum(size_bytes=size):
            return size
        case Struct() as struct:
            return None if struct.declared else struct.size_bytes
        case Array() as array:
            return _array_size(array, depth)
        case _:
            return None


def _array_size(array: Array, depth: int) -> int | None:
    if depth > _DEEPEST:
        return None
    size = array.stride_bytes or _size(array.element.get(), depth + 1)
    for count in array.counts:
        size = None if size is None or count is None or size >> 64 else size * count
    return size


def type_name(ctype: CType) -> str:
    """As one writes it in C: `struct list *`, `const char *`, `int [3]`."""
    return _name(ctype, 0)


def _name(ctype: CType, depth: int) -> str:
    if depth > _DEEPEST:
        return "..."
    depth += 1
    match ctype:
        case Void():
            return "void"
        case Base(name=name) | Typedef(name=name):
            return name
        case Struct():
            name = ctype.name or "{...}"
            return f"{ctype.kind} {name}" if ctype.kind != "class" else name
        case Enum():
            return f"enum {ctype.name or '{...}'}"
        case Qualified():
            inner = ctype.target.get()
            if isinstance(inner, Pointer):
                return f"{_name(inner, depth)} {ctype.keyword}"
            return f"{ctype.keyword} {_name(inner, depth)}"
        case Pointer():
            target = ctype.target.get()
            mark = "*" if ctype.kind == "pointer" else "&"
            if isinstance(target, FunctionType):
                return f"{_function_name(target, f'({mark})', depth)}"
            name = _name(target, depth)
            return f"{name}{mark}" if name.endswith(("*", "&")) else f"{name} {mark}"
        case Array():
            counts = "".join(f"[{'' if c is None else c}]" for c in ctype.counts)
            return f"{_name(ctype.element.get(), depth)} {counts}"
        case FunctionType():
            return _function_name(ctype, "", depth)


def _function_name(ctype: FunctionType, middle: str, depth: int) -> str:
    # functions of functions: each level may be as wide as the one above
    depth += _DEEPEST // 3
    parameters = ", ".join(_name(p, depth) for p in ctype.parameters.get()[:_MOST_PARAMETERS])
    return f"{_name(ctype.result.get(), depth)} {middle}({parameters or 'void'})"
