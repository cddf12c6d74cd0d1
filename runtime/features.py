"""Named features of the kernel: what probelang can use, and whether this kernel has it for this user.

    detect()                    -> frozenset({"uprobe_multi", "cookie", ...})
    FEATURES["uprobe_multi"]    -> Feature(first_kernel="6.6", summary="one link for many sites", ...)

Every feature is asked for by doing it: a small program is loaded, a link made. Versions are only told to people. The
answers hold until the next boot or other privileges, so they are kept in the user's cache folder.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from probelang.runtime import bpf, exits, perf
from probelang.runtime.kernelbtf import UnknownKernelFact, cache_folder, kernel_facts, write_cache

_REVISION = 6  # of the questions: another number makes old answers void


@dataclass(frozen=True, slots=True)
class Feature:
    """`ask` raises OSError or UnknownKernelFact where the kernel lacks it. `needed`: nothing works without."""

    first_kernel: str
    summary: str
    ask: Callable[[], None]
    needed: bool = False


# ---------------------------------------------------------------------------------------- small programs


def _op(code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhi", code, src << 4 | dst, offset, immediate)


def _move(dst: int, value: int) -> bytes:
    return _op(0xB7, dst, 0, 0, value)


def _call(helper: int) -> bytes:
    return _op(0x85, immediate=helper)


def _stack(dst: int, offset: int) -> bytes:
    """dst = frame pointer + offset."""
    return _op(0xBF, dst, 10) + _op(0x07, dst, 0, 0, offset)


def _kfunc(name: str) -> bytes:
    fact = f"func:{name}"
    return _op(0x85, 0, bpf.PSEUDO_KFUNC_CALL, 0, kernel_facts([fact])[fact])


_END = _move(0, 0) + _op(0x95)


def _loads(
    body: bytes, kind: int = bpf.PROG_KPROBE, flags: int = 0, expected_attach_type: int = 0, btf_id: int = 0
) -> None:
    os.close(_load(body, kind, flags, expected_attach_type, btf_id))


def _load(
    body: bytes, kind: int = bpf.PROG_KPROBE, flags: int = 0, expected_attach_type: int = 0, btf_id: int = 0
) -> int:
    return bpf.load_program(
        "ask", kind, body + _END, flags=flags, expected_attach_type=expected_attach_type, attach_btf_id=btf_id
    )


# ------------------------------------------------------------------------------------------------- questions


def _ask_uprobe_multi(kind: int = bpf.ATTACH_UPROBE_MULTI, body: bytes = b"") -> None:
    fd = _load(body, expected_attach_type=kind)
    try:
        os.close(bpf.link_uprobe_multi(fd, "/", (1,), (0,), 0, False, kind=kind))
    except OSError as error:
        # a folder cannot be probed: EBADF says that the kernel got that far
        if error.errno != errno.EBADF:
            raise
    finally:
        os.close(fd)


def _ask_session() -> None:
    context, again = _op(0xBF, 6, 1), _op(0xBF, 1, 6)
    is_return, cookie = _kfunc("bpf_session_is_return"), _kfunc("bpf_session_cookie")
    write = _op(0x7A, 0, 0, 0, 1)  # *(u64 *)cookie = 1
    _ask_uprobe_multi(bpf.ATTACH_UPROBE_SESSION, context + is_return + again + cookie + write)


def _ask_sleepable() -> None:
    copy_from_user = _stack(1, -8) + _move(2, 8) + _move(3, 0) + _call(148)
    _loads(copy_from_user, flags=bpf.F_SLEEPABLE)


def _ask_iterators() -> None:
    new = _stack(1, -8) + _move(2, 0) + _move(3, 1) + _kfunc("bpf_iter_num_new")
    _loads(new + _stack(1, -8) + _kfunc("bpf_iter_num_destroy"))


def _ask_task_vma_iterator() -> None:
    task = _call(158)
    new = task + _stack(1, -8) + _op(0xBF, 2, 0) + _move(3, 0) + _kfunc("bpf_iter_task_vma_new")
    _loads(new + _stack(1, -8) + _kfunc("bpf_iter_task_vma_destroy"))


def _ask_pair(first: str, second: str) -> None:
    _loads(_kfunc(first) + _kfunc(second))


def _ask_for_each() -> None:
    from probelang.artifact.btf import STATIC, BtfWriter

    btf = BtfWriter()
    number = btf.integer("long", 8, signed=True)
    prototype = btf.prototype([(name, number) for name in ("map", "key", "value", "context")], number)
    main, each = (btf.function(name, prototype, STATIC) for name in ("ask", "each"))
    map_fd = bpf.create_map("ask", bpf.MAP_HASH, 8, 8, 1)
    try:
        btf_fd = bpf.load_btf(btf.finish())
        try:
            body = (
                _op(0x18, 1, bpf.PSEUDO_MAP_FD, 0, map_fd) + _op(0)
                + _op(0x18, 2, bpf.PSEUDO_FUNC, 0, 6) + _op(0)
                + _op(0xBF, 3, 10) + _move(4, 0) + _call(164) + _END
            )  # fmt: skip
            rows = struct.pack("<IIII", 0, main, len(body) // 8, each)
            os.close(bpf.load_program("ask", bpf.PROG_KPROBE, body + _END, btf_fd=btf_fd, functions=rows))
        finally:
            os.close(btf_fd)
    finally:
        os.close(map_fd)


def _ask_find_vma() -> None:
    from probelang.artifact.btf import STATIC, BtfWriter

    btf = BtfWriter()
    number, pointer = btf.integer("long", 8, signed=True), btf.pointer(0)
    plain = btf.prototype([("context", pointer)], number)
    called = btf.prototype([(name, pointer) for name in ("task", "area", "context")], number)
    main, each = btf.function("ask", plain, STATIC), btf.function("each", called, STATIC)
    btf_fd = bpf.load_btf(btf.finish())
    try:
        body = (
            _call(158) + _op(0xBF, 1, 0) + _move(2, 0)
            + _op(0x18, 3, bpf.PSEUDO_FUNC, 0, 8) + _op(0)
            + _stack(4, -8) + _op(0x7A, 10, 0, -8, 0) + _move(5, 0) + _call(180)
        )  # fmt: skip
        rows = struct.pack("<IIII", 0, main, len(body + _END) // 8, each)
        code = body + _END + _END
        os.close(bpf.load_program("ask", bpf.PROG_KPROBE, code, btf_fd=btf_fd, functions=rows))
    finally:
        os.close(btf_fd)


def _ask_ring_buffer() -> None:
    os.close(bpf.create_map("ask", bpf.MAP_RINGBUF, 0, 0, 4096))


def _ask_atomics() -> None:
    start = _op(0x7A, 10, 0, -8, 0) + _move(0, 0) + _move(1, 1)
    fetch_add, compare_exchange = _op(0xDB, 10, 1, -8, 0x01), _op(0xDB, 10, 1, -8, 0xF1)
    _loads(start + fetch_add + compare_exchange)


def _ask_iter_task() -> None:
    target = kernel_facts(["func:bpf_iter_task"])["func:bpf_iter_task"]
    _loads(b"", bpf.PROG_TRACING, 0, bpf.ATTACH_TRACE_ITER, target)


def _ask_task_pt_regs() -> None:
    _loads(_call(158) + _op(0xBF, 1, 0) + _call(175), bpf.PROG_PERF_EVENT)


def _ask_raw_tracepoints() -> None:
    fd = _load(b"", bpf.PROG_RAW_TRACEPOINT)
    try:
        os.close(bpf.open_raw_tracepoint("sched_process_fork", fd))
    finally:
        os.close(fd)


def _ask_perf_link() -> None:
    fd = _load(b"", bpf.PROG_PERF_EVENT)
    try:
        event = perf.open_clock(0, 1)
        try:
            os.close(bpf.link_perf_event(fd, event, 1))
        finally:
            os.close(event)
    finally:
        os.close(fd)


def _ask_write_user() -> None:
    word = _op(0x7A, 10, 0, -8, 0) + _stack(2, -8)
    _loads(_move(1, 0) + word + _move(3, 8) + _call(36))


def _ask_write_registers() -> None:
    first_argument = 112  # struct pt_regs, di
    _loads(_move(0, 0) + _op(0x7B, 1, 0, first_argument))


FEATURES: Mapping[str, Feature] = {
    "uprobe_multi": Feature("6.6", "one link for all sites of a probe", _ask_uprobe_multi),
    "session": Feature("6.13", "the kernel keeps what a call was like at its entry until it returns", _ask_session),
    "cookie": Feature("5.15", "a program knows which of its sites was hit", lambda: _loads(_call(174))),
    "perf_link": Feature("5.15", "a cookie at every single probe", _ask_perf_link),
    "sleepable": Feature("6.0", "reads memory of the process that is not resident", _ask_sleepable),
    "iterators": Feature("6.4", "loops and all of strings in process probes", _ask_iterators),
    "task_vma_iterator": Feature(
        "6.7", "variables of libraries other than the probed file", _ask_task_vma_iterator
    ),
    "find_vma": Feature("5.17", "callers in other files, where there is no iterator", _ask_find_vma),
    "for_each": Feature("5.13", "foreach in process probes", _ask_for_each),
    "rcu_kfuncs": Feature(
        "6.2", "absent memory read beside arrays that a timer deletes", lambda: _ask_pair("bpf_rcu_read_lock", "bpf_rcu_read_unlock")
    ),
    "preempt_kfuncs": Feature(
        "6.10", "short waits for string variables",
        lambda: _ask_pair("bpf_preempt_disable", "bpf_preempt_enable"),
    ),
    "ring_buffer": Feature("5.8", "records in order from all CPUs", _ask_ring_buffer, needed=True),
    "atomics": Feature("5.12", "exact counting", _ask_atomics, needed=True),
    "iter_task": Feature("5.8", "begin probes of processes that live already", _ask_iter_task),
    "task_pt_regs": Feature("5.15", "the registers of the process in timer.profile", _ask_task_pt_regs),
    exits.FEATURE: Feature(
        "5.5", "the end of a process once, with its memory", lambda: exits.ask_group_dead(_END)
    ),
    "write_user": Feature("4.8", "-g: memory of the process is changed", _ask_write_user),
    "write_registers": Feature("6.18", "-g: registers of the process are changed", _ask_write_registers),
    "raw_tracepoints": Feature("4.17", "life of processes, system calls, -c and -x", _ask_raw_tracepoints),
}  # fmt: skip


def has(feature: Feature) -> bool:
    """Asks the kernel, here and now."""
    try:
        feature.ask()
    except (OSError, UnknownKernelFact):
        return False
    return True


# ----------------------------------------------------------------------------------------------------- cache


def _privileges() -> str:
    """What the answers depend on besides the kernel."""
    try:
        status = Path("/proc/self/status").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    capabilities = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "")
    return f"{_REVISION} {boot} {os.geteuid()} {capabilities}"


def detect(without: frozenset[str] = frozenset()) -> frozenset[str]:
    """The features that this kernel has for this user, less `without`."""
    key, store = _privileges(), cache_folder() / "features.json"
    try:
        known: object = json.loads(store.read_bytes())
    except (OSError, ValueError):
        known = None
    if key and isinstance(known, list) and known[:1] == [key]:
        names = frozenset(n for n in cast(list[object], known)[1:] if isinstance(n, str))
        return names - without
    names = frozenset(name for name, feature in FEATURES.items() if has(feature))
    write_cache(store, [key, *sorted(names)])
    return names - without
