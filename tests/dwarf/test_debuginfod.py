"""The client of debuginfod, against a server on the loopback interface."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.debugfile import find_debug_file
from probelang.dwarf.debuginfod import fetch_debug_file
from probelang.dwarf.info import DebugInfo

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers each path as the test says; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Answer = not_found
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def not_found(request: BaseHTTPRequestHandler) -> None:
    request.send_error(404)


def failing(request: BaseHTTPRequestHandler) -> None:
    request.send_error(500)


def sending(data: bytes, length: int | None = None) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if length is not None:
            request.send_header("Content-Length", str(length))
        request.end_headers()
        with suppress(OSError):  # the client may have gone
            request.wfile.write(data)

    return answer


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Server]]:
    """Two, both in DEBUGINFOD_URLS; the cache is empty."""
    found = [Server(), Server()]
    monkeypatch.setenv("DEBUGINFOD_URLS", " ".join(s.url for s in found))
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("DEBUGINFOD_TIMEOUT", "DEBUGINFOD_MAXSIZE", "DEBUGINFOD_MAXTIME"):
        monkeypatch.delenv(name, raising=False)
    yield found
    for server in found:
        server.close()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Binary, bytes]:
    """A stripped program, and its debug file."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "t.c").write_text("int in_the_program = 3; int main(void) { return in_the_program; }")
    for command in (
        ("gcc", "-g", "-Wl,--build-id", "-o", "program", "t.c"),
        ("objcopy", "--only-keep-debug", "program", "program.file"),
        ("strip", "program"),
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return open_binary(str(folder / "program")), (folder / "program.file").read_bytes()


@pytest.fixture
def binary(programs: tuple[Binary, bytes]) -> Binary:
    return programs[0]


@pytest.fixture
def debug(programs: tuple[Binary, bytes]) -> bytes:
    return programs[1]


def cache(tmp_path: Path, binary: Binary) -> Path:
    return tmp_path / "cache" / binary.build_id / "debuginfo"


def drafts(tmp_path: Path) -> list[Path]:
    return [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.name != "debuginfo"]


def test_a_file_is_fetched_and_kept(
    servers: list[Server], binary: Binary, debug: bytes, tmp_path: Path
) -> None:
    servers[0].answer = sending(debug, len(debug))
    path = fetch_debug_file(binary.build_id)
    assert path is not None
    assert path == str(cache(tmp_path, binary))
    assert Path(path).read_bytes() == debug
    assert servers[0].asked == [f"/buildid/{binary.build_id}/debuginfo"]
    assert fetch_debug_file(binary.build_id) == path
    assert len(servers[0].asked) == 1
    assert servers[1].asked == []
    assert drafts(tmp_path) == []


def test_debug_information_comes_from_there(servers: list[Server], binary: Binary, debug: bytes) -> None:
    servers[1].answer = sending(debug)
    file = find_debug_file(binary)
    assert file is not None
    assert [u.name for u in DebugInfo(file).units] == ["t.c"]
    assert not open_binary(binary.path).stripped  # from the cache, without asking


def test_nobody_is_asked_without_urls(
    servers: list[Server], binary: Binary, debug: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers[0].answer = sending(debug)
    monkeypatch.delenv("DEBUGINFOD_URLS")
    assert find_debug_file(binary) is None
    assert servers[0].asked == []


def test_opening_a_program_asks_nobody(servers: list[Server], binary: Binary) -> None:
    assert open_binary(binary.path).stripped
    assert servers[0].asked == []


def test_the_next_server_is_asked(servers: list[Server], binary: Binary, debug: bytes) -> None:
    servers[1].answer = sending(debug)
    assert fetch_debug_file(binary.build_id) is not None
    assert [len(s.asked) for s in servers] == [1, 1]


def test_that_nobody_has_it_is_remembered(servers: list[Server], binary: Binary, tmp_path: Path) -> None:
    assert fetch_debug_file(binary.build_id) is None
    assert fetch_debug_file(binary.build_id) is None
    assert [len(s.asked) for s in servers] == [1, 1]
    assert cache(tmp_path, binary).stat().st_size == 0


def test_but_not_for_ever(servers: list[Server], binary: Binary, debug: bytes, tmp_path: Path) -> None:
    assert fetch_debug_file(binary.build_id) is None
    long_ago = time.time() - 700
    os.utime(cache(tmp_path, binary), (long_ago, long_ago))
    servers[0].answer = sending(debug)
    assert fetch_debug_file(binary.build_id) is not None


def test_a_server_that_fails_is_asked_again(servers: list[Server], binary: Binary, tmp_path: Path) -> None:
    servers[0].answer = failing
    assert fetch_debug_file(binary.build_id) is None
    assert fetch_debug_file(binary.build_id) is None
    assert len(servers[0].asked) == 2
    assert not cache(tmp_path, binary).exists()


def test_a_transfer_that_is_cut_off_leaves_nothing(
    servers: list[Server], binary: Binary, debug: bytes, tmp_path: Path
) -> None:
    servers[0].answer = sending(debug[:-100], len(debug))
    servers[1].answer = sending(debug[:-100])  # no length: the file itself shows it
    assert fetch_debug_file(binary.build_id) is None
    assert not cache(tmp_path, binary).exists()
    assert drafts(tmp_path) == []


def test_the_file_of_another_program_is_not_taken(
    servers: list[Server], binary: Binary, tmp_path: Path
) -> None:
    other = Path("/bin/true").read_bytes()
    servers[0].answer = sending(other, len(other))
    servers[1].answer = sending(b"<html>please log in</html>")
    assert fetch_debug_file(binary.build_id) is None
    assert not cache(tmp_path, binary).exists()


def test_a_server_that_stalls_is_given_up(
    servers: list[Server], binary: Binary, debug: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()

    def stall(request: BaseHTTPRequestHandler) -> None:
        sending(debug[:10], len(debug))(request)
        request.wfile.flush()
        done.wait(30)

    servers[0].answer = stall
    servers[1].answer = sending(debug)
    monkeypatch.setenv("DEBUGINFOD_TIMEOUT", "1")
    assert fetch_debug_file(binary.build_id) is not None
    done.set()


def test_a_server_that_trickles_is_given_up(
    servers: list[Server], binary: Binary, debug: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, but they are too few."""
    sent: list[int] = []

    def trickle(request: BaseHTTPRequestHandler) -> None:
        sending(b"", len(debug))(request)
        try:
            for byte in debug:
                request.wfile.write(bytes((byte,)))
                request.wfile.flush()
                sent.append(byte)
                time.sleep(0.1)
        except OSError:
            pass

    servers[0].answer = trickle
    servers[1].answer = sending(debug)
    monkeypatch.setenv("DEBUGINFOD_TIMEOUT", "1")
    assert fetch_debug_file(binary.build_id) is not None
    assert len(sent) < len(debug)


def test_a_file_that_is_too_large_is_not_taken(
    servers: list[Server], binary: Binary, debug: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers[0].answer = sending(debug, len(debug))
    servers[1].answer = sending(debug)
    monkeypatch.setenv("DEBUGINFOD_MAXSIZE", str(len(debug) - 1))
    assert fetch_debug_file(binary.build_id) is None
    assert not cache(tmp_path, binary).exists()


def test_redirects_lead_to_web_servers_only(servers: list[Server], binary: Binary, tmp_path: Path) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"file://{binary.path}")
        request.end_headers()

    servers[0].answer = redirect
    assert fetch_debug_file(binary.build_id) is None
    assert not cache(tmp_path, binary).exists()


def test_redirects_are_followed(servers: list[Server], binary: Binary, debug: bytes) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"{servers[1].url}/moved")
        request.end_headers()

    servers[0].answer = redirect
    servers[1].answer = sending(debug)
    assert fetch_debug_file(binary.build_id) is not None
    assert servers[1].asked == ["/moved"]


def test_a_folder_is_a_server_too(
    binary: Binary, debug: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "srv" / "buildid" / binary.build_id
    place.mkdir(parents=True)
    (place / "debuginfo").write_bytes(debug)
    monkeypatch.setenv("DEBUGINFOD_URLS", f"ftp://127.0.0.1 file://{tmp_path}/srv")
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    assert fetch_debug_file(binary.build_id) == str(cache(tmp_path, binary))


def test_a_server_that_is_not_there(binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1 nonsense http://[ ima:enforcing")
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    assert fetch_debug_file(binary.build_id) is None
    assert find_debug_file(binary) is None


def test_a_cache_that_cannot_be_written(
    servers: list[Server], binary: Binary, debug: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    servers[0].answer = sending(debug)
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "a file"))
    assert fetch_debug_file(binary.build_id) is None


def test_progress_is_told(servers: list[Server], binary: Binary, debug: bytes) -> None:
    servers[0].answer = sending(debug, len(debug))
    told: list[tuple[str, int, int]] = []
    fetch_debug_file(binary.build_id, lambda url, done, total: told.append((url, done, total)))
    assert told[-1] == (
        f"fetching {servers[0].url}/buildid/{binary.build_id}/debuginfo",
        len(debug),
        len(debug),
    )


@pytest.mark.parametrize("identity", ["", "../../etc/passwd", "AB" * 20, "abc"])
def test_what_is_no_build_id_is_not_asked_for(servers: list[Server], identity: str) -> None:
    assert fetch_debug_file(identity) is None
    assert servers[0].asked == []


def test_the_cache_is_that_of_other_clients(
    binary: Binary, debug: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEBUGINFOD_CACHE_PATH", raising=False)
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / "debuginfod_client" / binary.build_id / "debuginfo"
    place.parent.mkdir(parents=True)
    place.write_bytes(debug)
    assert fetch_debug_file(binary.build_id) == str(place)
    file = find_debug_file(binary)
    assert file is not None
    assert file.path == str(place)
