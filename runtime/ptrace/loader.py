"""The dynamic linker's own hook for debuggers: a function that it calls whenever its list of libraries has changed.

    loader_hook(4711, mappings)  ->  address of `_dl_debug_state` in the linker of process 4711, None where it has none

At the program's start it is called when all libraries are mapped and relocated and before any constructor runs, and in dlopen()
before constructors as well. Source: glibc elf/dl-debug.c and include/link.h (struct r_debug, r_brk); musl ldso/dynlink.c.
"""

from __future__ import annotations

import struct
from functools import cache

from probelang.runtime.filesymbols import function_offset
from probelang.runtime.mappings import Mapping, mapping_of

_AT_BASE, _AT_ENTRY = 7, 9  # of the interpreter and the program; getauxval(3)
_HOOKS = (b"_dl_debug_state", b"dl_debug_state")


def loader_hook(pid: int, mappings: list[Mapping]) -> int | None:
    """Of a static program the hook is in the program itself (dlopen() there uses it), if its symbols are."""
    values = _auxiliary_vector(pid)
    inside = mapping_of(mappings, values.get(_AT_BASE) or values.get(_AT_ENTRY) or 0)
    if inside is None or not inside.path.startswith("/"):
        return None
    place = _hook_in(inside.path, inside.file, pid)
    if place is None:
        return None
    for mapping in mappings:
        at = place - mapping.offset
        if mapping.path == inside.path and mapping.executable and 0 <= at < mapping.end - mapping.start:
            return mapping.start + at
    return None


@cache
def _known_hooks() -> dict[tuple[str, tuple[int, int]], int | None]:
    return {}


def _hook_in(path: str, file: tuple[int, int], pid: int) -> int | None:
    """Its offset in the file; looked up once for each file."""
    known = _known_hooks()
    if (path, file) not in known:
        # of the process's own root folder, which need not be ours
        known[path, file] = function_offset(f"/proc/{pid}/root{path}", _HOOKS)
    return known[path, file]


def _auxiliary_vector(pid: int) -> dict[int, int]:
    try:
        with open(f"/proc/{pid}/auxv", "rb") as f:
            data = f.read()
    except OSError:
        return {}
    return dict(struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]))
