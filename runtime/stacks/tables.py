"""Tables of unwind rows for files of code: made at once, or by a thread while the session goes on.

    maker = TableMaker()
    maker.make(file)         ->  UnwindTable(rows, framed)
    maker.ask(file); ...     maker.ready()  ->  [(file, UnwindTable(...))]

A table of a large file takes a second the first time (later ones come from disk): so long nobody shall wait. The thread is a daemon, and
what it makes is taken over by the session's own thread, so ending needs not wait either.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from probelang.dwarf.image import BinaryError
from probelang.dwarf.unwind import UnwindTable, cached_unwind_table, unwind_table_of_memory
from probelang.runtime.stacks.codefiles import CodeFile
from probelang.runtime.stacks.vdso import read_vdso

Table = UnwindTable
_NONE = UnwindTable(b"", False)


def make_table(file: CodeFile) -> UnwindTable:
    """Empty where the file cannot be read, or says nothing."""
    try:
        if file.is_vdso:
            return unwind_table_of_memory(read_vdso())
        return _NONE if file.path is None else cached_unwind_table(file.path)
    except BinaryError:
        return _NONE


class TableCache:
    """Of files that are asked about again and again, by handlers that run in this process."""

    def __init__(self) -> None:
        self._made: dict[CodeFile, UnwindTable] = {}

    def of(self, file: CodeFile) -> UnwindTable:
        known = self._made.get(file)
        if known is None:
            known = self._made[file] = make_table(file)
        return known


class TableMaker:
    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[CodeFile | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[CodeFile, UnwindTable]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._left = 0

    def make(self, file: CodeFile) -> UnwindTable:
        return make_table(file)

    def ask(self, file: CodeFile) -> None:
        """`ready` gives it some time later."""
        self._left += 1
        self._asked.put(file)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="unwind rows", daemon=True)
            self._thread.start()

    def ready(self) -> Iterator[tuple[CodeFile, UnwindTable]]:
        while True:
            try:
                made = self._made.get_nowait()
            except queue.Empty:
                return
            self._left -= 1
            yield made

    def wait(self) -> None:
        """Until all that was asked for is ready."""
        waiting = [self._made.get() for _ in range(self._left)]
        for made in waiting:
            self._made.put(made)

    def _run(self) -> None:
        while not self._is_closed:
            file = self._asked.get()
            if file is None:
                return
            self._made.put((file, make_table(file)))

    def close(self) -> None:
        """Does not wait for what is being made."""
        self._is_closed = True
        self._asked.put(None)
