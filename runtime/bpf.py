"""The bpf(2) system call, typed: maps, programs, links, BTF, test runs.

    fd = create_map("counts", MAP_HASH, key_size=8, value_size=8, max_entries=100)
    update(fd, key, value, BPF_NOEXIST)

Every file descriptor the kernel returns here is close-on-exec. Errors are OSError as errno says; a refused program is
`ProgramRefused` with the verifier's log. Layouts: `union bpf_attr` in include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)

MAP_HASH, MAP_ARRAY, MAP_PERCPU_ARRAY, MAP_LRU_HASH, MAP_ARRAY_OF_MAPS, MAP_RINGBUF = 1, 2, 6, 9, 12, 27
F_RDONLY_PROG, F_MMAPABLE = 1 << 7, 1 << 10
ANY, NOEXIST, EXIST = 0, 1, 2
PROG_KPROBE, PROG_TRACEPOINT, PROG_PERF_EVENT, PROG_RAW_TRACEPOINT, PROG_TRACING, PROG_SYSCALL = (
    2,
    5,
    7,
    17,
    26,
    31,
)
ATTACH_TRACE_FENTRY, ATTACH_TRACE_ITER, ATTACH_PERF_EVENT = 24, 28, 41
ATTACH_UPROBE_MULTI, ATTACH_UPROBE_SESSION = 48, 57
F_SLEEPABLE = 1 << 4
PSEUDO_MAP_FD, PSEUDO_MAP_VALUE, PSEUDO_FUNC, PSEUDO_CALL, PSEUDO_KFUNC_CALL = 1, 2, 4, 1, 2

_MAP_CREATE, _LOOKUP, _UPDATE, _DELETE, _NEXT_KEY, _PROG_LOAD = 0, 1, 2, 3, 4, 5
_TEST_RUN, _INFO, _RAW_TRACEPOINT, _BTF_LOAD, _LOOKUP_DELETE, _FREEZE = 10, 15, 17, 18, 21, 22
_LOOKUP_BATCH, _DELETE_BATCH, _LINK_CREATE, _ITER_CREATE, _LINK_DETACH = 24, 27, 28, 33, 34

_LOG_BYTES = 1 << 24
_PROGRAM_INFO_BYTES = 216  # up to recursion_misses
_LOG_SMALL = 1 << 16
_BATCH_BYTES, _BATCH_LEAST = 1 << 20, 128


class ProgramRefused(OSError):
    """BPF_PROG_LOAD failed; `log` is what the verifier said (empty where it did not get that far)."""

    def __init__(self, number: int, name: str, log: str) -> None:
        super().__init__(number, os.strerror(number), name)
        self.log = log


class Bytes:
    """Bytes at a fixed address, for the kernel to read or write. Keep it alive as long as the address is in use."""

    __slots__ = ("address", "buffer")

    def __init__(self, data: bytes | int) -> None:
        self.buffer = (
            ctypes.create_string_buffer(data, max(len(data), 1))
            if isinstance(data, bytes)
            else ctypes.create_string_buffer(max(data, 1))
        )
        self.address = ctypes.addressof(self.buffer)

    def value(self, size_bytes: int) -> bytes:
        return ctypes.string_at(self.address, size_bytes)


def _call(command: int, attributes: bytes) -> int:
    result = _libc.syscall(_SYS_BPF, command, attributes, len(attributes))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def object_name(name: str) -> bytes:
    """At most 15 characters of those that the kernel allows."""
    return "".join(c if c.isalnum() or c in "_." else "_" for c in name)[:15].encode()


# ------------------------------------------------------------------------------------------------------ maps


def create_map(
    name: str, kind: int, key_size: int, value_size: int, max_entries: int, flags: int = 0, inner_fd: int = 0
) -> int:
    """A new map's file descriptor."""
    attributes = struct.pack(
        "<7I16sI", kind, key_size, value_size, max_entries, flags, inner_fd, 0, object_name(name), 0
    )
    return _call(_MAP_CREATE, attributes)


def lookup(fd: int, key: bytes, value_size: int) -> bytes | None:
    """The value, or None when the key is missing."""
    k, v = Bytes(key), Bytes(value_size)
    try:
        _call(_LOOKUP, struct.pack("<IIQQQ", fd, 0, k.address, v.address, 0))
    except FileNotFoundError:
        return None
    return v.value(value_size)


def update(fd: int, key: bytes, value: bytes, flags: int = ANY) -> None:
    k, v = Bytes(key), Bytes(value)
    _call(_UPDATE, struct.pack("<IIQQQ", fd, 0, k.address, v.address, flags))


def delete(fd: int, key: bytes) -> bool:
    """Whether it was there."""
    k = Bytes(key)
    try:
        _call(_DELETE, struct.pack("<IIQQQ", fd, 0, k.address, 0, 0))
    except FileNotFoundError:
        return False
    return True


def keys(fd: int, key_size: int) -> list[bytes]:
    """All keys, one call each: for kernels and maps without batches. An element deleted meanwhile may make the kernel
    start again, so what was seen before is skipped."""
    seen: dict[bytes, None] = {}
    current, following = Bytes(key_size), Bytes(key_size)
    address = 0
    while True:
        try:
            _call(_NEXT_KEY, struct.pack("<IIQQQ", fd, 0, address, following.address, 0))
        except FileNotFoundError:
            return list(seen)
        found = following.value(key_size)
        if found in seen and len(seen) > 1_000_000:
            return list(seen)
        seen[found] = None
        ctypes.memmove(current.address, following.address, key_size)
        address = current.address


def lookup_batch(fd: int, key_size: int, value_size: int, max_entries: int) -> list[tuple[bytes, bytes]]:
    """All elements of a hash map."""
    # the kernel hands out whole hash buckets, so there must be room for the fullest
    room = max(_BATCH_LEAST, min(max_entries + _BATCH_LEAST, _BATCH_BYTES // (key_size + value_size)))
    cursor, following = Bytes(8), Bytes(8)
    key_room, value_room = Bytes(room * key_size), Bytes(room * value_size)
    found: list[tuple[bytes, bytes]] = []
    start = 0
    while True:
        request = struct.pack(
            "<QQQQIIQQ", start, following.address, key_room.address, value_room.address, room, fd, 0, 0
        )
        attributes = ctypes.create_string_buffer(request, len(request))
        result = _libc.syscall(_SYS_BPF, _LOOKUP_BATCH, attributes, len(request))
        number = ctypes.get_errno() if result < 0 else 0
        if number not in (0, errno.ENOENT):
            raise OSError(number, os.strerror(number))
        (count,) = struct.unpack_from("<I", attributes, 32)
        raw_keys, raw_values = key_room.value(count * key_size), value_room.value(count * value_size)
        found += [
            (raw_keys[i * key_size : (i + 1) * key_size], raw_values[i * value_size : (i + 1) * value_size])
            for i in range(count)
        ]
        if number == errno.ENOENT:
            return found
        cursor, following = following, cursor
        start = cursor.address


def delete_batch(fd: int, keys_to_delete: Sequence[bytes]) -> None:
    """Deletes those that are there."""
    left = list(keys_to_delete)
    while left:
        data = Bytes(b"".join(left))
        request = struct.pack("<QQQQIIQQ", 0, 0, data.address, 0, len(left), fd, 0, 0)
        attributes = ctypes.create_string_buffer(request, len(request))
        if _libc.syscall(_SYS_BPF, _DELETE_BATCH, attributes, len(request)) == 0:
            return
        number = ctypes.get_errno()
        (done,) = struct.unpack_from("<I", attributes, 32)
        if number != errno.ENOENT:
            raise OSError(number, os.strerror(number))
        left = left[done + 1 :]


def freeze(fd: int) -> None:
    """User space may not write the map any more, so the verifier takes its contents for constants."""
    _call(_FREEZE, struct.pack("<I", fd))


def object_id(fd: int) -> int:
    """The id of a map (its `bpf_map_info.id`)."""
    info = Bytes(88)
    _call(_INFO, struct.pack("<IIQ", fd, 88, info.address))
    return int(struct.unpack_from("<I", info.buffer, 4)[0])


# -------------------------------------------------------------------------------------------------- programs


def runs_left_out(fd: int) -> int:
    """How often the kernel left a program out, as the same one was under way on that CPU (`bpf_prog_info.recursion_misses`)."""
    info = Bytes(_PROGRAM_INFO_BYTES)
    _call(_INFO, struct.pack("<IIQ", fd, _PROGRAM_INFO_BYTES, info.address))
    return int(struct.unpack_from("<Q", info.buffer, _PROGRAM_INFO_BYTES - 8)[0])


def load_btf(data: bytes) -> int:
    content, log = Bytes(data), Bytes(_LOG_SMALL)
    attributes = struct.pack("<QQIII", content.address, 0, len(data), 0, 0)
    try:
        return _call(_BTF_LOAD, attributes)
    except OSError as error:
        number = error.errno or 0
        try:
            return _call(
                _BTF_LOAD, struct.pack("<QQIII", content.address, log.address, len(data), _LOG_SMALL, 1)
            )
        except OSError:
            raise ProgramRefused(number, "BTF", _text(log, _LOG_SMALL)) from None


def _text(log: Bytes, size_bytes: int) -> str:
    return log.value(size_bytes).split(b"\0", 1)[0].decode("utf-8", "replace")


def load_program(
    name: str,
    kind: int,
    code: bytes,
    *,
    license: bytes = b"GPL",
    flags: int = 0,
    expected_attach_type: int = 0,
    attach_btf_id: int = 0,
    btf_fd: int = 0,
    functions: bytes = b"",
) -> int:
    """A loaded program's file descriptor. `functions`: its func_info, 8 bytes a row. Raises ProgramRefused."""
    instructions, text, info = Bytes(code), Bytes(license + b"\0"), Bytes(functions)

    def load(log_level: int, log_size: int, log_address: int) -> int:
        attributes = struct.pack(
            "<IIQQIIQII16sIIIIQIIQII",
            kind,
            len(code) // 8,
            instructions.address,
            text.address,
            log_level,
            log_size,
            log_address,
            0,
            flags,
            object_name(name),
            0,
            expected_attach_type,
            btf_fd,
            8 if functions else 0,
            info.address if functions else 0,
            len(functions) // 8,
            0,
            0,
            0,
            attach_btf_id,
        )
        return _call(_PROG_LOAD, attributes)

    for attempt in range(5):
        try:
            return load(0, 0, 0)
        except BlockingIOError:  # EAGAIN: a signal was pending during verification
            continue
        except OSError as error:
            number = error.errno or 0
            if number in (errno.EPERM, errno.E2BIG) and attempt == 0 and not code:
                break
            log = Bytes(_LOG_BYTES)
            try:
                return load(1, _LOG_BYTES, log.address)
            except OSError:
                raise ProgramRefused(number, name, _text(log, _LOG_BYTES)) from None
    raise ProgramRefused(errno.EAGAIN, name, "")


def test_run(fd: int, context: bytes = b"", cpu: int | None = None) -> int:
    """Runs a raw tracepoint (or syscall) program here and now with `context` as its arguments; its return value."""
    data = Bytes(context)
    flags = 0 if cpu is None else 1
    request = struct.pack(
        "<IIIIQQIIIIQQIII",
        fd, 0, 0, 0, 0, 0, 0, 0, len(context), 0, data.address if context else 0, 0, flags, cpu or 0, 0,
    )  # fmt: skip
    attributes = ctypes.create_string_buffer(request, len(request))
    if _libc.syscall(_SYS_BPF, _TEST_RUN, attributes, len(request)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(struct.unpack_from("<I", attributes, 4)[0])


# ----------------------------------------------------------------------------------------------------- links


def open_raw_tracepoint(name: str, program_fd: int) -> int:
    text = Bytes(name.encode() + b"\0")
    return _call(_RAW_TRACEPOINT, struct.pack("<QII", text.address, program_fd, 0))


def link_function_entry(program_fd: int) -> int:
    """To the kernel function that the program was loaded for."""
    return _call(_RAW_TRACEPOINT, struct.pack("<QII", 0, program_fd, 0))


def link_uprobe_multi(
    program_fd: int,
    path: str,
    offsets: Sequence[int],
    cookies: Sequence[int],
    pid: int,
    is_return: bool,
    counters: Sequence[int] = (),
    kind: int = ATTACH_UPROBE_MULTI,
) -> int:
    """`pid` 0: every process. `counters`: file offsets of 16-bit numbers that the kernel counts up in every process while a site is probed there; 0: none.
    `kind`: as the program was loaded; of a session both entries and returns."""
    text = Bytes(os.fsencode(path) + b"\0")
    where = Bytes(struct.pack(f"<{len(offsets)}Q", *offsets))
    values = Bytes(struct.pack(f"<{len(cookies)}Q", *cookies))
    references = Bytes(struct.pack(f"<{len(counters)}Q", *counters))
    attributes = struct.pack(
        "<IIIIQQQQIII4x",
        program_fd, 0, kind, 0,
        text.address, where.address, references.address if any(counters) else 0, values.address if cookies else 0,
        len(offsets), int(is_return), pid,
    )  # fmt: skip
    return _call(_LINK_CREATE, attributes)


def link_perf_event(program_fd: int, event_fd: int, cookie: int) -> int:
    return _call(_LINK_CREATE, struct.pack("<IIIIQ", program_fd, event_fd, ATTACH_PERF_EVENT, 0, cookie))


def link_iterator(program_fd: int) -> int:
    return _call(_LINK_CREATE, struct.pack("<IIII", program_fd, 0, ATTACH_TRACE_ITER, 0))


def create_iterator(link_fd: int) -> int:
    """A file; reading it runs the program over every object."""
    return _call(_ITER_CREATE, struct.pack("<II", link_fd, 0))
