"""The debug information that belongs to a binary: in itself, in a file of its own, in split files, in a file shared by several.

    file = find_debug_file(open_binary("/usr/bin/bash"))
    file.path                        ->  "/usr/lib/debug/.build-id/4f/01....debug"
    file.section(".debug_info")      ->  Section(size=3_145_728), decompressed

Sources: the GDB manual, "Debugging Information in Separate Files"; DWARF 5, 7.3.2 (split) and 7.3.6 (supplementary files); dwz(1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property

from probelang.diag.deferred import target
from probelang.dwarf.advice import debug_advice
from probelang.dwarf.binary import Binary
from probelang.dwarf.compression import Budget, open_section
from probelang.dwarf.image import SHT_NOBITS, BinaryError, Image, build_id, read_image
from probelang.dwarf.leb import unsigned
from probelang.dwarf.package import Package, PackageUnit
from probelang.dwarf.section import Section
from probelang.dwarf.separate import DEBUG_FOLDER, URLS, by_build_id, separate_files

__all__ = ["DebugFile", "Progress", "debug_advice", "find_debug_file"]

Progress = Callable[[str, int, int], None]
"""Told of a download: what is fetched, bytes that came, bytes in all (0: not known)."""


class DebugFile:
    """`probelang.dwarf.info.Source`. `program`: the path of the binary; `folder`: of debug files."""

    def __init__(
        self, image: Image, program: str, folder: str = DEBUG_FOLDER, progress: Progress | None = None
    ) -> None:
        self.image = image
        self._program = program
        self._folder = folder
        self._progress = progress
        self._budget = Budget()
        self._sections: dict[str, Section | None] = {}

    @property
    def path(self) -> str:
        return self.image.path

    def section(self, name: str) -> bytes | Section:
        """Empty where there is none. Raises BinaryError where it is damaged."""
        if name not in self._sections:
            self._sections[name] = open_section(self.image, name, self._budget)
        return self._sections[name] or b""

    @property
    def alternate(self) -> DebugFile | None:
        """What dwz moved out of this file and others. Raises BinaryError when there is such a file, but not here."""
        return self._alternate

    @cached_property
    def _alternate(self) -> DebugFile | None:
        name, identity = self._alternate_link()
        if not name and not identity:
            return None
        for path in self._alternate_paths(name, identity):
            image = _readable(path)
            if image is not None and identity in ("", build_id(image), _checksum(image)):
                return DebugFile(image, path, self._folder)
        raise BinaryError(target.MissingDebugFile(path=self.path, part=name or identity))

    def _alternate_link(self) -> tuple[str, str]:
        """Its name, and its build-id or checksum."""
        data = self._bytes(".gnu_debugaltlink")
        if data:
            name, _, identity = data.partition(b"\0")
            return os.fsdecode(name), identity.hex()
        data = self._bytes(".debug_sup")
        if data[:2] != b"\5\0" or data[2:3] != b"\0":  # version 5, and not the supplementary file itself
            return "", ""
        name, _, rest = data[3:].partition(b"\0")
        return os.fsdecode(name), _sized(rest)

    def _alternate_paths(self, name: str, identity: str) -> Iterator[str]:
        if name:
            for place in dict.fromkeys(
                (os.path.dirname(self.path), os.path.dirname(os.path.realpath(self.path)))
            ):
                yield os.path.join(place, name)
        yield from by_build_id(identity, self._folder)
        if name:
            yield f"{self._folder}/.dwz/{os.path.basename(name)}"
        if os.environ.get(URLS):
            yield from _downloaded(identity, self._progress)

    def _bytes(self, name: str) -> bytes:
        found = self.section(name)
        return found if isinstance(found, bytes) else found.take(0, min(found.size, 8192))

    # ------------------------------------------------------------------------------------------ split files

    def split(self, name: str, folder: str, identity: int) -> DebugFile | PackageUnit | None:
        """From a package beside the binary or beside this file, or from the file that the compiler wrote."""
        if not name:
            return None
        for package in self._packages:
            unit = package.compile_unit(identity)
            if unit is not None:
                return unit
        for path in self._split_paths(name, folder):
            image = _readable(path)
            if image is not None:
                return DebugFile(image, self._program, self._folder)
        return None

    @cached_property
    def _packages(self) -> list[Package]:
        found: list[Package] = []
        owners = (self._program, os.path.realpath(self._program), self.path, self.path.removesuffix(".debug"))
        for path in dict.fromkeys(owners):
            image = _readable(f"{path}.dwp")
            if image is not None:
                found.append(Package(DebugFile(image, self._program, self._folder)))
        return found

    def _split_paths(self, name: str, folder: str) -> Iterator[str]:
        """As it was named; then where a program lies that was moved together with its split files."""
        yield os.path.join(folder, name)
        place = os.path.dirname(self._program)
        yield os.path.join(place, name)
        yield os.path.join(place, os.path.basename(name))


def find_debug_file(
    binary: Binary, folder: str = DEBUG_FOLDER, progress: Progress | None = None, download: bool = True
) -> DebugFile | None:
    """None where there is none. Asks the servers of DEBUGINFOD_URLS last, if it may `download`. Raises BinaryError where the binary's own
    is damaged."""
    image = binary.image
    if _has_units(image):
        return DebugFile(image, binary.path, folder, progress)
    for separate in separate_files(image, binary.build_id, folder):
        if _has_units(separate):
            return DebugFile(separate, binary.path, folder, progress)
    if download and os.environ.get(URLS):
        for path in _downloaded(binary.build_id, progress):
            found = _readable(path)
            if found is not None and _has_units(found):
                return DebugFile(found, binary.path, folder, progress)
    return None


def _downloaded(identity: str, progress: Progress | None) -> Iterator[str]:
    from probelang.dwarf.debuginfod import fetch_debug_file  # brings a client of HTTP

    path = fetch_debug_file(identity, progress)
    if path is not None:
        yield path


def _has_units(image: Image) -> bool:
    names = (".debug_info", ".zdebug_info")
    return any(h.name in names and h.type != SHT_NOBITS and h.size for h in image.sections)


def _readable(path: str) -> Image | None:
    try:
        return read_image(path, objects=True)
    except BinaryError:
        return None


def _checksum(image: Image) -> str:
    """Of a supplementary file (DWARF 5, 7.3.6), in hexadecimal; "-" without one."""
    try:
        section = open_section(image, ".debug_sup", Budget())
    except BinaryError:
        return "-"
    data = section.take(0, min(section.size, 4096)) if section is not None else b""
    return _sized(data[3:].partition(b"\0")[2]) or "-"


def _sized(data: bytes) -> str:
    """The bytes behind their number."""
    try:
        size, start = unsigned(data, 0)
    except IndexError:
        return ""
    return data[start : start + size].hex()
