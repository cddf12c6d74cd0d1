"""Files that are there wholly or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from probelang.runtime.stacks import outputs
from probelang.runtime.stacks.outputs import check_writable, write_whole


@pytest.fixture(params=["nameless", "named"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On a file system with files without a name, and on one that has none."""
    if request.param == "named":
        real = os.open

        def refuse(path: str, flags: int, mode: int = 0o777) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return real(path, flags, mode)

        monkeypatch.setattr(outputs.os, "open", refuse)
    return tmp_path


def test_a_check_leaves_nothing_behind(folder: Path) -> None:
    check_writable(str(folder / "out"))
    assert not list(folder.iterdir())


def test_what_was_there_is_replaced_and_keeps_its_mode(folder: Path) -> None:
    out = folder / "out"
    out.write_bytes(b"x" * 5000)
    out.chmod(0o604)
    with out.open("rb") as reader:
        check_writable(str(out))
        assert out.read_bytes() == b"x" * 5000
        write_whole(str(out), b"new")
        assert reader.read() == b"x" * 5000  # whoever reads it reads one or the other
    assert out.read_bytes() == b"new"
    assert stat.S_IMODE(out.stat().st_mode) == 0o604
    assert list(folder.iterdir()) == [out]


def test_a_new_file_has_the_mode_of_all_new_files(folder: Path) -> None:
    (folder / "plain").write_bytes(b"")
    write_whole(str(folder / "out"), b"1")
    assert (folder / "out").stat().st_mode == (folder / "plain").stat().st_mode


def test_a_link_stays_a_link(folder: Path) -> None:
    (folder / "link").symlink_to("target")
    write_whole(str(folder / "link"), b"1")
    assert os.readlink(folder / "link") == "target"
    assert (folder / "target").read_bytes() == b"1"


def test_a_write_that_fails_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "out"
    out.write_bytes(b"old")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(outputs.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(str(out), b"new")
    monkeypatch.undo()
    assert out.read_bytes() == b"old"
    assert list(folder.iterdir()) == [out]


def test_what_cannot_be_written_is_said_before(folder: Path) -> None:
    with pytest.raises(IsADirectoryError):
        check_writable(str(folder))
    with pytest.raises(FileNotFoundError):
        check_writable(str(folder / "missing" / "out"))
    (folder / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        check_writable(str(folder / "file" / "out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(folder: Path) -> None:
    folder.chmod(0o500)
    with pytest.raises(PermissionError):
        check_writable(str(folder / "out"))


def test_a_pipe_is_written_to_and_stays_one(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    check_writable(str(pipe))
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(str(pipe), b"through")
    reader.join()
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_to() -> None:
    check_writable("/dev/null")
    write_whole("/dev/null", b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
