"""The index on disk: it says what a walk says, whoever builds it, and is made anew when it is not to be trusted."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.dwarf import cache as cache_module
from probelang.dwarf import instances as instances_module
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.index import built_index, index_path, known_index
from probelang.dwarf.instances import find_instances, units_with
from probelang.dwarf.lines import matcher
from tests.conftest import Compile

SOURCES = Path(__file__).parent.parent / "exec" / "targets"
BUILD = """
import sys
from probelang.dwarf import instances
from probelang.dwarf.files import Files
instances.WALKED_BYTES = 0
for i in instances.find_instances(Files().debug(sys.argv[1]), "*"): print(i.name, i.address, i.inlined)
"""


@pytest.fixture(scope="module")
def program(compile_c: Compile) -> Path:
    return compile_c(SOURCES / "places.cpp", "-O2", "-g", name="indexed")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where indexes lie; patterns ask them however small the file is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(instances_module, "WALKED_BYTES", 0)
    return tmp_path / "probelang"


def debug_of(path: Path, progress: Callable[[str, int, int], None] | None = None) -> Debug:
    found = Files(progress=progress).debug(str(path))
    assert found is not None
    return found


def rows(debug: Debug, pattern: str, file: str = "") -> list[tuple[str, int, bool, int]]:
    return [(i.name, i.address, i.inlined, i.offset) for i in find_instances(debug, pattern, file)]


def files_in(cache: Path) -> list[str]:
    return sorted(entry.name for entry in cache.iterdir())


@pytest.mark.parametrize(
    "pattern", ["*", "shop::*", "t*", "add", "shop::Cart::add", "twice", "Cart", "nothing"]
)
@pytest.mark.parametrize("file", ["", "places.cpp", "none.c"])
def test_it_says_what_a_walk_says(
    program: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, file: str
) -> None:
    monkeypatch.setattr(instances_module, "WALKED_BYTES", 1 << 40)
    walked = rows(debug_of(program), pattern, file)
    assert not cache.exists()
    assert bool(walked) == (pattern != "nothing" and file != "none.c")
    monkeypatch.setattr(instances_module, "WALKED_BYTES", 0)
    debug = debug_of(program)
    built_index(debug)
    assert rows(debug, pattern, file) == walked
    assert rows(debug_of(program), pattern, file) == walked  # of the one on disk


def test_a_name_is_searched_without_one_but_uses_one_that_is_there(program: Path, cache: Path) -> None:
    debug = debug_of(program)
    rows(debug, "add")
    assert not debug.index and not cache.exists()
    built_index(debug_of(program))
    debug = debug_of(program)
    rows(debug, "add")
    assert debug.index


def test_units_that_know_a_source_file(program: Path, cache: Path) -> None:
    debug = debug_of(program)
    expected = [u.offset for u in debug.info.units if any(n.endswith("/places.cpp") for n in u.files)]
    assert expected
    assert built_index(debug).units_of(matcher("places.cpp")) == expected
    assert built_index(debug).units_of(matcher("nowhere.cpp")) == []
    assert [unit.offset for unit in units_with(debug, "places.cpp")] == expected
    path = index_path(debug)
    assert path is not None
    _without_tables(path)
    assert [unit.offset for unit in units_with(debug_of(program), "places.cpp")] == expected


def test_several_processes_may_build_it_at_once(program: Path, cache: Path) -> None:
    words = [sys.executable, "-c", BUILD, str(program)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    shown = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert len(set(shown)) == 1 and "add" in shown[0]
    assert len(files_in(cache)) == 1  # one index, nothing half-made


def _cut(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def _empty(path: str) -> None:
    os.truncate(path, 0)


def _noise(path: str) -> None:
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (os.path.getsize(path) - 4096))


def _text(path: str) -> None:
    Path(path).write_text("this is no index\n" * 1000)


def _unfinished(path: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM finished")
    connection.close()


def _of_another_format(path: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE finished SET format = format + 1")
    connection.close()


def _without_tables(path: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE instances")
        connection.execute("DROP TABLE sources")
    connection.close()


def _of_other_entries(path: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE instances SET position = position + 3, around = 5")
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [_cut, _empty, _noise, _text, _unfinished, _of_another_format, _without_tables, _of_other_entries],
)
def test_a_damaged_index_is_made_anew(program: Path, cache: Path, damage: Callable[[str], None]) -> None:
    expected = rows(debug_of(program), "*")
    debug = debug_of(program)
    path = index_path(debug)
    assert path is not None
    damage(path)
    assert rows(debug, "*") == expected
    assert rows(debug_of(program), "*") == expected
    assert known_index(debug_of(program)) is not None


def _lie(path: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE functions SET name = 'other', last = 'other'")
    connection.close()


def _writable_by_all(path: str) -> None:
    _lie(path)
    os.chmod(path, 0o666)


def _of_another_user(path: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    _lie(path)
    try:
        os.chown(path, 65534, 65534)
    except OSError:
        pytest.skip("needs root that may give files away")


def _a_link(path: str) -> None:
    _lie(path)
    os.rename(path, f"{path}.elsewhere")
    os.symlink(f"{path}.elsewhere", path)


def _in_an_open_folder(path: str) -> None:
    _lie(path)
    os.chmod(os.path.dirname(path), 0o777)


@pytest.mark.parametrize("make", [_writable_by_all, _of_another_user, _a_link, _in_an_open_folder])
def test_what_others_may_have_written_is_not_read(
    program: Path, cache: Path, make: Callable[[str], None]
) -> None:
    expected = rows(debug_of(program), "*")
    path = index_path(debug_of(program))
    assert path is not None
    make(path)
    assert known_index(debug_of(program)) is None
    assert rows(debug_of(program), "*") == expected
    state = os.lstat(path)  # a new one, or none that counts
    assert (state.st_uid, state.st_mode & 0o177) == (os.geteuid(), 0)


def test_without_a_place_for_it_it_lives_in_memory(
    program: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = rows(debug_of(program), "*")
    (tmp_path / "file").touch()
    for variables in ({"XDG_CACHE_HOME": str(tmp_path / "file")}, {"XDG_CACHE_HOME": "", "HOME": ""}):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert rows(debug_of(program), "*") == expected


def test_a_program_without_build_id_is_known_by_its_file(compile_c: Compile, cache: Path) -> None:
    first = compile_c(SOURCES / "places.c", "-O2", "-g", "-Wl,--build-id=none", name="nameless")
    names = {name for name, *_ in rows(debug_of(first), "*")}
    assert len(files_in(cache)) == 1
    time.sleep(0.01)
    compile_c(SOURCES / "places.cpp", "-O2", "-g", "-Wl,--build-id=none", name="nameless")
    assert {name for name, *_ in rows(debug_of(first), "*")} != names
    assert len(files_in(cache)) == 2


def test_the_oldest_go_when_there_are_too_many(
    program: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir(parents=True)
    monkeypatch.setattr(cache_module, "MOST_BYTES", 3000)
    for number in range(4):
        old = cache / f"places-0-{number}.sqlite"
        old.write_bytes(bytes(1000))
        os.utime(old, (number + 1, number + 1))
    (cache / "features.json").write_bytes(bytes(5000))
    (cache / "places-0-half.sqlite.17").write_bytes(b"")
    os.utime(cache / "places-0-half.sqlite.17", (1, 1))
    rows(debug_of(program), "*")
    left = files_in(cache)
    assert "features.json" in left  # not ours
    assert [name for name in left if name.startswith("places-")] == [
        os.path.basename(str(index_path(debug_of(program))))
    ]


def test_using_it_keeps_it_young(program: Path, cache: Path) -> None:
    rows(debug_of(program), "*")
    path = index_path(debug_of(program))
    assert path is not None
    os.utime(path, (1, 1))
    rows(debug_of(program), "*")
    assert os.stat(path).st_mtime > 1


def test_progress_is_told_up_to_the_end(program: Path, cache: Path) -> None:
    told: list[tuple[str, int, int]] = []
    rows(debug_of(program, lambda what, done, total: told.append((what, done, total))), "*")
    assert told[-1][1] == told[-1][2] > 0
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert str(program) in told[0][0]


def test_an_interrupted_build_leaves_nothing(program: Path, cache: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows(debug_of(program, interrupt), "*")
    assert files_in(cache) == []
