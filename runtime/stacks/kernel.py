"""What programs in the kernel need to know of files of code, and what they tell of files that they meet.

    code = KernelCode(manifest, options)            before the object is loaded
    load_object(..., values=code.values(), value_sizes=code.value_sizes())
    code.fill(loaded)                               before programs run: `code_files`, `unwind_rows`
    code.met((number, inode, ...))                  a record: a program has met a file that it did not know
    code.work()                                     now and then: rows that are ready go into the map

Nothing of it is imported by a script that asks neither for callers nor for stacks.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from probelang.artifact.manifest import Manifest
from probelang.artifact.points import FunctionPoint
from probelang.artifact.stacks import UNWIND_ROW
from probelang.diag import CompileError
from probelang.diag.runtime import RunFailed
from probelang.runtime import bpf
from probelang.runtime.kernelbtf import UnknownKernelFact
from probelang.runtime.load import Loaded
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.stacks.codefiles import VDSO_KEY, CodeFile, CodeFiles
from probelang.runtime.stacks.held import Held, hold
from probelang.runtime.stacks.inodes import InodeReader
from probelang.runtime.stacks.libraries import mapped_with, needed_files, programs_named
from probelang.runtime.stacks.meeting import FileFinder, read_met
from probelang.runtime.stacks.perfmaps import PerfMaps
from probelang.runtime.stacks.rows import RowMap, rows_for
from probelang.runtime.stacks.table import KernelStacks
from probelang.runtime.stacks.tables import Table, TableMaker
from probelang.runtime.targets import descendants

FILES_MAP, ROWS_MAP, STACKS_MAP = "code_files", "unwind_rows", "stacks"
MASK, MAPPED_INODE, OPENED_INODE = "run:unwind_mask", "inode:", "exe_inode:"
_FIRST_LOOK_S, _LOOK_EVERY_S, _LOOK_SHARE = 0.05, 1.0, 50
_VALUE = struct.Struct("<IIIIQQ")
_HAS_ROWS, _FRAMED, _NO_ROWS = 1, 2, 4
_FILE_BYTES_A_ROW = 64


class KernelCode:
    """`target_pid`: the process of -c or -x, 0 without. Raises CompileError where this kernel has no way to tell files apart."""

    def __init__(self, manifest: Manifest, options: RunOptions, target_pid: int = 0) -> None:
        self._manifest = manifest
        self._target_pid = target_pid
        self._maps = {spec.name for spec in manifest.maps}
        self._reader = _make_reader(options) if self._asks_for_inodes() else None
        self.files = CodeFiles(manifest.code_files)
        self.stacks: KernelStacks | None = None
        self.perf_maps = PerfMaps()
        self._next_look_s = 0.0
        self._look_every_s = _FIRST_LOOK_S
        self._constants: dict[str, int] = {}
        self._files_fd = -1
        self._tables = TableMaker()
        self._rows: RowMap | None = None
        self._is_full = False
        self._ready: list[tuple[CodeFile, Table]] = []
        try:
            self._learn(options)
        except OSError as error:
            self.close()
            raise CompileError([_refusal(error)]) from None
        folders = [os.path.dirname(file.shown) for file in self.files.all() if not file.is_vdso]
        self._finder = FileFinder(self.files, self._inode, folders)
        if ROWS_MAP in self._maps:
            self._make_first_tables()

    def _asks_for_inodes(self) -> bool:
        names = (constant.name for constant in self._manifest.constants)
        return FILES_MAP in self._maps or any(n.startswith((MAPPED_INODE, OPENED_INODE)) for n in names)

    def _inode(self, held: Held) -> int:
        return 0 if self._reader is None else self._reader.at(held.address)

    def _learn(self, options: RunOptions) -> None:
        if ROWS_MAP in self._maps:
            for path in (*self._probed(), *programs_named(options.command or ())):
                self._add_needed(path)
            self._first = len(self.files.all())
            self._add_mapped(_living(options))
        for file in self.files.all():
            if file.held is not None:
                self.files.note_inode(file, self._inode(file.held))
        for constant in self._manifest.constants:
            kind, _, path = constant.name.partition(":")
            if self._reader is not None and constant.name.startswith((MAPPED_INODE, OPENED_INODE)):
                read = self._reader.opened if kind == "exe_inode" else self._reader.mapped
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                try:
                    self._constants[constant.name] = read(fd)
                finally:
                    os.close(fd)

    # --------------------------------------------------------------------------------------- what is known

    def _probed(self) -> list[str]:
        points = [p.point for p in self._manifest.probes]
        paths = [p.binary.path for p in points if isinstance(p, FunctionPoint)]
        return list(dict.fromkeys([*paths, *self._manifest.code_files]))

    def _add_needed(self, path: str) -> list[CodeFile]:
        """A file and its libraries: those that were not known."""
        return [file for name in needed_files(path) if (file := self._add(name)) is not None]

    def _add(self, path: str) -> CodeFile | None:
        held = hold(path) if self.files.at_path(path) is None else None
        if held is None:
            return None
        if self.files.with_identity(held.identity[:2]) is not None:
            held.close()
            return None
        return self.files.add(path, held)

    def _add_mapped(self, pids: Sequence[int]) -> None:
        """What else processes have beside a probed file: its rows are made while the session runs."""
        for pid, mapping in mapped_with(self._probed(), pids):
            self.files.of_mapping(pid, mapping)

    def _make_first_tables(self) -> None:
        known = self.files.all()
        now, later = known[: self._first], known[self._first :]
        self._ready = [(file, self._tables.make(file)) for file in now]
        for file in later:
            self._tables.ask(file)
        count = sum(len(table.rows) for _, table in self._ready) // UNWIND_ROW.size
        # of the others only the size of the file is known: a row is made of about as many bytes of it
        size = sum(file.held.identity[2] for file in later if file.held is not None)
        self._rows = RowMap(rows_for(count + size // _FILE_BYTES_A_ROW))

    def values(self) -> dict[str, int]:
        """Constants of the object."""
        mask = {} if self._rows is None else {MASK: self._rows.capacity - 1}
        return mask | self._constants

    def value_sizes(self) -> dict[str, int]:
        """Of maps, in bytes."""
        return {} if self._rows is None else {ROWS_MAP: self._rows.size_bytes}

    def fill(self, loaded: Loaded) -> None:
        """Raises OSError."""
        if STACKS_MAP in loaded.maps:
            stacks = loaded.maps[STACKS_MAP]
            self.stacks = KernelStacks(stacks.fd, stacks.spec.max_entries)
        if FILES_MAP in loaded.maps:
            self._files_fd = loaded.maps[FILES_MAP].fd
            if self._rows is not None:
                self._rows.open(loaded.maps[ROWS_MAP].fd)
            tables = {id(file): table for file, table in self._ready}
            for file in self.files.all():
                self._tell(file, tables.get(id(file)))
            loaded.set_word("code_files_next", self.files.seal())
            self._ready = []

    def _tell(self, file: CodeFile, table: Table | None, flags_of_map: int = bpf.ANY) -> None:
        """Programs know the file from here on, and its rows."""
        key = VDSO_KEY if file.is_vdso else file.inode
        if not key or not file.number or self._files_fd < 0:
            return
        flags = first = count = 0
        if table is not None and not table.rows:
            flags = _NO_ROWS  # frame pointers are followed then; of a file not read yet, nothing is
        if table is not None and table.rows and self._rows is not None:
            place = self._rows.add(table.rows)
            if place is None:
                self._is_full = True
            else:
                flags, first = _HAS_ROWS | (_FRAMED if table.framed else 0), place
                count = len(table.rows) // UNWIND_ROW.size
        with suppress(OSError):  # the map is full, or a program has met the file meanwhile
            value = _VALUE.pack(file.number, flags, first, count, 0, 0)
            bpf.update(self._files_fd, struct.pack("<Q", key), value, flags_of_map)

    # ------------------------------------------------------------------------------------------- what is met

    def met(self, told: Sequence[int]) -> None:
        """A program has met a file: the longs of its record."""
        met = read_met(told)
        if self.files.numbered(met.number) is not None:
            return
        shown, held = self._finder.find(met)
        file = self.files.add(shown, held, met.inode, met.number)
        if self._rows is not None and held is not None:
            self._tables.ask(file)
            self._expect_libraries(held)

    def _expect_libraries(self, held: Held) -> None:
        """What a program brings with it will be met next: its rows are there by then."""
        for file in self._add_needed(held.path):
            if file.held is not None:
                self.files.note_inode(file, self._inode(file.held))
                self._tell(file, None, bpf.NOEXIST)
                self._tables.ask(file)

    def work(self) -> None:
        """Takes over tables that are ready, and what processes tell only while they live. Does not wait."""
        for file, table in self._tables.ready():
            self._tell(file, table)
        if time.monotonic() >= self._next_look_s:
            self._look_at_processes()

    def _look_at_processes(self) -> None:
        """Code that lies in no file is named by its process, and addresses of the target by what it has mapped: both may soon be gone."""
        start = time.monotonic()
        stacks = [] if self.stacks is None else self.stacks.read_new()
        for pid in {stack.pid for stack in stacks if stack.pid} | {self._target_pid} - {0}:
            self.files.note_process(pid)
            self.perf_maps.note(pid)
        now = time.monotonic()
        self._next_look_s = now + max(self._look_every_s, _LOOK_SHARE * (now - start))
        self._look_every_s = min(2 * self._look_every_s, _LOOK_EVERY_S)

    def settle(self) -> None:
        """Waits for the tables that were asked for."""
        self._tables.wait()
        self.work()

    def losses(self) -> list[str]:
        if self._is_full:
            return ["stacks through some files were cut short: there was no room for all unwind rows"]
        return []

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._tables.close()
        if self._rows is not None:
            self._rows.close()
        self.files.close()


def _living(options: RunOptions) -> Sequence[int]:
    """The processes that live already and may be hit."""
    if options.command is not None:
        return ()
    if options.pid is not None:
        return sorted(descendants(options.pid))
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _make_reader(options: RunOptions) -> InodeReader:
    try:
        return InodeReader(options.features)
    except (OSError, UnknownKernelFact) as error:
        raise CompileError([_refusal(error)]) from None


def _refusal(error: OSError | UnknownKernelFact) -> RunFailed:
    reason = str(error.strerror).lower() if isinstance(error, OSError) else f"it has no `{error.args[0]}`"
    return RunFailed(action="learn from the kernel which files have which inodes", reason=reason)
