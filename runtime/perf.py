"""perf_event_open(2): probes of the uprobe PMU, and the sampling clock.

    fd = open_uprobe("/bin/x", 0x1139, is_return=False, pid=-1)
    fd = open_clock(cpu=0, frequency_hz=250)

Layout: `struct perf_event_attr` in include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}.get(platform.machine(), 241)
_CLOSE_ON_EXEC = 8
_ATTRIBUTES_SIZE = 128
_IOC_ENABLE, _IOC_DISABLE, _IOC_SET_BPF = 0x2400, 0x2401, 0x40042408
_TYPE_SOFTWARE, _COUNT_CPU_CLOCK = 1, 0
_FLAG_FREQUENCY = 1 << 10

_UPROBE = Path("/sys/bus/event_source/devices/uprobe")


def _open(attributes: bytes, pid: int, cpu: int) -> int:
    fd: int = _libc.syscall(_SYS_PERF_EVENT_OPEN, attributes, pid, cpu, -1, _CLOSE_ON_EXEC)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


def uprobe_type() -> int:
    """The dynamic number of the uprobe PMU; OSError where the kernel has none."""
    return int((_UPROBE / "type").read_text())


def _return_flag() -> int:
    """Which bit of `config` means return probe (`config:0` everywhere so far)."""
    text = (_UPROBE / "format" / "retprobe").read_text().strip()
    return 1 << int(text.removeprefix("config:"))


def _counter_bits(offset: int) -> int:
    """The bits of `config` that say where a mark's counter is (`config:32-63`, kernel/events/core.c: PERF_UPROBE_REF_CTR_OFFSET_SHIFT)."""
    text = (_UPROBE / "format" / "ref_ctr_offset").read_text().strip()
    first, _, last = text.removeprefix("config:").partition("-")
    if offset >> (int(last) - int(first) + 1):
        raise OverflowError(f"{offset:#x} does not fit {text}")
    return offset << int(first)


def open_uprobe(path: str, offset: int, *, is_return: bool, pid: int, counter: int = 0) -> int:
    """One probe at one file offset. `pid` -1: every process; otherwise the process's memory, whatever its threads. `counter`: file
    offset of a 16-bit number that is counted up meanwhile, 0: none."""
    name = ctypes.create_string_buffer(os.fsencode(path) + b"\0")
    config = (_return_flag() if is_return else 0) | (_counter_bits(counter) if counter else 0)
    attributes = struct.pack(
        "<IIQQQQQIIQQ",
        uprobe_type(), _ATTRIBUTES_SIZE, config, 1, 0, 0, 0, 1, 0, ctypes.addressof(name), offset,
    ).ljust(_ATTRIBUTES_SIZE, b"\0")  # fmt: skip
    return _open(attributes, pid, 0 if pid == -1 else -1)


def open_clock(cpu: int, frequency_hz: int) -> int:
    """The CPU clock of one CPU, `frequency_hz` samples a second, whatever runs there."""
    attributes = struct.pack(
        "<IIQQQQQII",
        _TYPE_SOFTWARE,
        _ATTRIBUTES_SIZE,
        _COUNT_CPU_CLOCK,
        frequency_hz,
        0,
        0,
        _FLAG_FREQUENCY,
        1,
        0,
    ).ljust(_ATTRIBUTES_SIZE, b"\0")
    return _open(attributes, -1, cpu)


def set_program(event_fd: int, program_fd: int) -> None:
    fcntl.ioctl(event_fd, _IOC_SET_BPF, program_fd)


def enable(event_fd: int) -> None:
    fcntl.ioctl(event_fd, _IOC_ENABLE, 0)


def disable(event_fd: int) -> None:
    fcntl.ioctl(event_fd, _IOC_DISABLE, 0)
