"""The line on a terminal while something takes long."""

from __future__ import annotations

import io

import pytest

from probelang.cli import compiling
from probelang.cli.compiling import ProgressLine


def test_it_tells_how_much_is_done_and_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PROGRESS_S", 0)
    stream = io.StringIO()
    line = ProgressLine(stream)
    line("reading /bin/x", 1, 4)
    assert stream.getvalue() == "\r\x1b[K 25 % reading /bin/x"
    line("reading /bin/x", 4, 4)
    assert stream.getvalue().endswith("\r\x1b[K") and "\n" not in stream.getvalue()


def test_of_unknown_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PROGRESS_S", 0)
    stream = io.StringIO()
    ProgressLine(stream)("http://there", 3 << 20, 0)
    assert "3 MB http://there" in stream.getvalue()


def test_what_is_quick_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PROGRESS_S", 1e18)
    stream = io.StringIO()
    line = ProgressLine(stream)
    line("reading /bin/x", 1, 4)
    line("reading /bin/x", 4, 4)
    assert stream.getvalue() == ""
