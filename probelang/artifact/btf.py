"""Writing BTF, the type information that the kernel wants for global functions and callbacks, and libbpf for maps.

    b = BtfWriter()
    b.function("f", b.prototype((("frame", b.pointer(b.structure("frame", 4096))),), result), STATIC)

Types are numbered from 1 in the order in which they are added; 0 is void. Source: Linux
Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

STATIC, GLOBAL, EXTERN = 0, 1, 2
MAGIC = 0xEB9F

KIND_INT, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION = 1, 2, 3, 4, 5
KIND_FWD, KIND_FUNC, KIND_FUNC_PROTO, KIND_VAR, KIND_DATASEC = 7, 12, 13, 14, 15
HEADER = struct.Struct("<HBBIIIII")

_INT_SIGNED = 1 << 24


class BtfWriter:
    """Collects types and strings; `finish` gives the section."""

    def __init__(self) -> None:
        self._types = bytearray()
        self._strings = bytearray(b"\0")
        self._known: dict[str, int] = {"": 0}
        self._count = 0

    def string(self, text: str) -> int:
        offset = self._known.get(text)
        if offset is None:
            offset = self._known[text] = len(self._strings)
            self._strings += text.encode() + b"\0"
        return offset

    def _add(self, name: str, kind: int, vlen: int, size_or_type: int, tail: bytes = b"") -> int:
        self._types += struct.pack("<III", self.string(name), kind << 24 | vlen, size_or_type) + tail
        self._count += 1
        return self._count

    def integer(self, name: str, size_bytes: int, signed: bool) -> int:
        encoding = (_INT_SIGNED if signed else 0) | size_bytes * 8
        return self._add(name, KIND_INT, 0, size_bytes, struct.pack("<I", encoding))

    def pointer(self, target: int) -> int:
        return self._add("", KIND_PTR, 0, target)

    def array(self, element: int, index: int, count: int) -> int:
        return self._add("", KIND_ARRAY, 0, 0, struct.pack("<III", element, index, count))

    def structure(self, name: str, size_bytes: int, members: Sequence[tuple[str, int, int]]) -> int:
        """`members`: name, type, offset in bytes."""
        tail = b"".join(struct.pack("<III", self.string(n), t, o * 8) for n, t, o in members)
        return self._add(name, KIND_STRUCT, len(members), size_bytes, tail)

    def forward(self, name: str) -> int:
        return self._add(name, KIND_FWD, 0, 0)

    def prototype(self, parameters: Sequence[tuple[str, int]], result: int) -> int:
        tail = b"".join(struct.pack("<II", self.string(n), t) for n, t in parameters)
        return self._add("", KIND_FUNC_PROTO, len(parameters), result, tail)

    def function(self, name: str, prototype: int, linkage: int) -> int:
        return self._add(name, KIND_FUNC, linkage, prototype)

    def variable(self, name: str, type_id: int) -> int:
        return self._add(name, KIND_VAR, 0, type_id, struct.pack("<I", GLOBAL))

    def section(self, name: str, size_bytes: int, members: Sequence[tuple[int, int, int]]) -> int:
        """`members`: type, offset and size in bytes."""
        tail = b"".join(struct.pack("<III", *m) for m in members)
        return self._add(name, KIND_DATASEC, len(members), size_bytes, tail)

    def finish(self) -> bytes:
        types, strings = len(self._types), len(self._strings)
        header = HEADER.pack(MAGIC, 1, 0, HEADER.size, 0, types, types, strings)
        return header + bytes(self._types) + bytes(self._strings)


def func_info(sections: Sequence[tuple[int, Sequence[tuple[int, int]]]]) -> bytes:
    """The section `.BTF.ext`: for each (string offset of the section's name, ((byte offset, type), ...))."""
    body = bytearray(struct.pack("<I", 8))
    for name, rows in sections:
        body += struct.pack("<II", name, len(rows))
        for offset, type_id in rows:
            body += struct.pack("<II", offset, type_id)
    header = struct.pack("<HBBIIIIIII", MAGIC, 1, 0, 32, 0, len(body), len(body), 0, len(body), 0)
    return header + bytes(body)


_TAIL = {KIND_INT: (4, 0), KIND_ARRAY: (12, 0), KIND_VAR: (4, 0), 17: (4, 0)}
_TAIL_EACH = {KIND_STRUCT: 12, KIND_UNION: 12, 6: 8, KIND_FUNC_PROTO: 8, KIND_DATASEC: 12, 19: 12}


def own_functions(btf: bytes) -> bytes:
    """The part of a `.BTF` section of ours that the kernel must see: up to the last function that is not external.
    What follows describes maps and kfuncs to libbpf, and the kernel refuses external functions."""
    _, _, _, header_size, _, type_size, string_start, string_size = HEADER.unpack_from(btf)
    at, end, keep = header_size, header_size + type_size, header_size
    while at < end:
        _, info, _ = struct.unpack_from("<III", btf, at)
        kind, vlen = info >> 24 & 31, info & 0xFFFF
        at += 12 + _TAIL.get(kind, (0, 0))[0] + _TAIL_EACH.get(kind, 0) * vlen
        if kind == KIND_FUNC and vlen != EXTERN:
            keep = at
    types = keep - header_size
    strings = btf[header_size + string_start : header_size + string_start + string_size]
    header = HEADER.pack(MAGIC, 1, 0, HEADER.size, 0, types, types, string_size)
    return header + btf[header_size:keep] + strings
