"""The script's probes as a tracer needs them: handlers by event, and sites by file.

    probes = compile_probes(manifest, half, unwinder)
    probes.sites_in(process, mappings)         ->  {0x55d0c1a01136: (EntrySite(...),), ...}
    probes.begin[0].run_for(process, ...)

A file is recognised by device and inode, under whatever name a process has mapped it.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from probelang.artifact.code import Block
from probelang.artifact.manifest import Manifest, ProbeSpec
from probelang.artifact.points import FunctionPoint, ProcessPoint, ProfilePoint, SyscallPoint
from probelang.runtime.mappings import Mapping
from probelang.runtime.ptrace.context import HitContext, Texts
from probelang.runtime.ptrace.machine import Machine, Registers
from probelang.runtime.ptrace.sites import CallSite, EntrySite, Probe, Site
from probelang.runtime.ptrace.unwinder import Unwinder
from probelang.runtime.timers import TICK_HZ
from probelang.runtime.userhalf import UserHalf

if TYPE_CHECKING:
    from probelang.runtime.evaluate.context import Context
    from probelang.runtime.ptrace.tracee import Process, Thread

FileId: TypeAlias = tuple[int, int]
CODE_BYTES = 1 << 16  # of a function, looked through for a jump to its entry


@dataclass(frozen=True, slots=True)
class EventProbe:
    """A probe of an event that has no place in the program."""

    probe: Probe
    texts: Texts

    def run(
        self,
        machine: Machine,
        thread: Thread,
        registers: Registers | None,
        syscall: bool = False,
        sampled: bool = False,
    ) -> None:
        if self.probe.is_for(thread.process):
            process = thread.process
            context = HitContext(
                self.texts, thread.task, process.memory, machine, registers, 0, syscall, sampled,
                space=process.space, unwinder=self.probe.unwinder,
            )  # fmt: skip
            self.probe.run(context)


@dataclass(slots=True)
class Places:
    """The sites in one file, by offset; `semaphores` likewise, of its marks."""

    entries: dict[int, list[EntrySite]] = field(default_factory=dict[int, list[EntrySite]])
    returns: dict[int, list[EntrySite]] = field(default_factory=dict[int, list[EntrySite]])
    ordered: list[int] = field(default_factory=list[int])
    semaphores: dict[int, list[Probe]] = field(default_factory=dict[int, "list[Probe]"])
    made: dict[tuple[int, tuple[EntrySite, ...]], CallSite] = field(
        default_factory=dict[tuple[int, "tuple[EntrySite, ...]"], CallSite]
    )

    def offsets_from(self, first: int, end: int) -> Iterator[int]:
        """Ascending, of sites in one part of the file."""
        if not self.ordered:
            self.ordered = sorted({*self.entries, *self.returns})
        for i in range(bisect_left(self.ordered, first), len(self.ordered)):
            if self.ordered[i] >= end:
                return
            yield self.ordered[i]


@dataclass(slots=True)
class Probes:
    """All probes of a script. The lists are in the order of the script. `profile`: with the period in ns. `files`: what is known of names in /proc/PID/maps."""

    places: dict[FileId, Places] = field(default_factory=dict[FileId, Places])
    begin: list[EventProbe] = field(default_factory=list[EventProbe])
    end: list[EventProbe] = field(default_factory=list[EventProbe])
    thread_begin: list[EventProbe] = field(default_factory=list[EventProbe])
    thread_end: list[EventProbe] = field(default_factory=list[EventProbe])
    syscall: list[EventProbe] = field(default_factory=list[EventProbe])
    syscall_return: list[EventProbe] = field(default_factory=list[EventProbe])
    profile: list[tuple[int, EventProbe]] = field(default_factory=list[tuple[int, EventProbe]])
    files: dict[tuple[str, FileId], FileId] = field(default_factory=dict[tuple[str, FileId], FileId])

    def traces_syscalls(self, process: Process) -> bool:
        return any(p.probe.is_for(process) for p in (*self.syscall, *self.syscall_return))

    def sites_in(self, process: Process, mappings: list[Mapping]) -> dict[int, tuple[Site, ...]]:
        """All sites in the memory of a process, by address."""
        found: dict[int, tuple[Site, ...]] = {}
        for mapping in mappings:
            if not mapping.executable or not mapping.path.startswith("/"):
                continue
            places = self.places.get(self._file_of(process.pid, mapping))
            if places is not None:
                _add_sites(found, process, mapping, places)
        return found

    def semaphores_in(self, process: Process, mappings: list[Mapping]) -> set[int]:
        """Addresses of the counters that the marks in the memory of a process want raised."""
        found: set[int] = set()
        if not any(places.semaphores for places in self.places.values()):
            return found
        for mapping in mappings:
            if not mapping.writable or not mapping.path.startswith("/"):
                continue
            places = self.places.get(self._file_of(process.pid, mapping))
            if places is not None:
                end = mapping.offset + mapping.end - mapping.start
                found.update(
                    mapping.start + offset - mapping.offset
                    for offset, probes in places.semaphores.items()
                    if mapping.offset <= offset < end and any(p.is_for(process) for p in probes)
                )
        return found

    def _file_of(self, pid: int, mapping: Mapping) -> FileId:
        """What stat() says of the mapped file: /proc/PID/maps may show other numbers (overlayfs, btrfs)."""
        key = (mapping.path, mapping.file)
        found = self.files.get(key)
        if found is None:
            found = file_id(f"/proc/{pid}/root{mapping.path}") or file_id(mapping.path) or mapping.file
            self.files[key] = found
        return found


def _add_sites(
    found: dict[int, tuple[Site, ...]], process: Process, mapping: Mapping, places: Places
) -> None:
    end = mapping.offset + mapping.end - mapping.start
    for offset in places.offsets_from(mapping.offset, end):
        address = mapping.start + offset - mapping.offset
        entries = [s for s in places.entries.get(offset, ()) if s.probe.is_for(process)]
        returns = tuple(s for s in places.returns.get(offset, ()) if s.probe.is_for(process))
        sites: tuple[Site, ...] = tuple(entries)
        if returns:
            sites = (*sites, _call_site(process, places, offset, returns, address))
        if sites:
            found[address] = sites


def _call_site(
    process: Process, places: Places, offset: int, returns: tuple[EntrySite, ...], address: int
) -> CallSite:
    key = (offset, returns)
    site = places.made.get(key)
    if site is None:
        site = places.made[key] = CallSite(returns, _jumps_to_entry(process, address))
    return site


def _jumps_to_entry(process: Process, address: int) -> bool:
    machine = process.space.machine
    for size in (CODE_BYTES, 4096 - address % 4096):
        try:
            return machine.jumps_to_entry(process.space.memory.peek(address, size), address)
        except OSError:
            continue
    return False


def _does_nothing(spec: ProbeSpec) -> bool:
    handler = spec.handler
    return spec.before is None and handler is not None and handler.when is None and handler.body == Block(())


def file_id(path: str) -> FileId | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def compile_probes(manifest: Manifest, half: UserHalf, unwinder: Unwinder) -> Probes:
    """Handlers are compiled when they are first hit: a script may name thousands of places and hit three."""
    probes = Probes()
    for number, spec in enumerate(manifest.probes):
        name = os.fsencode(spec.name)
        match spec.point:
            case FunctionPoint(binary=binary, sites=sites, is_return=is_return, pid=pid, executable=path):
                if is_return and _does_nothing(spec):
                    continue  # it hooks returns for `within`, which is told by unwinding here
                probe = _probe(half, number, pid, path, unwinder)
                file = file_id(binary.path)
                if file is None:
                    continue
                places = probes.places.setdefault(file, Places())
                leaves = spec.point.at_returns
                by_offset = places.returns if is_return and not leaves else places.entries
                for place, site in enumerate(sites):
                    where = binary.path, site.offset
                    texts = Texts(
                        os.fsencode(site.point), os.fsencode(site.function), name, is_return, place, where
                    )
                    for offset in site.returns if leaves else (site.offset,):
                        by_offset.setdefault(offset, []).append(EntrySite(probe, texts, leaves))
                    if site.semaphore:
                        places.semaphores.setdefault(site.semaphore, []).append(probe)
            case ProcessPoint(event=event, executable=path, pid=pid, point=point):
                texts = Texts(os.fsencode(point), b"", name, False)
                found = {
                    "begin": probes.begin,
                    "end": probes.end,
                    "thread.begin": probes.thread_begin,
                    "thread.end": probes.thread_end,
                }[event]
                found.append(EventProbe(_probe(half, number, pid, path, unwinder), texts))
            case SyscallPoint(is_return=is_return, executable=path, pid=pid, point=point):
                texts = Texts(os.fsencode(point), b"", name, is_return)
                found = probes.syscall_return if is_return else probes.syscall
                found.append(EventProbe(_probe(half, number, pid, path, unwinder), texts))
            case ProfilePoint(frequency_hz=hertz):
                texts = Texts(name, b"", name, False)
                period_ns = 1_000_000_000 // (hertz or TICK_HZ)
                probes.profile.append(
                    (period_ns, EventProbe(_probe(half, number, None, None, unwinder), texts))
                )
            case _:
                pass
    return probes


def _probe(half: UserHalf, number: int, pid: int | None, executable: str | None, unwinder: Unwinder) -> Probe:
    # a program that is not there cannot be run either
    file = (file_id(executable) or (0, 0)) if executable is not None else None
    probe = Probe(_unused, pid, file, unwinder)
    probe.run = _compile_at_first(half, number, probe)
    if half.has_entry_handler(number):
        probe.before = _compile_entry_at_first(half, number, probe)
    return probe


def _compile_at_first(half: UserHalf, number: int, probe: Probe) -> Callable[[Context], None]:
    def run(context: Context) -> None:
        probe.run = half.process_handler(number)
        probe.run(context)

    return run


def _compile_entry_at_first(half: UserHalf, number: int, probe: Probe) -> Callable[[Context], None]:
    def run(context: Context) -> None:
        probe.before = half.entry_handler(number)
        probe.before(context)

    return run


def _unused(context: Context) -> None: ...
