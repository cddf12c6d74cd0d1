"""The files whose code a session knows, by the numbers that stand in frames.

    files = CodeFiles(manifest.code_files)
    files.numbered(1)                     ->  CodeFile(1, "/usr/bin/x", ...)
    files.locate(4711, 0x55d0c1a01149)    ->  (CodeFile(1, "/usr/bin/x", ...), 0x1149)

Those that are named at compile time come first, then the vdso, then what is met. Each is held (see `held.py`), so that a frame says the same as
long as the session lives, whatever happens to processes and file systems.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from probelang.artifact.stacks import FILE_SHIFT
from probelang.runtime.mappings import Mapping, mapping_of, mappings_in, read_mappings
from probelang.runtime.stacks.held import Held, hold

VDSO = "[vdso]"
VDSO_KEY = 1
"""In the map `code_files`, where others have the pointer to their inode."""
_KEPT_NUMBERS = 4096
Identity: TypeAlias = tuple[int, int]
"""Device and inode, as /proc/PID/maps says."""


@dataclass(slots=True, eq=False)
class CodeFile:
    """`shown`: its path as people know it. `held` None: it could not be opened. `inode`: the kernel's pointer, 0 where that is not known.
    `identities`: under which it was seen in processes."""

    number: int
    shown: str
    held: Held | None
    inode: int = 0

    @property
    def is_vdso(self) -> bool:
        return self.shown == VDSO

    @property
    def path(self) -> str | None:
        """What opens it; None where nothing does."""
        return None if self.held is None else self.held.path

    @property
    def name(self) -> str:
        """Without folders."""
        return os.path.basename(self.shown)

    def frame(self, offset: int) -> int:
        return self.number << FILE_SHIFT | offset


class CodeFiles:
    """`named`: what the manifest numbers."""

    def __init__(self, named: tuple[str, ...] = ()) -> None:
        self._by_number: dict[int, CodeFile] = {}
        self._by_inode: dict[int, CodeFile] = {}
        self._by_path: dict[str, CodeFile] = {}
        self._by_identity: dict[Identity, CodeFile] = {}
        self._mappings: dict[int, list[Mapping]] = {}
        self._texts: dict[int, bytes] = {}
        self._is_sealed = False
        self._kept: Iterator[int] = iter(())
        for path in named:
            self.add(path, hold(path))
        self.vdso = self.add(VDSO, None, VDSO_KEY)

    def close(self) -> None:
        for file in {*self._by_number.values(), *self._by_identity.values()}:
            if file.held is not None:
                file.held.close()

    @property
    def next_number(self) -> int:
        return len(self._by_number) + 1

    def all(self) -> tuple[CodeFile, ...]:
        return tuple(self._by_number.values())

    def seal(self) -> int:
        """From now on programs give numbers, from the one that is returned; a few are kept for files that this side meets first, and when
        they are used up such files get 0."""
        self._kept = iter(range(self.next_number, self.next_number + _KEPT_NUMBERS))
        self._is_sealed = True
        return self.next_number + _KEPT_NUMBERS

    def add(self, shown: str, held: Held | None, inode: int = 0, number: int | None = None) -> CodeFile:
        """`number`: what a program has given it; without, the next one."""
        if number is None:
            number = next(self._kept, 0) if self._is_sealed else self.next_number
        file = CodeFile(number, shown, held, inode)
        if number:
            self._by_number[number] = file
        self._by_path.setdefault(shown, file)
        if held is not None:
            self._by_identity.setdefault(held.identity[:2], file)
        if inode:
            self._by_inode.setdefault(inode, file)
        return file

    def note_inode(self, file: CodeFile, inode: int) -> None:
        file.inode = inode
        if inode:
            self._by_inode.setdefault(inode, file)

    def numbered(self, number: int) -> CodeFile | None:
        return self._by_number.get(number)

    def at_path(self, path: str) -> CodeFile | None:
        return self._by_path.get(path)

    def with_inode(self, inode: int) -> CodeFile | None:
        return self._by_inode.get(inode)

    def with_identity(self, identity: Identity) -> CodeFile | None:
        return self._by_identity.get(identity)

    # ------------------------------------------------------------------------------------------ of processes

    def locate(self, pid: int, address: int) -> tuple[CodeFile, int] | None:
        """File and offset in it of an address in a process; None where no file has it, or nothing is known of the process."""
        mapping = self.mapping(pid, address)
        if mapping is None:
            return None
        file = self.of_mapping(pid, mapping)
        return None if file is None else (file, address - mapping.start + mapping.offset)

    def mapping(self, pid: int, address: int) -> Mapping | None:
        known = self._mappings.get(pid, [])
        found = mapping_of(known, address)
        # the process may have opened a library since; of one that has ended nothing new is known
        return mapping_of(self.mappings(pid), address) if found is None else found

    def mappings(self, pid: int) -> list[Mapping]:
        """As they are now; of a process that has ended, as they were when it was last asked about."""
        self.refresh(pid)
        return self._mappings.get(pid, [])

    def note_process(self, pid: int) -> None:
        """Holds what a process has mapped as code, as it may soon be gone."""
        for mapping in self.mappings(pid):
            if mapping.executable:
                self.of_mapping(pid, mapping)

    def refresh(self, pid: int) -> None:
        """Looks at what is mapped in a process now, where that matters."""
        try:
            with open(f"/proc/{pid}/maps", "rb") as f:
                text = f.read()
        except OSError:
            return
        if text and text != self._texts.get(pid):
            self._texts[pid] = text
            self._mappings[pid] = mappings_in(text)

    def of_mapping(self, pid: int, mapping: Mapping) -> CodeFile | None:
        """The file of a mapping, which gets a number if it has none."""
        if mapping.path == VDSO:
            return self.vdso
        if mapping.file == (0, 0) or not mapping.path.startswith("/"):
            return None
        known = self._by_identity.get(mapping.file) or self._reached(mapping)
        if known is None:
            held = hold_mapping(pid, mapping)
            known = self.add(mapping.path.removesuffix(" (deleted)"), held)
        self._by_identity[mapping.file] = known
        return known

    def _reached(self, mapping: Mapping) -> CodeFile | None:
        """/proc/PID/maps has numbers of its own on overlayfs and btrfs: there it must say the same of the page that we hold."""
        known = self._by_path.get(mapping.path)
        if known is None or known.held is None:
            return None
        own = mapping_of(read_mappings(os.getpid()), known.held.address)
        return known if own is not None and own.file == mapping.file else None


def hold_mapping(pid: int, mapping: Mapping) -> Held | None:
    """The very file that a process has mapped, also of another mount namespace, or that has no name any more."""
    shown = mapping.path.removesuffix(" (deleted)")
    exact = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
    return hold(exact, shown) or hold(f"/proc/{pid}/root{shown}", shown) or _hold_same(mapping)


def _hold_same(mapping: Mapping) -> Held | None:
    """The process has ended: its file, if that still has the name and is the one."""
    held = hold(mapping.path)
    if held is not None and held.identity[:2] != mapping.file:
        held.close()
        return None
    return held
