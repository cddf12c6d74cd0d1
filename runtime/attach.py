"""Attaching programs: uprobes, tracepoints, the sampling clock, the task iterator.

    attachment = attach_sites(fd, "/bin/x", (0x1139, 0x1150), (0, 1), pid=0, is_return=False)
    attachment.close()

An attachment is a set of file descriptors: closing them, or dying, detaches.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from probelang.runtime import bpf, perf


@dataclass(slots=True)
class Attachment:
    """File descriptors in the order in which they were opened."""

    fds: list[int] = field(default_factory=list[int])

    def close(self) -> None:
        for fd in reversed(self.fds):
            os.close(fd)
        self.fds = []


def attach_sites(
    program_fd: int,
    path: str,
    offsets: Sequence[int],
    cookies: Sequence[int],
    pid: int = 0,
    is_return: bool = False,
    *,
    multi: bool = True,
    perf_link: bool = True,
    semaphores: Sequence[int] = (),
    session: bool = False,
) -> Attachment:
    """Sets a probe at each file offset with its cookie; `pid` 0: in every process. `multi` must be what the program was
    loaded for; otherwise one perf event a site, `perf_link` where it has cookies. `semaphores`: of marks, for each site the file
    offset of its counter or 0; empty: none has one. `session`: one program for entries and returns. Raises OSError."""
    if multi:
        kind = bpf.ATTACH_UPROBE_SESSION if session else bpf.ATTACH_UPROBE_MULTI
        hooks = is_return and not session
        return Attachment(
            [bpf.link_uprobe_multi(program_fd, path, offsets, cookies, pid, hooks, semaphores, kind)]
        )
    attachment = Attachment()
    try:
        for offset, cookie, counter in zip(offsets, cookies, semaphores or [0] * len(offsets), strict=True):
            event = perf.open_uprobe(path, offset, is_return=is_return, pid=pid or -1, counter=counter)
            attachment.fds.append(event)
            _join(attachment, event, program_fd, cookie, perf_link)
    except BaseException:
        attachment.close()
        raise
    return attachment


def _join(attachment: Attachment, event: int, program_fd: int, cookie: int, perf_link: bool) -> None:
    if perf_link:
        attachment.fds.append(bpf.link_perf_event(program_fd, event, cookie))
    else:
        perf.set_program(event, program_fd)
    perf.enable(event)


def attach_tracepoint(program_fd: int, name: str) -> Attachment:
    return Attachment([bpf.open_raw_tracepoint(name, program_fd)])


def attach_function_entry(program_fd: int) -> Attachment:
    return Attachment([bpf.link_function_entry(program_fd)])


def online_cpus() -> list[int]:
    """Numbers of the CPUs that run now."""
    with open("/sys/devices/system/cpu/online") as f:
        ranges = [part.split("-") for part in f.read().strip().split(",")]
    return [cpu for r in ranges for cpu in range(int(r[0]), int(r[-1]) + 1)]


def attach_clock(program_fd: int, frequency_hz: int, *, perf_link: bool = True) -> Attachment:
    """Samples every online CPU."""
    attachment = Attachment()
    try:
        for cpu in online_cpus():
            event = perf.open_clock(cpu, frequency_hz)
            attachment.fds.append(event)
            _join(attachment, event, program_fd, 0, perf_link)
    except BaseException:
        attachment.close()
        raise
    return attachment


def run_iterator(program_fd: int) -> None:
    """Runs an iterator program once, over all tasks that live now."""
    link = bpf.link_iterator(program_fd)
    try:
        iterator = bpf.create_iterator(link)
        try:
            while os.read(iterator, 4096):
                pass
        finally:
            os.close(iterator)
    finally:
        os.close(link)
