"""The manifest as JSON bytes and back: what travels in an object's section `.probelang`.

    Number(5)               <->  {"Number":[5]}
    Type.LONG, b"ab"        <->  {"Type":["long"]}, {"":["ab"]}      (bytes as latin-1 text)
    ("lost", 8)             <->  ["lost",8]                          (tuples are JSON arrays)

Every dataclass is an object with one entry: its name, and its fields in order. So the text describes itself, nothing
here knows a particular class, and reading is one pass of the C parser with one constructor call a node.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import ModuleType
from typing import cast

from probelang.artifact import code, codesets, limits, manifest, points
from probelang.artifact.manifest import VERSION, Manifest


class DamagedManifest(ValueError):
    """Not a manifest, or one of another version; the text says which."""


def _constructors(*modules: ModuleType) -> dict[str, Callable[..., object]]:
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and (is_dataclass(value) or issubclass(value, Enum))
    }


_CONSTRUCTORS = _constructors(code, codesets, limits, points, manifest)


@cache
def _fields(name: str) -> tuple[str, ...] | None:
    """Names of the fields of a dataclass, None for other types."""
    kind = _CONSTRUCTORS.get(name)
    return tuple(f.name for f in fields(kind)) if isinstance(kind, type) and is_dataclass(kind) else None


def _encode(value: object) -> object:
    kind = type(value)
    names = _fields(kind.__name__)
    if names is not None:
        return {kind.__name__: [_encode(getattr(value, n)) for n in names]}
    if isinstance(value, Enum):
        return {kind.__name__: [value.value]}
    if isinstance(value, tuple):
        return [_encode(v) for v in cast(tuple[object, ...], value)]
    if isinstance(value, bytes):
        return {"": [value.decode("latin-1")]}
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"{kind.__name__} cannot stand in a manifest")


def dump_manifest(value: Manifest) -> bytes:
    """The same manifest gives the same bytes."""
    return json.dumps(_encode(value), separators=(",", ":")).encode()


def _freeze(value: object) -> object:
    """Tuples come as lists."""
    return tuple(map(_freeze, cast(list[object], value))) if isinstance(value, list) else value


def _decode(node: dict[str, list[object]]) -> object:
    ((name, values),) = node.items()
    if not name:
        return str(values[0]).encode("latin-1")
    return _CONSTRUCTORS[name](*map(_freeze, values))


def load_manifest(data: bytes) -> Manifest:
    """Raises DamagedManifest."""
    try:
        value: object = json.loads(data, object_hook=_decode)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedManifest("its manifest is damaged or of another version of probelang") from error
    if not isinstance(value, Manifest):
        raise DamagedManifest("it holds no manifest")
    if value.version != VERSION:
        raise DamagedManifest(f"its manifest has version {value.version}, this probelang reads {VERSION}")
    return value
