"""The parser's tables: what is in them, and their cache, which is used only if it is whole and ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from probelang.parse import tables
from probelang.parse.actions import ACTIONS
from probelang.parse.generator import make_tables
from probelang.parse.tables import GRAMMAR, cache_path, compile_tables, load_tables

TEXT = GRAMMAR.read_text("utf-8")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("probelang.parse.tables.COMPILED", tmp_path / "compiled")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = cache_path(TEXT)
    assert path is not None
    assert path.is_relative_to(tmp_path / "probelang")
    return path


def test_every_rule_has_an_action() -> None:
    made = make_tables(TEXT)
    wanted = {rule.action for rule in made.rules if rule.action}
    assert wanted == set(ACTIONS)


def test_the_cache_gives_back_what_was_made(cache: Path) -> None:
    made = load_tables()
    assert cache.exists()
    assert load_tables() == made
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def _refuse_to_make(grammar: str) -> object:
    raise AssertionError("the tables were made again")


def test_a_cached_table_is_not_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_tables()
    monkeypatch.setattr("probelang.parse.generator.make_tables", _refuse_to_make)
    load_tables()


@pytest.mark.parametrize("damage", [b"", b"xyz", b"\0" * 100])
def test_a_damaged_cache_is_made_again(cache: Path, damage: bytes) -> None:
    made = load_tables()
    cache.write_bytes(damage)
    assert load_tables().rules == made.rules
    assert cache.stat().st_size > 1000


def test_a_changed_byte_is_seen(cache: Path) -> None:
    load_tables()
    data = bytearray(cache.read_bytes())
    data[len(data) // 2] ^= 1
    cache.write_bytes(bytes(data))
    load_tables()
    assert cache.read_bytes() != bytes(data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_cache_of_somebody_else_is_not_read(cache: Path) -> None:
    load_tables()
    os.chown(cache, 12345, -1)
    load_tables()
    assert cache.stat().st_uid == os.geteuid()


def test_tables_that_were_compiled_need_no_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_tables()
    monkeypatch.setattr("probelang.parse.generator.make_tables", _refuse_to_make)
    assert load_tables().rules
    assert not cache.exists()
    compile_tables()


def test_no_place_for_a_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("probelang.parse.tables.COMPILED", tmp_path / "compiled")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.delenv("HOME", raising=False)
    assert cache_path(TEXT) is None
    assert load_tables().rules
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_tables().rules


def test_another_grammar_has_another_file(cache: Path) -> None:
    assert cache_path(TEXT + "\n") != cache
    assert str(tables.FORMAT) in cache.name
