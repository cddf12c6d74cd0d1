"""The file that a program in the kernel has met: it tells an inode, and where a process has mapped it; which file is that?

    finder.find(Met(number=9, inode=0xffff8881023f5a40, identity=(dev, 339380), start=0x7f31c2a00000, pid=4711))
    ->  ("/usr/lib/x86_64-linux-gnu/libc.so.6", Held(...))

The process says it best, in /proc/PID/maps, while it lives. Of one that has ended, as most shell commands have at once, the file is looked
for where other processes have it, then where programs and libraries lie, by the number of its inode. Whatever is found must have the very
inode that was told, so a wrong file is never taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from probelang.runtime.mappings import mappings_in, read_mappings
from probelang.runtime.stacks.codefiles import CodeFiles, hold_mapping
from probelang.runtime.stacks.held import Held, hold

_DEVICE_BITS = 20  # of the minor number in the kernel's dev_t
_FOLDERS = (
    "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/libexec",
    "/usr/local/lib", "/bin", "/sbin", "/lib/x86_64-linux-gnu", "/lib64", "/lib",
)  # fmt: skip
_MASK = (1 << 64) - 1
Found = tuple[str, "Held | None"]


@dataclass(frozen=True, slots=True)
class Met:
    """What a record tells. `inode`: the kernel's pointer. `identity`: device and inode as user space counts them. `start`: where process
    `pid` has mapped it."""

    number: int
    inode: int
    identity: tuple[int, int]
    start: int
    pid: int


def read_met(told: Sequence[int]) -> Met:
    """The longs of a record `code_file`."""
    number, inode, identity, device, start, _, pid = (value & _MASK for value in told)
    major, minor = device >> _DEVICE_BITS, device & (1 << _DEVICE_BITS) - 1
    return Met(number, inode, (os.makedev(major, minor), identity), start, pid)


class FileFinder:
    """`inode_of`: the kernel's pointer of a held file. `folders`: where programs may lie besides the usual places."""

    def __init__(self, files: CodeFiles, inode_of: Callable[[Held], int], folders: Sequence[str]) -> None:
        self._files = files
        self._inode_of = inode_of
        self._folders = list(dict.fromkeys((*_FOLDERS, *_path_folders(), *folders)))
        self._names: dict[int, list[str]] | None = None

    def find(self, met: Met) -> Found:
        """The path as people know it. None of a file that is found nowhere; its name is a number then."""
        for mapping in read_mappings(met.pid):
            if mapping.start <= met.start < mapping.end and mapping.path.startswith("/"):
                return mapping.path.removesuffix(" (deleted)"), hold_mapping(met.pid, mapping)
        known = self._files.with_inode(met.inode) or self._files.with_identity(met.identity)
        if known is not None and known.inode in (0, met.inode):
            return known.shown, known.held
        for held in self._candidates(met):
            if self._inode_of(held) == met.inode:
                return held.shown, held
            held.close()
        return f"[inode {met.identity[1]}]", None

    def _candidates(self, met: Met) -> Iterator[Held]:
        yield from self._of_processes(met)
        for path in self._by_number().get(met.identity[1], ()):
            held = hold(path)
            if held is not None:
                yield held

    def _of_processes(self, met: Met) -> Iterator[Held]:
        """Where others that live have mapped a file of this number."""
        wanted = b" %d " % met.identity[1]
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/maps", "rb") as f:
                    text = f.read()
            except OSError:
                continue
            if wanted in text:
                for mapping in mappings_in(text):
                    if mapping.file[1] == met.identity[1] and mapping.path.startswith("/"):
                        held = hold_mapping(int(name), mapping)
                        if held is not None:
                            yield held
                            break

    def _by_number(self) -> dict[int, list[str]]:
        """What lies in the usual places."""
        if self._names is None:
            self._names = {}
            for folder in self._folders:
                try:
                    with os.scandir(folder) as entries:
                        for entry in entries:
                            self._names.setdefault(entry.inode(), []).append(entry.path)
                except OSError:
                    continue
        return self._names


def _path_folders() -> list[str]:
    return [folder for folder in os.environ.get("PATH", "").split(":") if folder.startswith("/")]
