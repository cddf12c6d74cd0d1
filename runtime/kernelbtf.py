"""What kernel BTF says: offsets of members, ids of kernel functions, how many arguments a tracepoint has.

    facts = kernel_facts(["btf:task_struct.real_parent", "func:bpf_iter_num_new", "tracepoint:sched_process_exit"])
    -> {"btf:task_struct.real_parent": 1432, "func:bpf_iter_num_new": 81234, "tracepoint:sched_process_exit": 2}

The file has 130,000 types, and reading it takes a tenth of a second: so answers are kept in the user's cache folder, in
a file named by the kernel's build id. Source: Linux Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import json
import os
import struct
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from probelang.artifact.btf import HEADER, KIND_FUNC, KIND_STRUCT, KIND_UNION

KIND_TYPEDEF = 8
VMLINUX = Path("/sys/kernel/btf/vmlinux")
_NOTES = Path("/sys/kernel/notes")
_GNU_BUILD_ID = 3


class UnknownKernelFact(LookupError):
    """The kernel has no such function, structure or member (or no BTF)."""


def cache_folder() -> Path:
    """Where probelang keeps what it can find out again."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "probelang"


def kernel_build_id() -> str:
    """Hexadecimal; the release where the kernel tells no build id."""
    try:
        notes = _NOTES.read_bytes()
    except OSError:
        return os.uname().release
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        name = notes[at + 12 : at + 12 + name_size]
        start = at + 12 + (name_size + 3 & ~3)
        if kind == _GNU_BUILD_ID and name == b"GNU\0":
            return notes[start : start + size].hex()
        at = start + (size + 3 & ~3)
    return os.uname().release


class KernelTypes:
    """All of a BTF file, indexed by position."""

    def __init__(self, data: bytes) -> None:
        _, _, _, header_size, type_start, type_size, string_start, string_size = HEADER.unpack_from(data)
        self._strings = data[header_size + string_start : header_size + string_start + string_size]
        start = header_size + type_start
        self._words = memoryview(data[start : start + type_size]).cast("I")
        self._index = self._walk()

    def _walk(self) -> array[int]:
        """The word at which each type starts, by its id."""
        words = self._words
        # words behind a type's three, by kind; and words for each of its vlen members
        fixed = (0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, *[0] * 12)
        each = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3, *[0] * 12)
        index = array("I", [0])
        append = index.append
        at, end = 0, len(words)
        while at < end:
            append(at)
            info = words[at + 1]
            kind = info >> 24 & 31
            at += 3 + fixed[kind] + each[kind] * (info & 0xFFFF)
        return index

    def _offset_of(self, name: str) -> int:
        found = self._strings.find(b"\0" + name.encode() + b"\0")
        if found < 0:
            raise UnknownKernelFact(name)
        return found + 1

    def find(self, name: str, kinds: tuple[int, ...]) -> int:
        """The id of the type with this name and one of these kinds."""
        offset = self._offset_of(name)
        words = self._words
        for type_id, at in enumerate(self._index):
            if type_id and words[at] == offset and words[at + 1] >> 24 & 31 in kinds:
                return type_id
        raise UnknownKernelFact(name)

    def _member(self, type_id: int, name: int) -> tuple[int, int] | None:
        """Bit offset and type of a member, searched in anonymous members too."""
        at = self._index[type_id]
        info = self._words[at + 1]
        bitfield_sizes = info >> 31
        for i in range(info & 0xFFFF):
            member_name, member_type, bits = self._words[at + 3 + 3 * i : at + 6 + 3 * i]
            bits = bits & 0xFFFFFF if bitfield_sizes else bits
            if member_name == name:
                return bits, member_type
            if member_name == 0 and self._is_structure(member_type):
                inner = self._member(member_type, name)
                if inner is not None:
                    return bits + inner[0], inner[1]
        return None

    def _is_structure(self, type_id: int) -> bool:
        return self._words[self._index[type_id] + 1] >> 24 & 31 in (KIND_STRUCT, KIND_UNION)

    def _skip_modifiers(self, type_id: int) -> int:
        while self._words[self._index[type_id] + 1] >> 24 & 31 in (8, 9, 10, 11, 18):
            type_id = self._words[self._index[type_id] + 2]
        return type_id

    def member_offset(self, path: str) -> int:
        """Byte offset of `STRUCT.MEMBER[.MEMBER]`."""
        structure, *members = path.split(".")
        type_id = self.find(structure, (KIND_STRUCT, KIND_UNION))
        total = 0
        for member in members:
            found = None
            if self._is_structure(type_id):
                found = self._member(type_id, self._offset_of(member))
            if found is None:
                raise UnknownKernelFact(path)
            total += found[0]
            type_id = self._skip_modifiers(found[1])
        return total // 8

    def tracepoint_arguments(self, name: str) -> int:
        """How many a raw tracepoint program gets: of `void (*btf_trace_NAME)(void *data, ...)` all but the first."""
        type_id = self.find(f"btf_trace_{name}", (KIND_TYPEDEF,))
        for _ in ("typedef", "pointer"):
            type_id = self._words[self._index[type_id] + 2]
        return (self._words[self._index[type_id] + 1] & 0xFFFF) - 1

    def fact(self, name: str) -> int:
        kind, _, rest = name.partition(":")
        try:
            match kind:
                case "func":
                    return self.find(rest, (KIND_FUNC,))
                case "tracepoint":
                    return self.tracepoint_arguments(rest)
                case _:
                    return self.member_offset(rest)
        except UnknownKernelFact:
            if kind == "btf?":
                return 0
            raise UnknownKernelFact(name) from None


def kernel_facts(names: Iterable[str]) -> dict[str, int]:
    """`btf:STRUCT.MEMBER` -> byte offset, `func:NAME` -> BTF id, `tracepoint:NAME` -> arguments. Raises UnknownKernelFact, except
    for `btf?:STRUCT.MEMBER`, which is 0 where there is no such member."""
    wanted = list(names)
    if not wanted:
        return {}
    store = cache_folder() / f"btf-{kernel_build_id()}.json"
    known = _read_cache(store)
    missing = [n for n in wanted if n not in known]
    if missing:
        try:
            types = KernelTypes(VMLINUX.read_bytes())
        except OSError as error:
            raise UnknownKernelFact(missing[0]) from error
        known |= {n: types.fact(n) for n in missing}
        write_cache(store, known)
    return {n: known[n] for n in wanted}


def _read_cache(path: Path) -> dict[str, int]:
    try:
        content: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    items = cast(dict[object, object], content).items()
    return {k: v for k, v in items if isinstance(k, str) and isinstance(v, int)}


def write_cache(path: Path, content: object) -> None:
    """As good as it can be done: a read-only home is no reason to fail."""
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content))
        temporary.replace(path)
    except OSError:
        return
