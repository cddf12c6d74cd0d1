"""Tokens become text: stacks and names of functions, wherever strings of a script are shown.

    texts.show(b"in \\x1bF0001000000001149" + b"00000000")   ->  b"in main"
    texts.show(b"\\x1bS9f03c1a77b2e4d10")                    ->  b"work<-outer<-main<-__libc_start_call_main<-..."
    texts.spell(b"\\x1bS9f03c1a77b2e4d10")                   ->  b"0x1000000001149 0x1000000001180 ..."     for functions on strings

A stack that goes on where it could not be followed ends in `<-...`; one that was not kept, because there were too many, is `[lost stack]`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from probelang.artifact.stacks import (
    FILE_SHIFT,
    LINE_TOKEN,
    MODULE_TOKEN,
    NAME_TOKEN,
    PLACE_TOKEN,
    SOURCE_TOKEN,
    STACK_TOKEN,
    TOKEN,
)
from probelang.runtime.output.stack import UNKNOWN_FILE, SourcePart, source_text, stack_addresses
from probelang.runtime.stacks.codefiles import CodeFiles
from probelang.runtime.stacks.names import Names, Symbol
from probelang.runtime.stacks.perfmaps import PerfMaps
from probelang.runtime.stacks.profile import Frame, Location, StackFrames
from probelang.runtime.stacks.returning import Returning
from probelang.runtime.stacks.table import MemoryStacks, Stack, StackTable
from probelang.runtime.stacks.tables import TableCache

if TYPE_CHECKING:
    from probelang.dwarf.unwind import UnwindTable
    from probelang.runtime.stacks.walk import Locate

ARROW, CUT, LOST = b"<-", b"...", b"[lost stack]"
Style = Literal["full", "lines", "names"]
_SOURCES: dict[bytes, SourcePart] = {SOURCE_TOKEN: "file", LINE_TOKEN: "line", PLACE_TOKEN: "place"}
_MASK = (1 << 64) - 1
_MARK = bytes([TOKEN])
_TOKENS = re.compile(rb"\x1b(?:S([0-9a-f]{16})|[FDMPLK]([0-9a-f]{16})([0-9a-f]{8}))")
_TORN = re.compile(rb"\x1b[SFDMPLK][0-9a-f]{0,24}\.\.\.\Z")
"""The end of a string that was too long: what is left of a token in it."""
_NAMES = re.compile(rb"\x1b[FDMPLK]([0-9a-f]{16})([0-9a-f]{8})")


class StackTexts:
    """`likely_pid`: whose addresses are meant where no process is said. `table`: without one stacks are kept here."""

    def __init__(
        self,
        files: CodeFiles | None = None,
        table: StackTable | None = None,
        likely_pid: int = 0,
        perf_maps: PerfMaps | None = None,
    ) -> None:
        self.memory = MemoryStacks()
        self._tables = TableCache()
        self.names = Names(files or CodeFiles(), perf_maps)
        self._returning = Returning(self.names.files, self._tables)
        self._table: StackTable = table or self.memory
        self._likely_pid = likely_pid
        self._shown: dict[bytes, bytes] = {}

    # -------------------------------------------------------------------------------------------- of strings

    def show(self, text: bytes) -> bytes:
        """As people read it."""
        if _MARK not in text:
            return text
        return _TORN.sub(CUT, _TOKENS.sub(self._show_match, text))

    def expand(self, text: bytes) -> bytes:
        return self.show(text)

    def spell(self, text: bytes) -> bytes:
        """As functions on strings see it: names, and of stacks the frames in hexadecimal."""
        return _TOKENS.sub(self._spell_match, text) if _MARK in text else text

    def name(self, text: bytes) -> bytes:
        """Names only; stacks stay what they are."""
        return _NAMES.sub(self._show_match, text) if _MARK in text else text

    def _show_match(self, match: re.Match[bytes]) -> bytes:
        found = match[0]
        known = self._shown.get(found)
        if known is None:
            known = self._stack_text(found) if found.startswith(STACK_TOKEN) else self._name_text(found)
            self._shown[found] = known
        return known

    def _spell_match(self, match: re.Match[bytes]) -> bytes:
        if not match[0].startswith(STACK_TOKEN):
            return self._show_match(match)
        stack = self.stack(match[0])
        return match[0] if stack is None else b" ".join([b"%#x" % frame for frame in stack.frames])

    def _name_text(self, token: bytes) -> bytes:
        frame, pid = int(token[2:18], 16), int(token[18:26], 16)
        kind = token[:2]
        if kind == NAME_TOKEN:
            return self.function(frame, pid)
        if kind in _SOURCES:
            return source_text(_SOURCES[kind], self.source(frame, pid), frame)
        if kind == MODULE_TOKEN:
            found = self.find(frame, pid)
            return found.file if found is not None and found.file else UNKNOWN_FILE
        return self.data(frame, pid) or b"%#x" % frame

    def _stack_text(self, token: bytes) -> bytes:
        stack = self.stack(token)
        if stack is None:
            return LOST
        names = [_bytes(frame.name) for place in self._locations(stack) for frame in place.frames]
        return ARROW.join([*names, CUT] if stack.is_cut else names)

    # --------------------------------------------------------------------------------------------- of stacks

    def stack(self, token: bytes) -> Stack | None:
        """None of what is no stack's token, or of one that is not known."""
        match = _TOKENS.fullmatch(token)
        if match is None or match[1] is None:
            return None
        number = int(match[1], 16)
        return self._table.get(number) or self.memory.get(number)

    def keep(
        self, addresses: Sequence[int], pid: int, is_cut: bool = False, of_callers: bool = False
    ) -> bytes:
        """The token of a stack of a process that is stopped: its frames are those of files where they lie in some."""
        files = self.names.files
        files.refresh(pid)
        frames: list[int] = []
        for i, address in enumerate(addresses):
            back = not self._returning.is_signal_return(frames[-1]) if i else of_callers
            place = files.locate(pid, address - back)
            is_numbered = place is not None and place[0].number
            frames.append(
                place[0].frame(place[1] + back) if place is not None and is_numbered else address & _MASK
            )
        return self.memory.add(frames, pid, is_cut, of_callers)

    def locator(self, pid: int) -> Locate:
        """Where addresses of a process that is stopped lie, as `walk` asks: number of the file, offset, rows."""
        files = self.names.files
        files.refresh(pid)

        def locate(address: int) -> tuple[int, int, UnwindTable] | None:
            place = files.locate(pid, address)
            return None if place is None else (place[0].number, place[1], self._tables.of(place[0]))

        return locate

    def stack_frames(self, token: bytes) -> StackFrames:
        """With the names of all functions; also of a text of addresses."""
        stack = self.stack(token) or Stack(_addresses(token), self._likely_pid)
        return StackFrames(self._locations(stack), stack.is_cut)

    def _locations(self, stack: Stack) -> tuple[Location, ...]:
        location, pid = self.names.location, stack.pid
        calls = self._returning.calls(stack.frames, stack.of_callers)
        return tuple([location(frame, pid, back) for frame, back in zip(stack.frames, calls, strict=True)])

    def lines(self, text: bytes, pid: int | None, style: Style) -> bytes:
        """A stack, or a text of addresses, as a table: one line for each function, or the names in one line."""
        stack = self.stack(text) or Stack(_addresses(text), self._process(pid))
        places = self._locations(stack)
        if style == "names":
            names = [_bytes(frame.name) for place in places for frame in place.frames]
            return b" ".join([*names, CUT] if stack.is_cut else names) + b"\n"
        rows: list[bytes] = []
        calls = self._returning.calls(stack.frames, stack.of_callers)
        for frame, place, is_call in zip(stack.frames, places, calls, strict=True):
            rows += self._rows(frame, place, stack.pid, is_call, style == "lines")
        return b"".join([*rows, b" ...\n"] if stack.is_cut else rows)

    def _rows(self, address: int, place: Location, pid: int, is_call: bool, with_lines: bool) -> list[bytes]:
        shown = self.names.address(address) if address >> FILE_SHIFT else address
        symbol = self.names.symbol(address - is_call, pid)
        if symbol is None:
            return [b" %#x\n" % shown]
        file = b" [%s]" % symbol.file if symbol.file else b""
        *inlined, own = place.frames
        rows = [
            b" %#x : %s (inlined)%s%s\n" % (shown, _bytes(f.name), _at(f) if with_lines else b"", file)
            for f in inlined
        ]
        if not symbol.name:
            return [*rows, b" %#x : %s+%#x\n" % (shown, symbol.file, symbol.offset + is_call)]
        name = b"%s+%#x" % (symbol.name, symbol.distance + is_call)
        return [*rows, b" %#x : %s%s%s\n" % (shown, name, _at(own) if with_lines else b"", file)]

    def _process(self, pid: int | None) -> int:
        return self._likely_pid if pid is None else pid

    # ------------------------------------------------------------------------------------------- of addresses

    def find(self, address: int, pid: int | None) -> Symbol | None:
        """Of an address in a process, or of a frame. None where nothing is known of it."""
        return self.names.symbol(address & _MASK, self._process(pid))

    def function(self, address: int, pid: int | None) -> bytes:
        """The name; where there is none, the file and the offset in it, or the address."""
        found = self.find(address, pid)
        if found is None:
            return b"%#x" % (address & _MASK)
        return found.name or b"%s+%#x" % (found.file, found.offset - found.distance)

    def data(self, address: int, pid: int | None) -> bytes | None:
        """`function+0x12 [file]`; None where nothing is known."""
        found = self.find(address, pid)
        if found is None:
            return None
        if not found.name:
            return b"%s+%#x" % (found.file, found.offset)
        return b"%s+%#x" % (found.name, found.distance) + (b" [%s]" % found.file if found.file else b"")

    def source(self, address: int, pid: int | None) -> tuple[bytes, int] | None:
        """File and line of what is innermost at an address; None without debug information."""
        frame = self.names.location(address & _MASK, self._process(pid), False).frames[0]
        return (_bytes(frame.source), frame.line) if frame.source else None


def _addresses(text: bytes) -> tuple[int, ...]:
    return tuple(stack_addresses(text))


def _at(frame: Frame) -> bytes:
    if not frame.source:
        return b""
    return b" at %s" % _bytes(frame.source) + (b":%d" % frame.line if frame.line else b"")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
