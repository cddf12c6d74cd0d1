"""Processes of other users, for tests that root runs: what an ordinary user is refused, the kernel itself is to refuse.

as_user(lambda: os.getuid())           ->  65534, computed in a child of that user and without capabilities
with waiting(lambda: os.setuid(65534)) as pid: ...
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar, cast

import pytest

from tests.conftest import is_root

USER, GROUP = 65534, 65534
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 4, 38, 22
_CLONE_NEWUSER, _CLONE_NEWPID = 0x10000000, 0x20000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)

T = TypeVar("T")


@contextlib.contextmanager
def open_folder() -> Generator[Path]:
    """A new folder that everybody may enter; pytest closes its own each time that it starts."""
    with tempfile.TemporaryDirectory(prefix="probelang-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def become_user(uid: int = USER, gid: int = GROUP) -> None:
    """Without capabilities; dumpable again, as after an exec."""
    if is_root():
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    set_dumpable(True)


def set_dumpable(on: bool) -> None:
    _libc.prctl(_PR_SET_DUMPABLE, int(on), 0, 0, 0)


def give_up_new_rights() -> None:
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def forbid_ptrace() -> None:
    """By a seccomp filter, as Docker did: EPERM. Source: linux/filter.h, linux/seccomp.h; ptrace is 101 on x86_64."""
    give_up_new_rights()
    rows = ((0x20, 0, 0, 0), (0x15, 0, 1, 101), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *row) for row in rows))
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(rows), ctypes.addressof(program)))
    assert _libc.prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(header), 0, 0) == 0


def as_user(compute: Callable[[], T], before: Callable[[], None] | None = None) -> T:
    """`before` is called with the rights of whoever runs the test."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            (before or become_user)()
            os.write(writing, pickle.dumps(compute()))
        except BaseException:  # noqa: BLE001 (a child must not go on with the tests)
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    assert data, "the child failed"
    return cast(T, pickle.loads(data))


@contextlib.contextmanager
def waiting(prepare: Callable[[], None]) -> Generator[int]:
    """A process that has called `prepare` and waits."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            prepare()
            os.write(writing, b"x")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"x"
        yield pid
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def in_container(uid: int = USER) -> Generator[int]:
    """A process with user and pid namespaces that root has made: root inside, `uid` outside. Source: user_namespaces(7)."""
    reading, writing = os.pipe()
    held, release = os.pipe()
    outer = os.fork()
    if outer == 0:
        try:
            os.write(writing, b"x" if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID) == 0 else b"-")
            os.read(held, 1)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            set_dumpable(True)
            inner = os.fork()  # the first in its pid namespace
            if inner == 0:
                os.write(writing, b"x")
                signal.pause()
            os.waitpid(inner, 0)
        finally:
            os._exit(0)
    if os.read(reading, 1) != b"x":
        os.kill(outer, signal.SIGKILL)
        os.waitpid(outer, 0)
        pytest.skip("may not make namespaces")
    for table in ("uid_map", "gid_map"):
        Path(f"/proc/{outer}/{table}").write_text(f"0 {uid} 1\n")
    os.write(release, b"x")
    assert os.read(reading, 1) == b"x"
    inner = int(Path(f"/proc/{outer}/task/{outer}/children").read_text())
    try:
        yield inner
    finally:
        os.kill(inner, signal.SIGKILL)
        os.waitpid(outer, 0)
        for fd in (reading, writing, held, release):
            os.close(fd)
