"""Which frames of a stack are return addresses, and which are instructions that go on.

    Returning(files, tables).calls((handler, restore, busy, main))   ->  [False, True, False, True]

All but the current instruction are return addresses, and are looked up by the byte before; but what a signal has interrupted did not
call: the frame after that of the signal's return (ROW_SIGNAL) may be the very first instruction of a function.
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.artifact.stacks import FILE_SHIFT, OFFSET_MASK, ROW_SIGNAL
from probelang.runtime.stacks.codefiles import CodeFiles
from probelang.runtime.stacks.tables import TableCache
from probelang.runtime.stacks.walk import row_at


class Returning:
    def __init__(self, files: CodeFiles, tables: TableCache) -> None:
        self._files = files
        self._tables = tables
        self._known: dict[int, bool] = {}

    def calls(self, frames: Sequence[int], of_callers: bool = False) -> list[bool]:
        """`of_callers`: the first frame is a return address as well."""
        if not frames:
            return []
        return [of_callers, *(not self.is_signal_return(frame) for frame in frames[:-1])]

    def is_signal_return(self, frame: int) -> bool:
        """Of a frame that is a return address: whether a signal handler returns there."""
        known = self._known.get(frame)
        if known is None:
            known = self._known[frame] = self._ask(frame)
        return known

    def _ask(self, frame: int) -> bool:
        file = self._files.numbered(frame >> FILE_SHIFT)
        if file is None:
            return False
        table = self._tables.of(file)
        return bool(table.rows) and row_at(table, (frame & OFFSET_MASK) - 1)[2] == ROW_SIGNAL
