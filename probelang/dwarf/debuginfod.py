"""Debug files from servers: a client of debuginfod.

    DEBUGINFOD_URLS="https://debuginfod.debian.net"
    fetch_debug_file("4f01...", None)  ->  "/home/ann/.cache/debuginfod_client/4f01.../debuginfo"

GET URL/buildid/BUILDID/debuginfo, of each server in turn. What came is kept, and also that nothing came, in the same folder and manner as
elfutils' client does. Nothing but this module talks to a network, and only when DEBUGINFOD_URLS is set.
Source: elfutils, debuginfod(8) "WEBAPI" and debuginfod_find_debuginfo(3).
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from typing import IO, Protocol

from probelang.dwarf.image import BinaryError, build_id, read_image
from probelang.dwarf.separate import URLS, cache_folder, cached

Progress = Callable[[str, int, int], None]

MAXIMUM_BYTES = 4 << 30
_TIMEOUT_S = 90
_TIMEOUT_BYTES = 100 << 10
"""A transfer that brings less than this in the time-out is given up."""
_MISS_S = 600
_PIECE_BYTES = 64 << 10
_SCHEMES = ("http://", "https://", "file://")
_IDENTITY = re.compile("[0-9a-f]{8,128}")


class _Failed(Exception):
    """`missing`: the server is sure that it has no such file."""

    def __init__(self, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


class _Answer(Protocol):
    def read1(self, size: int, /) -> bytes: ...


def fetch_debug_file(identity: str, progress: Progress | None = None) -> str | None:
    """The path of the debug file with this build-id; None where no server has it, or none answers."""
    if not _IDENTITY.fullmatch(identity):
        return None
    path = cached(identity)
    known = _known(path)
    if known is not None:
        return path if known else None
    servers = _servers()
    sure = bool(servers)
    for url in servers:
        try:
            _download(f"{url}/buildid/{identity}/debuginfo", identity, path, progress)
        except _Failed as failure:
            sure = sure and failure.missing
        except (OSError, HTTPException, ValueError):  # refused, timed out, cut off, no disk; not an address
            sure = False
        else:
            return path
    if sure:
        _remember_miss(path)
    return None


def _servers() -> list[str]:
    words = os.environ.get(URLS, "").split()
    return [word.rstrip("/") for word in words if word.startswith(_SCHEMES)]


# ------------------------------------------------------------------------------------------------------- cache


def _known(path: str) -> bool | None:
    """Is it there? False: it was asked for lately, and no server had it. An empty file says so."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if status.st_size:
        return True
    return False if time.time() < status.st_mtime + _miss_s() else None


def _miss_s() -> float:
    try:
        with open(f"{cache_folder()}/cache_miss_s", encoding="ascii") as file:
            return float(file.read(32))
    except (OSError, ValueError):
        return _MISS_S


def _remember_miss(path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "wb"):
            os.utime(path)
    except OSError:
        pass  # then it is asked for again


# ---------------------------------------------------------------------------------------------------- transfer


def _download(address: str, identity: str, path: str, progress: Progress | None) -> None:
    """Puts the file at `path`, at once and whole, or raises _Failed, OSError, HTTPException, ValueError."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix="debuginfo.", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            if address.startswith("file://"):
                _copy_local(address, file, progress)
            else:
                _copy_remote(address, file, progress)
        _check(draft, identity)
        os.rename(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _copy_local(address: str, file: IO[bytes], progress: Progress | None) -> None:
    from urllib.parse import unquote, urlsplit

    try:
        source = open(unquote(urlsplit(address).path), "rb")  # noqa: SIM115  # closed below
    except FileNotFoundError:
        raise _Failed("no such file", missing=True) from None
    with source:
        _copy(address, source, os.fstat(source.fileno()).st_size, file, progress)


def _copy_remote(address: str, file: IO[bytes], progress: Progress | None) -> None:
    request = urllib.request.Request(
        address, headers={"User-Agent": "probelang", "Accept-Encoding": "identity"}
    )
    try:
        answer = _opener().open(request, timeout=_setting("DEBUGINFOD_TIMEOUT", _TIMEOUT_S))
    except urllib.error.HTTPError as error:
        error.close()
        raise _Failed(f"status {error.code}", missing=error.code in (404, 410)) from None
    with answer:
        if answer.status != 200:
            raise _Failed(f"status {answer.status}")
        length = answer.headers.get("Content-Length", "")
        _copy(address, answer, int(length) if length.isdecimal() else 0, file, progress)


def _copy(address: str, source: _Answer, expected: int, file: IO[bytes], progress: Progress | None) -> None:
    limit = min(MAXIMUM_BYTES, _setting("DEBUGINFOD_MAXSIZE", MAXIMUM_BYTES))
    pace = _Pace()
    copied = 0
    while piece := source.read1(_PIECE_BYTES):  # what is there, without waiting for more
        copied += len(piece)
        if copied > limit or expected > limit:
            raise _Failed(f"more than {limit} bytes")
        file.write(piece)
        pace.check(copied)
        if progress is not None:
            progress(f"fetching {address}", copied, expected)
    if expected and copied != expected:
        raise _Failed("the transfer was cut off")


class _Pace:
    """Raises _Failed for a transfer that stalls or takes too long in all (DEBUGINFOD_MAXTIME)."""

    def __init__(self) -> None:
        self._started = self._since = time.monotonic()
        self._copied = 0
        self._timeout_s = _setting("DEBUGINFOD_TIMEOUT", _TIMEOUT_S)
        self._most_s = _setting("DEBUGINFOD_MAXTIME", 0)

    def check(self, copied: int) -> None:
        now = time.monotonic()
        if self._most_s and now - self._started > self._most_s:
            raise _Failed("it takes too long")
        if now - self._since > self._timeout_s:
            if copied - self._copied < _TIMEOUT_BYTES:
                raise _Failed("the transfer stalls")
            self._since, self._copied = now, copied


class _Redirects(urllib.request.HTTPRedirectHandler):
    """To other web servers only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("http://", "https://")):
            raise _Failed("leads elsewhere")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """The web and nothing else: no ftp, no local files."""
    director = urllib.request.OpenerDirector()
    kinds = ("ProxyHandler", "HTTPHandler", "HTTPSHandler", "HTTPDefaultErrorHandler", "HTTPErrorProcessor")
    for kind in kinds:
        if hasattr(urllib.request, kind):  # a Python without TLS has no HTTPSHandler
            director.add_handler(getattr(urllib.request, kind)())
    director.add_handler(_Redirects())
    return director


def _setting(name: str, default: int) -> int:
    """A number of the environment, as for elfutils' client."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and int(text) > 0 else default


def _check(path: str, identity: str) -> None:
    """It must be what was asked for, and whole."""
    try:
        image = read_image(path, objects=True)
    except BinaryError:
        raise _Failed("not an ELF file, or damaged") from None
    if build_id(image) != identity:
        raise _Failed("the file of another binary")
