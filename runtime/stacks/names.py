"""What frames are called: functions, lines, files.

    names.location(1 << 48 | 0x1149, pid=0, is_call=True)
    ->  Location(0x1149, (Frame("list_insert", "/usr/bin/x", "/src/list.h", 12, inlined=True), Frame("main", ..., 40)), "/usr/bin/x")
    names.symbol(1 << 48 | 0x1149, pid=0)  ->  Symbol(b"main", 0x10, b"x")

The symbol tables say which function it is; debug information, where there is some, adds lines and what was inlined. All is looked up when it is
shown, in the files themselves, which are held as long as the session lives. Every answer is kept.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from probelang.artifact.stacks import FILE_SHIFT, OFFSET_MASK
from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.codenames import CodeNames, Covering, code_names
from probelang.dwarf.files import Debug, open_debug
from probelang.dwarf.image import SHT_DYNSYM, BinaryError, Image, build_id, parse_image
from probelang.dwarf.sourceframes import SourceFrame, source_frames
from probelang.dwarf.sweep import Prefixes
from probelang.dwarf.symbols import SymbolTable, read_table
from probelang.runtime.stacks.codefiles import CodeFile, CodeFiles
from probelang.runtime.stacks.perfmaps import PerfMaps
from probelang.runtime.stacks.profile import Frame, Location
from probelang.runtime.stacks.vdso import read_vdso

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Symbol(NamedTuple):
    """`name`: empty where no symbol covers the address. `distance`: from where the function begins. `file`: without folders, empty where
    it is none's. `offset`: in the file."""

    name: bytes
    distance: int
    file: bytes
    offset: int = 0


class FileNames:
    """Of the code of one file, by offset in it."""

    def __init__(self, file: CodeFile) -> None:
        self._file = file
        self._prefixes = Prefixes()
        self._is_damaged = False
        self._frames: dict[int, tuple[Frame, ...]] = {}

    @cached_property
    def _binary(self) -> Binary | None:
        if self._file.is_vdso:
            return _vdso_binary()
        path = self._file.path
        try:
            return None if path is None else open_binary(path)
        except BinaryError:
            return None

    @cached_property
    def _symbols(self) -> CodeNames | None:
        return None if self._binary is None else code_names(self._binary)

    @cached_property
    def _debug(self) -> Debug | None:
        """What is on this machine: nothing is downloaded for the sake of a name."""
        try:
            return None if self._binary is None else open_debug(self._binary, download=False)
        except BinaryError:
            return None

    @property
    def build_id(self) -> str:
        return "" if self._binary is None else self._binary.build_id

    def address(self, offset: int) -> int | None:
        """In the image, as other tools show it."""
        return None if self._binary is None else self._binary.image.address_of(offset)

    def covering(self, offset: int) -> tuple[Covering, int] | None:
        """The symbol, and how far behind its start."""
        address = self.address(offset)
        found = None if address is None or self._symbols is None else self._symbols.at(address)
        return None if found is None or address is None else (found, address - found.start)

    def start(self, offset: int) -> int:
        """The offset in the file of the function's start; the offset itself where the function is not known."""
        found = self.covering(offset)
        return offset if found is None else offset - found[1]

    def frames(self, offset: int) -> tuple[Frame, ...]:
        """Innermost first, never empty."""
        known = self._frames.get(offset)
        if known is None:
            known = self._frames[offset] = self._make(offset)
        return known

    def _make(self, offset: int) -> tuple[Frame, ...]:
        module = self._file.shown
        found = self.covering(offset)
        sources = self._sources(offset)
        if found is not None and not found[1]:
            # at a function's first instruction nothing that was inlined has begun, even where the instruction is part of it
            sources = sources[-1:]
        name = found[0].name if found is not None else ""
        if not name:
            name = sources[-1].name if sources else ""
        name = plain(name) or f"{self._file.name}+{self.start(offset):#x}"
        if not sources:
            return (Frame(name, module),)
        inlined = [Frame(plain(s.name), module, plain(s.file), s.line, True) for s in sources[:-1]]
        return (*inlined, Frame(name, module, plain(sources[-1].file), sources[-1].line))

    def _sources(self, offset: int) -> tuple[SourceFrame, ...]:
        address = self.address(offset)
        if address is None or self._is_damaged or self._debug is None:
            return ()
        try:
            return source_frames(self._debug, address, self._prefixes)
        except BinaryError:
            self._is_damaged = True
            return ()


class Names:
    """Of all frames of a session."""

    def __init__(self, files: CodeFiles, perf_maps: PerfMaps | None = None) -> None:
        self.files = files
        self.perf_maps = perf_maps or PerfMaps()
        self._files: dict[int, FileNames] = {}
        self._locations: dict[tuple[int, int, bool], Location] = {}

    def of_file(self, file: CodeFile) -> FileNames:
        known = self._files.get(id(file))
        if known is None:
            known = self._files[id(file)] = FileNames(file)
        return known

    def place(self, frame: int, pid: int) -> tuple[CodeFile, int] | None:
        """The file and the offset in it. `frame` may be an address in process `pid`; None where that is no file's."""
        number = frame >> FILE_SHIFT
        if number:
            file = self.files.numbered(number)
            return None if file is None else (file, frame & OFFSET_MASK)
        return self.files.locate(pid, frame) if pid else None

    def location(self, frame: int, pid: int, is_call: bool) -> Location:
        """`is_call`: the frame is a return address, and the call one byte before. `pid`: whose address it is, if no file's."""
        key = frame, pid if not frame >> FILE_SHIFT else 0, is_call
        known = self._locations.get(key)
        if known is None:
            known = self._make(frame, pid, int(is_call))
            if known.module or not pid:
                self._locations[key] = known
        return known

    def _make(self, frame: int, pid: int, back: int) -> Location:
        place = self.place(frame - back, pid)
        if place is not None:
            file, offset = place
            names = self.of_file(file)
            return Location(offset + back, names.frames(offset), file.shown, names.build_id)
        made = self.perf_maps.name(pid, frame - back) if pid and not frame >> FILE_SHIFT else None
        name = f"{frame:#x}" if made is None else made[0].decode("utf-8", "surrogateescape")
        return Location(frame, (Frame(name),))

    def symbol(self, frame: int, pid: int) -> Symbol | None:
        """None where nothing is known of it. Nothing is taken for a return address."""
        place = self.place(frame, pid)
        if place is not None:
            file, offset = place
            found = self.of_file(file).covering(offset)
            name, distance = ("", 0) if found is None else (plain(found[0].name), found[1])
            return Symbol(_bytes(name), distance, _bytes(file.name), offset)
        made = self.perf_maps.name(pid, frame) if pid and not frame >> FILE_SHIFT else None
        return None if made is None else Symbol(*made, b"")

    def address(self, frame: int) -> int:
        """As other tools show it: in the image of the file."""
        place = self.place(frame, 0)
        found = None if place is None else self.of_file(place[0]).address(place[1])
        return frame & OFFSET_MASK if found is None else found


def plain(text: str) -> str:
    """Names are whatever a file says, also one of somebody else: nothing in them shall tell a terminal what to do."""
    return _CONTROL.sub("?", text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _vdso_binary() -> Binary | None:
    with suppress(BinaryError):
        image = parse_image("[vdso]", read_vdso())
        return Binary(image, build_id(image), "library", _dynamic_symbols(image), True, False, False)
    return None


def _dynamic_symbols(image: Image) -> tuple[SymbolTable, ...]:
    section = image.section_of_type(SHT_DYNSYM)
    return () if section is None else (read_table(image, section),)
