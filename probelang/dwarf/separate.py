"""Where the debug file of a stripped binary lies.

    separate_files(image, "4f01...")  ->  Image("/usr/lib/debug/.build-id/4f/01....debug"), ...

By its build-id, and by the name in `.gnu_debuglink`. Every file that is given belongs to the binary. Cheap: each start asks for the
files of stripped programs.
Source: the GDB manual, "Debugging Information in Separate Files"; elfutils' debuginfod_find_debuginfo(3) for the cache.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from probelang.dwarf.image import BinaryError, Image, build_id, read_image
from probelang.dwarf.section import Section

DEBUG_FOLDER = "/usr/lib/debug"
URLS = "DEBUGINFOD_URLS"
_PIECE_BYTES = 1 << 20


def separate_files(image: Image, identity: str, folder: str = DEBUG_FOLDER) -> Iterator[Image]:
    """`identity`: the build-id. What is damaged or belongs to another binary is left out."""
    for path in by_build_id(identity, folder):
        found = _read(path, identity)
        if found is not None:
            yield found
    name, checksum = debug_link(image)
    if not name:
        return
    for path in _linked(image.path, name, folder):
        if os.path.exists(path) and not _same_file(path, image.path):
            found = _read(path, identity, checksum)
            if found is not None:
                yield found


def by_build_id(identity: str, folder: str = DEBUG_FOLDER) -> Iterator[str]:
    """Paths at which a file with this build-id may lie, and does."""
    if len(identity) < 4:
        return
    name = f".build-id/{identity[:2]}/{identity[2:]}.debug"
    folders = [folder]
    if folder == DEBUG_FOLDER:
        folders += ["/usr/local/lib/debug", *os.environ.get("NIX_DEBUG_INFO_DIRS", "").split(":")]
    for place in folders:
        if place and os.path.exists(path := f"{place}/{name}"):
            yield path
    if os.environ.get(URLS) and os.path.exists(path := cached(identity)):
        yield path


def cache_folder() -> str:
    """Of debuginfod clients."""
    path = os.environ.get("DEBUGINFOD_CACHE_PATH")
    if path:
        return path
    home = os.environ.get("HOME", "/nonexistent")
    old = f"{home}/.debuginfod_client_cache"
    if os.path.isdir(old):
        return old
    return f"{os.environ.get('XDG_CACHE_HOME') or f'{home}/.cache'}/debuginfod_client"


def cached(identity: str) -> str:
    return f"{cache_folder()}/{identity}/debuginfo"


def debug_link(image: Image) -> tuple[str, int]:
    """The name in `.gnu_debuglink`, and the checksum of the file; an empty name without one."""
    section = image.section(".gnu_debuglink")
    if section is None or not 8 <= section.size <= 4096:
        return "", 0
    try:
        data = image.contents(section)
    except BinaryError:
        return "", 0
    name = data.partition(b"\0")[0]
    if not name or b"/" in name:
        return "", 0
    at = len(name) // 4 * 4 + 4  # behind the name and its zeros
    return os.fsdecode(name), int.from_bytes(data[at : at + 4], "little")


def _linked(path: str, name: str, folder: str) -> Iterator[str]:
    """As gdb looks: beside the binary, in .debug, below the folder of debug files; also with links resolved."""
    places = dict.fromkeys((os.path.dirname(os.path.abspath(path)), os.path.dirname(os.path.realpath(path))))
    for place in places:
        yield f"{place}/{name}"
        yield f"{place}/.debug/{name}"
        yield f"{folder}{place}/{name}"


def _read(path: str, identity: str, checksum: int | None = None) -> Image | None:
    """The file, if it belongs to the binary: by its build-id where both have one, else by its checksum."""
    try:
        image = read_image(path, objects=True)
        own = build_id(image)
        if own and identity:
            return image if own == identity else None
        if checksum is None:
            return image  # the name has the build-id
        return image if _checksum(image) == checksum else None
    except BinaryError:
        return None


def _checksum(image: Image) -> int:
    import zlib  # only where there is no build-id

    whole = Section(image.path, "", image.data)  # gives pages back
    value = 0
    for start in range(0, whole.size, _PIECE_BYTES):
        value = zlib.crc32(whole.take(start, min(_PIECE_BYTES, whole.size - start)), value)
    return value


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
