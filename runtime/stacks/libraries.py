"""The files that a program brings with it: its interpreter and libraries, and what processes that run it have mapped.

    needed_files("/usr/bin/bash")  ->  ["/usr/bin/bash", "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libtinfo.so.6", ...]

So their unwind rows are there before the first hit. A wrong guess does no harm: a file that a program meets all the same is learnt then.
Sources: ld.so(8); the cache's layout: glibc sysdeps/generic/dl-cache.h (struct cache_file_new).
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Iterable
from functools import cache

from probelang.runtime.mappings import Mapping, mappings_in

_CACHE = "/etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER, _ENTRY = struct.Struct("<20sII20x"), struct.Struct("<iIIIQ")
_X86_64_LIBC6 = 0x303  # FLAG_X8664_LIB64 | FLAG_ELF_LIBC6
_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_MOST_FILES = 512
_MOST_WORDS, _AROUND_WORDS = 64, "'\"();&|"
_LOOKING_S = 0.25  # at the processes of the whole machine


def needed_files(path: str) -> list[str]:
    """The program or library itself first; each by the path under which it was found."""
    found: dict[str, None] = {path: None}
    pending = [path]
    while pending and len(found) < _MOST_FILES:
        for name in _needs(pending.pop()):
            if name not in found:
                found[name] = None
                pending.append(name)
    return list(found)


def programs_named(words: Iterable[str]) -> list[str]:
    """The programs that a command will run, as far as its words tell: `env LANG=C prog`, `sh -c "prog; other"`, and what scripts begin
    with."""
    found: dict[str, None] = {}
    pending = [part.strip(_AROUND_WORDS) for word in words for part in word.split()][:_MOST_WORDS]
    for word in pending:
        path = shutil.which(word) if word else None
        if path is None or path in found:
            continue
        head = _head(path)
        if head.startswith(b"\x7fELF"):
            found[path] = None
        elif head.startswith(b"#!") and len(pending) < 2 * _MOST_WORDS:
            pending += os.fsdecode(head[2:].split(b"\n")[0]).split()
    return list(found)


def _head(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(fd, 256)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _needs(path: str) -> list[str]:
    from probelang.dwarf.binary import DT_NEEDED, DT_RPATH, DT_RUNPATH, dynamic_strings
    from probelang.dwarf.image import BinaryError, read_image

    try:
        image = read_image(path)
        section = image.section(".interp")
        interpreter = [] if section is None else [os.fsdecode(image.contents(section).rstrip(b"\0"))]
        names = dynamic_strings(image, DT_NEEDED)
        folders = ":".join(dynamic_strings(image, DT_RPATH, DT_RUNPATH)).split(":")
    except BinaryError:
        return []
    origin = os.path.dirname(os.path.realpath(path))
    own = [f.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for f in folders if f]
    found = [_find(name, own) for name in names]
    return [f for f in (*interpreter, *found) if f and os.path.isfile(f)]


def _find(name: str, folders: list[str]) -> str:
    if "/" in name:
        return name
    for folder in folders:
        if os.path.isfile(f"{folder}/{name}"):
            return f"{folder}/{name}"
    known = _cached().get(name)
    if known is not None:
        return known
    return next((f"{f}/{name}" for f in _FOLDERS if os.path.isfile(f"{f}/{name}")), "")


@cache
def _cached() -> dict[str, str]:
    """ld.so.cache: path by name."""
    try:
        with open(_CACHE, "rb") as f:
            data = f.read()
    except OSError:
        return {}
    start = data.find(_MAGIC)  # the old layout may stand before it
    if start < 0:
        return {}
    found: dict[str, str] = {}
    try:
        _, count, _ = _HEADER.unpack_from(data, start)
        for i in range(count):
            flags, name, path, _, capabilities = _ENTRY.unpack_from(
                data, start + _HEADER.size + i * _ENTRY.size
            )
            if flags == _X86_64_LIBC6 and not capabilities:
                found.setdefault(_text(data, start + name), _text(data, start + path))
    except (struct.error, ValueError):
        pass
    return found


def _text(data: bytes, start: int) -> str:
    return os.fsdecode(data[start : data.index(b"\0", start)])


def mapped_with(paths: Iterable[str], pids: Iterable[int]) -> list[tuple[int, Mapping]]:
    """The code that processes have mapped beside one of these files, each file once, with a process that has it."""
    wanted = [os.fsencode(os.path.realpath(path)) for path in paths]
    until = time.monotonic() + _LOOKING_S
    found: dict[tuple[tuple[int, int], str], tuple[int, Mapping]] = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/maps", "rb") as f:
                data = f.read()
        except OSError:
            continue
        if any(path in data for path in wanted):
            for mapping in mappings_in(data):
                if mapping.executable and mapping.path.startswith("/"):
                    found.setdefault((mapping.file, mapping.path), (pid, mapping))
        if time.monotonic() > until:
            break
    return list(found.values())
