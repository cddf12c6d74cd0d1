"""Names of addresses in running processes, and of what stands for stacks and functions in strings.

    symbols.name(0x7f3a12345678, pid=4711)  ->  b"malloc"          usymname()
    symbols.data(0x7f3a12345678, pid=4711)  ->  b"malloc+0x18 [libc.so.6]"   usymdata()
    symbols.show(b"\\x1bF000100000000114900000000")  ->  b"main"

What reads symbol tables and debug information (`probelang.runtime.stacks`) is imported when the first name is asked for. An address may be a
frame (`probelang.artifact.stacks`), which says by itself what file it is of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from probelang.artifact.stacks import FILE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probelang.runtime.stacks.kernel import KernelCode
    from probelang.runtime.stacks.texts import StackTexts

_MASK = (1 << 64) - 1
_TOKEN = b"\x1b"


class Symbols:
    """`likely_pid`: whose addresses are meant where no process is said."""

    def __init__(self, likely_pid: int = 0) -> None:
        self._likely_pid = likely_pid
        self._code: KernelCode | None = None
        self._texts: StackTexts | None = None

    def use(self, code: KernelCode) -> None:
        """Programs in the kernel know files of code and stacks: what they are called."""
        self._code, self._texts = code, None

    def met_file(self, fields: Sequence[int]) -> None:
        """A program has met a file that it did not know."""
        if self._code is not None:
            self._code.met(fields)

    @property
    def texts(self) -> StackTexts:
        if self._texts is None:
            from probelang.runtime.stacks.texts import StackTexts

            code = self._code
            self._texts = (
                StackTexts(likely_pid=self._likely_pid)
                if code is None
                else StackTexts(code.files, code.stacks, self._likely_pid, code.perf_maps)
            )
        return self._texts

    def close(self) -> None:
        if self._texts is not None and self._code is None:
            self._texts.names.files.close()

    # ------------------------------------------------------------------------------------------ of addresses

    def name(self, address: int, pid: int | None) -> bytes | None:
        """The function's name."""
        found = self.texts.find(address, pid)
        if (found is None or not found.name) and (address & _MASK) >> FILE_SHIFT:
            return self.texts.function(address, pid)
        return found.name if found is not None and found.name else None

    def function(self, address: int, pid: int | None) -> bytes:
        """The same; where it has none, its file and the offset there, or the address."""
        return self.texts.function(address, pid)

    def data(self, address: int, pid: int | None) -> bytes | None:
        """Name, offset and file: `malloc+0x18 [libc.so.6]`."""
        found = self.texts.find(address, pid)
        if found is None or not (found.name or (address & _MASK) >> FILE_SHIFT):
            return None
        return self.texts.data(address, pid)

    def module(self, address: int, pid: int | None) -> bytes | None:
        """The name of the mapped file, without folders."""
        found = self.texts.find(address, pid)
        return found.file if found is not None and found.file else None

    def source(self, address: int, pid: int | None) -> tuple[bytes, int] | None:
        """Source file, a path, and line; None where there is no debug information."""
        return self.texts.source(address, pid)

    # ------------------------------------------------------------------------------------- of stacks, in strings

    def stack(
        self, addresses: Sequence[int], pid: int, is_cut: bool = False, of_callers: bool = False
    ) -> bytes:
        """What stands in strings for a stack of a process that is stopped. `of_callers`: the first is a return address, too."""
        return self.texts.keep(addresses, pid, is_cut, of_callers)

    def lines(self, stack: bytes, pid: int | None, style: Literal["full", "lines", "names"]) -> bytes:
        """A stack, or a text of addresses, one line for each function; "lines": with source lines; "names": all in one line."""
        return self.texts.lines(stack, pid, style)

    def name_functions(self, text: bytes) -> bytes:
        """What stands for functions as text; stacks stay what they are."""
        return self.texts.name(text) if _TOKEN in text else text

    def show(self, text: bytes) -> bytes:
        """What stands for stacks and functions as people read it."""
        return self.texts.show(text) if _TOKEN in text else text

    def spell(self, text: bytes) -> bytes:
        """The same as functions on strings see it: of stacks the frames in hexadecimal."""
        return self.texts.spell(text) if _TOKEN in text else text
