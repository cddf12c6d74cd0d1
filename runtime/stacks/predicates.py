"""What handlers that run in this process are answered about callers (`code_in`, `within_code`): by what is mapped, and by unwinding.

    predicates = CodePredicates(manifest.code_sets)
    predicates.holds(context, 0x55d0c1a01187, 0)    ->  True: the byte there is code of set 0
    predicates.is_active(context, 0)                ->  None: the stack goes on where it could not be followed

The same answers as of the programs in `probelang/llvm/callers`. The thread is stopped, but others of its process go on, so what is mapped is
read again for every question.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence

from probelang.artifact.codesets import CodeSet
from probelang.artifact.stacks import MOST_FRAMES
from probelang.runtime.evaluate.context import Context
from probelang.runtime.stacks.codefiles import CodeFile, CodeFiles

_MASK = (1 << 64) - 1
Ranges = tuple[tuple[int, int], ...]


class CodePredicates:
    def __init__(self, code_sets: Sequence[CodeSet]) -> None:
        self._sets = code_sets
        self._files = CodeFiles(tuple(dict.fromkeys(f.path for s in code_sets for f in s.files)))
        self._ranges: dict[int, dict[CodeFile, Ranges | None]] = {}

    def holds(self, context: Context, address: int, number: int) -> bool:
        """Whether the byte at an address is code of a set."""
        self._files.refresh(context.pid())
        place = self._files.locate(context.pid(), address & _MASK)
        return place is not None and self._has(number, *place)

    def is_active(self, context: Context, number: int) -> bool | None:
        """Whether a function of a set is active in the thread, the probed one included; None: the stack does not tell."""
        if self._is_own(context, number):
            return True
        addresses, is_cut = context.walk(MOST_FRAMES, kept=False)
        if not addresses:  # a process that lives already: nothing of its stack is known
            return None
        pid = context.pid()
        self._files.refresh(pid)
        for i, address in enumerate(addresses):
            place = self._files.locate(pid, (address & _MASK) - (i > 0))
            if place is not None and self._has(number, *place):
                return True
        return None if is_cut else False

    def _is_own(self, context: Context, number: int) -> bool:
        site = context.site()
        if site is None:
            return False
        path, offset = site
        return any(
            file.path == path and (file.ranges is None or _lies_in(file.ranges, offset))
            for file in self._sets[number].files
        )

    def _has(self, number: int, file: CodeFile, offset: int) -> bool:
        ranges = self._of_set(number).get(file, ())
        return ranges is None or _lies_in(ranges, offset)

    def _of_set(self, number: int) -> dict[CodeFile, Ranges | None]:
        """By file, under whatever name a process has it."""
        known = self._ranges.get(number)
        if known is None:
            known = self._ranges[number] = {}
            for file in self._sets[number].files:
                same = self._same_file(file.path)
                if same is not None:
                    known[same] = file.ranges
        return known

    def _same_file(self, path: str) -> CodeFile | None:
        try:
            status = os.stat(path)
        except OSError:
            return None
        return self._files.with_identity((status.st_dev, status.st_ino)) or self._files.at_path(path)


def _lies_in(ranges: Ranges, offset: int) -> bool:
    index = bisect_right(ranges, offset, key=lambda r: r[0]) - 1
    return index >= 0 and offset < ranges[index][1]
