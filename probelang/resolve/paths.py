"""Which files a probe point means: programs by path, name, glob or process; libraries by name.

    programs("python3.11", host)        ->  ("/usr/bin/python3.11",)
    programs("/usr/bin/py*", host)      ->  every ELF file that matches
    programs("libc.so.6", host)         ->  ("/usr/lib/x86_64-linux-gnu/libc.so.6",), from the loader's cache
    programs("./script.py", host)       ->  the interpreter of its `#!` line
    libraries_of("/usr/bin/ls", "libc.so*", host)  ->  those that the program loads

Paths are those of the file itself, links followed: a probe belongs to the file, whatever name it was found by.
Sources: execve(2) for `#!`; ld.so(8) for the search of libraries; glibc dl-cache.h for /etc/ld.so.cache.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from probelang.diag import similar_names
from probelang.diag.deferred import target
from probelang.dwarf.binary import DT_NEEDED, DT_RPATH, DT_RUNPATH, Binary, dynamic_strings
from probelang.dwarf.files import Files
from probelang.dwarf.image import BinaryError

CACHE = "/etc/ld.so.cache"
CACHE_MAGIC = b"glibc-ld.so.cache1.1"
# magic and version, number of libraries, length of the strings, flags, unused
CACHE_HEADER = struct.Struct("<20sIIB3xI3I")
CACHE_ENTRY = struct.Struct("<iIIIQ")
# FLAG_ELF_LIBC6 | FLAG_X8664_LIB64
CACHE_X86_64 = 0x0303
STANDARD_FOLDERS = (
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib",
)  # fmt: skip
MAXIMUM_INTERPRETERS = 4
WILD = ("*", "?", "[")


@dataclass(frozen=True, slots=True)
class Host:
    """What finding files depends on: PATH and the binaries opened so far."""

    search: tuple[str, ...]
    files: Files = field(default_factory=Files)

    @staticmethod
    def current(files: Files) -> Host:
        search = tuple(folder for folder in os.environ.get("PATH", os.defpath).split(":") if folder)
        return Host(search, files)

    def open(self, path: str) -> Binary:
        """Raises BinaryError."""
        return self.files.binary(path)


def is_glob(name: str) -> bool:
    return any(c in name for c in WILD)


def programs(name: str, host: Host) -> tuple[str, ...]:
    """The files that `process("name")` means. Raises BinaryError when there is none."""
    if "/" in name:
        return _by_path(name, host)
    found = _in_folders(name, host.search, host, executable=True)
    found = found or [path for path in find_libraries(name) if _is_elf(path)]
    if not found:
        here = os.path.isfile(name)
        raise BinaryError(target.NoSuchProgram(name=name, here=here, pattern=is_glob(name)))
    return _files(found, host)


def _by_path(name: str, host: Host) -> tuple[str, ...]:
    if os.path.lexists(name) or not is_glob(name):
        if not os.path.exists(name):
            raise BinaryError(target.NoSuchProgram(name=name))
        return _files([name], host)
    found = [path for path in sorted(glob.glob(name)) if _is_elf(path)]
    if not found:
        raise BinaryError(target.NoSuchProgram(name=name, pattern=True))
    return _files(found, host)


def _in_folders(name: str, folders: Iterable[str], host: Host, executable: bool) -> list[str]:
    """The first file called `name`, or all that match when it is a glob."""
    if is_glob(name):
        every = (path for folder in folders for path in sorted(glob.glob(f"{glob.escape(folder)}/{name}")))
        return [path for path in every if _is_elf(path)]
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and (not executable or os.access(path, os.X_OK)):
            return [path]
    return []


def _files(paths: Iterable[str], host: Host) -> tuple[str, ...]:
    """Links followed, scripts replaced by their interpreters, each file once."""
    return tuple(dict.fromkeys(_interpreted(os.path.realpath(path), host) for path in paths))


def _interpreted(path: str, host: Host) -> str:
    """The interpreter of a script; any other file as it is. An interpreter may be a script itself."""
    for _ in range(MAXIMUM_INTERPRETERS):
        words = _shebang(path)
        if not words:
            return path
        command = words[0]
        if os.path.basename(command) == "env":
            command = _env_command(words[1:])
        if "/" not in command:
            command = next(iter(_in_folders(command, host.search, host, executable=True)), command)
        if not os.path.exists(command):
            raise BinaryError(target.NoSuchProgram(name=command))
        path = os.path.realpath(command)
    return path


def _env_command(words: list[str]) -> str:
    """What env(1) runs: the first word that is neither option nor assignment."""
    return next((word for word in words if not word.startswith("-") and "=" not in word), "env")


def _shebang(path: str) -> list[str]:
    head = _head(path, 256)
    if not head.startswith(b"#!"):
        return []
    return os.fsdecode(head[2:].split(b"\n")[0]).split()


def _is_elf(path: str) -> bool:
    return _head(path, 4) == b"\x7fELF"


def _head(path: str, count: int) -> bytes:
    """The first bytes of a regular file; empty when it cannot be read."""
    try:
        if not os.path.isfile(path):
            return b""
        with open(path, "rb") as file:
            return file.read(count)
    except OSError:
        return b""


# ------------------------------------------------------------------------------------------------ processes


def executable_of(pid: int) -> str:
    """The program of a running process, by a path that reaches it from here: its own path, the same seen through its
    root folder (containers), or `/proc/PID/exe` when the file was deleted. Raises BinaryError."""
    link = f"/proc/{pid}/exe"
    try:
        name, there = os.readlink(link), os.stat(link)
    except OSError as error:
        if os.path.exists(f"/proc/{pid}"):
            reason = "permission denied" if isinstance(error, PermissionError) else "it has no program"
            raise BinaryError(target.NoSuchProcess(pid=pid, reason=reason)) from None
        raise BinaryError(target.NoSuchProcess(pid=pid)) from None
    return _visible(pid, name, there) or link


def _visible(pid: int, name: str, there: os.stat_result) -> str | None:
    for path in (name, f"/proc/{pid}/root{name}"):
        try:
            here = os.stat(path)
        except OSError:
            continue
        if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
            return path
    return None


def mapped_files(pid: int) -> tuple[str, ...]:
    """The files that process `pid` has mapped as code, by paths that reach them from here."""
    try:
        found = dict.fromkeys(name for _, _, _, name in _code_mappings(pid))
    except OSError:
        return ()
    return tuple(path for name in found if (path := _reached(pid, name)) is not None)


def mapped_at(pid: int, address: int) -> tuple[str, int]:
    """The file that lies at an address of a process as code, and the offset in it. Raises BinaryError."""
    try:
        for start, end, offset, name in _code_mappings(pid):
            if start <= address < end and (path := _reached(pid, name)) is not None:
                return path, address - start + offset
    except OSError as error:
        reason = "permission denied" if isinstance(error, PermissionError) else ""
        raise BinaryError(target.NoSuchProcess(pid=pid, reason=reason)) from None
    raise BinaryError(target.NotMapped(address=address, pid=pid))


def _code_mappings(pid: int) -> Iterator[tuple[int, int, int, str]]:
    """Start, end, offset in the file and the file's name there, of what is mapped as code. Raises OSError. Source: proc_pid_maps(5)."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields = line.rstrip("\n").split(maxsplit=5)
            if len(fields) == 6 and "x" in fields[1] and fields[5].startswith("/"):
                start, _, end = fields[0].partition("-")
                yield int(start, 16), int(end, 16), int(fields[2], 16), fields[5]


def _reached(pid: int, name: str) -> str | None:
    """The path by which a file that a process has under this name is reached from here (containers); None where it is gone."""
    through = f"/proc/{pid}/root{name}"
    if not os.path.exists(through):
        return None
    same = os.path.exists(name) and os.path.samefile(name, through)
    return os.path.realpath(name) if same else through


# ------------------------------------------------------------------------------------------------ libraries


def libraries_of(executable: str | None, name: str, host: Host, pid: int | None = None) -> tuple[str, ...]:
    """The files that `.library("name")` means for a program, or for any. Raises BinaryError when there is none."""
    if "/" in name:
        return _by_path(name, host)
    loaded: tuple[str, ...] = ()
    if pid is not None:
        loaded = mapped_files(pid)
    elif executable is not None:
        loaded = needed_libraries(executable, host)
    found = [path for path in loaded if _called(path, name)]
    # what a program opens while it runs is in no list: take what the loader would take
    found = found or find_libraries(name)
    if not found:
        known = sorted({os.path.basename(path) for path in loaded})
        similar = similar_names(name, known)
        raise BinaryError(target.NoSuchLibrary(name=name, executable=executable or "", similar=similar))
    return _files(found, host)


def _called(path: str, pattern: str) -> bool:
    """`libc.so.6` is found by its link's name, which is its SONAME, or by the file's own name."""
    return any(fnmatch.fnmatchcase(os.path.basename(p), pattern) for p in (path, os.path.realpath(path)))


def needed_libraries(executable: str, host: Host) -> tuple[str, ...]:
    """The libraries that the loader loads with a program, those of its libraries included, in its order."""
    found: dict[str, None] = {}
    waiting = [executable]
    while waiting:
        path = waiting.pop(0)
        try:
            image = host.open(path).image
        except BinaryError:
            continue
        origin = os.path.dirname(os.path.realpath(path))
        own = [
            folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin)
            for text in dynamic_strings(image, DT_RUNPATH, DT_RPATH)
            for folder in text.split(":")
            if folder
        ]
        for name in dynamic_strings(image, DT_NEEDED):
            library = _load(name, own)
            if library is not None and library not in found:
                found[library] = None
                waiting.append(library)
    return tuple(found)


def _load(name: str, own_folders: list[str]) -> str | None:
    if "/" in name:
        return name if os.path.exists(name) else None
    for folder in own_folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    return next(iter(find_libraries(name)), None)


def find_libraries(name: str) -> list[str]:
    """Libraries of that name (or all that match a glob) in the loader's cache and the standard folders."""
    known = _loader_cache()
    if is_glob(name):
        cached = [known[key] for key in sorted(known) if fnmatch.fnmatchcase(key, name)]
        every = (p for folder in STANDARD_FOLDERS for p in sorted(glob.glob(f"{folder}/{name}")))
        return cached or [path for path in every if _is_elf(path)]
    if name in known:
        return [known[name]]
    for folder in STANDARD_FOLDERS:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return [path]
    return []


@cache
def _loader_cache() -> dict[str, str]:
    """SONAME -> path of the 64-bit libraries of /etc/ld.so.cache; empty when it cannot be read. It is read once: a
    compilation sees one state of the machine."""
    try:
        with open(CACHE, "rb") as file:
            data = file.read()
    except OSError:
        return {}
    return parse_loader_cache(data)


def parse_loader_cache(data: bytes) -> dict[str, str]:
    """The new format alone, or behind the old one (glibc before 2.32 wrote both)."""
    start = data.find(CACHE_MAGIC)
    if start < 0 or len(data) < start + CACHE_HEADER.size:
        return {}
    count = CACHE_HEADER.unpack_from(data, start)[1]
    end = start + CACHE_HEADER.size + count * CACHE_ENTRY.size
    found: dict[str, str] = {}
    if end > len(data):
        return found
    for flags, key, value, _, _ in CACHE_ENTRY.iter_unpack(data[start + CACHE_HEADER.size : end]):
        if flags & 0xFFFF == CACHE_X86_64:
            found.setdefault(_string(data, start + key), _string(data, start + value))
    return found


def _string(data: bytes, offset: int) -> str:
    return os.fsdecode(data[offset : data.find(b"\0", offset)])
