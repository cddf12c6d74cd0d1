"""Setting the probes of a loaded object, each failure told by the probe's name.

attachments = attach_probes(loaded)      state STARTING: programs run and return at once
attachments.close()                      and none runs any more when it returns
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
from collections.abc import Sequence
from typing import TypeAlias

from probelang.artifact.manifest import Manifest, ProbeSpec, ProgramSpec
from probelang.artifact.points import FunctionPoint, ProfilePoint
from probelang.diag import CompileError, Diagnostic
from probelang.runtime.attach import (
    Attachment,
    attach_clock,
    attach_function_entry,
    attach_sites,
    attach_tracepoint,
    run_iterator,
)
from probelang.runtime.load import Loaded, enters_function
from probelang.runtime.targets import EXIT_PROGRAM, FORK_PROGRAM
from probelang.runtime.timers import TICK_HZ

_NOT_SUPPORTED = 524  # ENOTSUPP, which the kernel keeps to itself elsewhere
_PARALLEL_FROM, _CLOSING_THREADS = 3, 32
_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}.get(platform.machine(), 283)
_MEMBARRIER_GLOBAL = 1

Semaphores: TypeAlias = dict[str, dict[int, int]]
"""Path -> offset of a mark -> offset of its counter."""


class Attachments:
    """All probes of a session. `iterators`: programs to run once over the processes that live already. `must_wait`:
    detaching does not wait by itself until the programs have ended (that of uprobes does)."""

    def __init__(self) -> None:
        self.held: list[Attachment] = []
        self.iterators: list[int] = []
        self.must_wait = False

    def run_iterators(self) -> None:
        for fd in self.iterators:
            run_iterator(fd)

    def close(self) -> None:
        """Detaches. Programs that are still running have ended when this returns."""
        held, self.held = self.held, []
        fds = [fd for attachment in held for fd in attachment.fds]
        if len(fds) < _PARALLEL_FROM:
            for attachment in reversed(held):
                attachment.close()
        else:
            _close_together(fds)
        if self.must_wait:
            wait_for_programs()
            self.must_wait = False


def _close_together(fds: list[int]) -> None:
    """Each waits until its program runs nowhere any more, and all can wait at the same time."""
    from threading import Thread

    def close_some(first: int) -> None:
        for fd in fds[first::_CLOSING_THREADS]:
            os.close(fd)

    threads = [Thread(target=close_some, args=(i,)) for i in range(min(_CLOSING_THREADS, len(fds)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_for_programs() -> None:
    """Until every program that ran when this was called has ended: membarrier's global command is synchronize_rcu()."""
    ctypes.CDLL(None).syscall(_SYS_MEMBARRIER, _MEMBARRIER_GLOBAL, 0, 0)


def attach_probes(loaded: Loaded) -> Attachments:
    """Raises CompileError with everything that failed."""
    attachments = Attachments()
    programs = {p.symbol: p for p in loaded.manifest.programs}
    failures: list[Diagnostic] = []
    semaphores = _semaphores(loaded.manifest)
    if "uprobe_multi" not in loaded.features:
        _allow_more_files()
    try:
        _follow(attachments, loaded, programs.get(FORK_PROGRAM))
        _follow(attachments, loaded, programs.get(EXIT_PROGRAM))
        for probe in _in_order(loaded.manifest.probes):
            for symbol in probe.programs:
                try:
                    _attach(attachments, loaded, probe, programs[symbol], semaphores)
                except OSError as error:
                    failures.append(_failure(probe, error))
    except BaseException:
        attachments.close()
        raise
    if failures:
        attachments.close()
        raise CompileError(failures[::-1])
    return attachments


def _in_order(probes: Sequence[ProbeSpec]) -> list[ProbeSpec]:
    """So that those of one place run as the script has them: the kernel runs the latest uprobe first (consumer_add in
    kernel/events/uprobes.c), and tracepoints in the order in which they were attached."""
    is_uprobe = [isinstance(probe.point, FunctionPoint) for probe in probes]
    others = [probe for probe, other in zip(probes, is_uprobe, strict=True) if not other]
    return others + [probe for probe, own in zip(probes, is_uprobe, strict=True) if own][::-1]


def _follow(attachments: Attachments, loaded: Loaded, program: ProgramSpec | None) -> None:
    if program is not None and program.symbol in loaded.programs:
        attachments.held.append(attach_tracepoint(loaded.programs[program.symbol], program.tracepoint))


def _attach(
    attachments: Attachments, loaded: Loaded, probe: ProbeSpec, program: ProgramSpec, semaphores: Semaphores
) -> None:
    fd = loaded.programs[program.symbol]
    link = "perf_link" in loaded.features
    attachments.must_wait |= program.kind != "uprobe"
    match program.kind:
        case "uprobe":
            assert isinstance(probe.point, FunctionPoint)
            attachments.held.append(_attach_function(loaded, fd, program, probe.point, semaphores))
        case "raw_tracepoint" if enters_function(program, loaded.features):
            attachments.held.append(attach_function_entry(fd))
        case "raw_tracepoint":
            attachments.held.append(attach_tracepoint(fd, program.tracepoint))
        case "perf_event":
            assert isinstance(probe.point, ProfilePoint)
            hertz = probe.point.frequency_hz or TICK_HZ
            attachments.held.append(attach_clock(fd, hertz, perf_link=link))
        case "iter_task":
            attachments.iterators.append(fd)
        case "host":
            pass


def _attach_function(
    loaded: Loaded, fd: int, program: ProgramSpec, point: FunctionPoint, semaphores: Semaphores
) -> Attachment:
    # several instructions may be the return of one function: its program wants to know how far from the entry each stands
    places = [
        (offset, number | ((offset - site.offset) & 0xFFFFFFFF) << 32)
        for number, site in enumerate(point.sites)
        for offset in (site.returns if point.at_returns else (site.offset,))
    ]
    counters = semaphores.get(point.binary.path, {})
    return attach_sites(
        fd,
        point.binary.path,
        [offset for offset, _ in places],
        [cookie for _, cookie in places],
        point.pid or 0,
        point.is_return and not point.at_returns,
        multi="uprobe_multi" in loaded.features,
        perf_link="perf_link" in loaded.features,
        semaphores=[counters.get(offset, 0) for offset, _ in places] if counters else [],
        session=program.session,
    )


def _semaphores(manifest: Manifest) -> Semaphores:
    """All probes of one place must say the same of its counter, those that know nothing of a mark there as well: the kernel
    refuses others (insert_uprobe in kernel/events/uprobes.c)."""
    found: dict[str, dict[int, int]] = {}
    for probe in manifest.probes:
        if isinstance(probe.point, FunctionPoint):
            marks = {site.offset: site.semaphore for site in probe.point.sites if site.semaphore}
            if marks:
                found.setdefault(probe.point.binary.path, {}).update(marks)
    return found


def _allow_more_files() -> None:
    """Without multi-uprobes a site takes two file descriptors."""
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _failure(probe: ProbeSpec, error: OSError) -> Diagnostic:
    from probelang.diag.runtime import AttachFailed, NotPermitted, ProbedFileMissing, TooManyProbes

    point = probe.point
    count = len(point.sites) if isinstance(point, FunctionPoint) else 1
    match error.errno:
        case errno.EMFILE | errno.ENFILE | errno.E2BIG:
            return TooManyProbes(probe=probe.name, count=count)
        case errno.EPERM | errno.EACCES:
            return NotPermitted(action=f"set the probe `{probe.name}`")
        case errno.ENOENT if isinstance(point, FunctionPoint):
            return ProbedFileMissing(path=point.binary.path)
        case errno.ESRCH:
            return AttachFailed(probe=probe.name, reason="the process has ended")
        case number if number == _NOT_SUPPORTED:
            return AttachFailed(probe=probe.name, reason="the kernel cannot probe the instruction there")
        case errno.EINVAL if isinstance(point, FunctionPoint) and any(s.semaphore for s in point.sites):
            reason = "another tracer probes one of its places without raising the counter of the mark there"
            return AttachFailed(probe=probe.name, reason=reason)
        case _:
            return AttachFailed(probe=probe.name, reason=str(error.strerror).lower())
