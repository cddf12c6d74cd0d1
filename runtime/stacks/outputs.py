"""Files that a session writes when it ends: checked before it begins, and then there wholly or not at all.

    check_writable("out.svg")            raises OSError
    write_whole("out.svg", data)

Until it is whole the new file has no name (O_TMPFILE, open(2)), so even SIGKILL leaves nothing behind; where the file system has no
such files it has one of its own, which goes whatever else happens. What is no ordinary file (a pipe, /dev/stdout) is written to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable

_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


def check_writable(path: str) -> None:
    """Leaves no trace. Raises OSError."""
    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = 0
    if mode and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if mode and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if not _is_stream(path, mode):
        _check_folder(os.path.dirname(target))


def _is_stream(path: str, mode: int) -> bool:
    """`mode`: of what is there, 0 where nothing is. /dev/stdout may lead to an ordinary file, which others write, too."""
    folder = os.path.realpath(os.path.dirname(path))
    return folder in ("/dev", f"/proc/{os.getpid()}/fd") or (mode != 0 and not stat.S_ISREG(mode))


def _check_folder(folder: str) -> None:
    os.stat(folder)
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in _NO_NAMELESS:
            raise
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def write_whole(path: str, data: bytes) -> None:
    """Replaces what was there, and keeps its mode. Raises OSError."""
    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = 0
    if _is_stream(path, mode):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        with open(fd, "wb") as stream:
            stream.write(data)
        return
    try:
        fd = os.open(os.path.dirname(target), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in _NO_NAMELESS:
            raise
        _write_named(target, data, mode)
        return
    with open(fd, "wb") as stream:
        _fill(stream.fileno(), data, mode)
        _name(stream.fileno(), target)


def _fill(fd: int, data: bytes, mode: int) -> None:
    if mode:
        os.fchmod(fd, stat.S_IMODE(mode))
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _name(fd: int, target: str) -> None:
    """linkat(2) does not replace a file, so there are two names for a moment."""

    def link(other: str) -> None:
        # with a folder Python calls linkat and follows the link, as it must; link(2) would not
        os.link(f"/proc/self/fd/{fd}", other, src_dir_fd=fd, follow_symlinks=True)

    _through_other_name(target, link)


def _write_named(target: str, data: bytes, mode: int) -> None:
    def write(other: str) -> None:
        fd = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            _fill(fd, data, mode)
        finally:
            os.close(fd)

    _through_other_name(target, write)


def _through_other_name(target: str, make: Callable[[str], None]) -> None:
    other = f"{target}.{os.getpid()}.new"
    try:
        make(other)
        os.rename(other, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(other)
        raise
