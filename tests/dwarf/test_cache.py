"""What is kept on disk: decompressed sections and answers to look-ups; never believed when it is not ours, not whole, or of another file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.dwarf import inflated
from probelang.dwarf.answers import Answers
from probelang.dwarf.compression import Budget, open_section
from probelang.dwarf.image import read_image
from tests.conftest import Compile

SOURCES = Path(__file__).parent.parent / "exec" / "targets"
NAMES = (".debug_info", ".debug_str", ".debug_line")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(inflated, "KEPT_BYTES", 1)
    monkeypatch.setattr(inflated, "_SPACE_LEFT", 1)
    return tmp_path / "cache" / "probelang"


@pytest.fixture
def packed(compile_c: Compile, tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A program with compressed sections, and what they are without compression."""
    plain = compile_c(SOURCES / "places.c", "-O2", "-g", name="plain")
    program = tmp_path / "packed"
    subprocess.run(["objcopy", "--compress-debug-sections=zlib", plain, program], check=True)
    return program, sections(plain)


def sections(program: Path) -> dict[str, bytes]:
    image, budget = read_image(str(program)), Budget()
    found = {name: open_section(image, name, budget) for name in NAMES}
    return {name: section.take(0, section.size) for name, section in found.items() if section is not None}


def kept(cache: Path) -> list[Path]:
    return sorted(cache.glob("section-*"))


def test_a_section_is_decompressed_once(
    packed: tuple[Path, dict[str, bytes]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, expected = packed
    assert sections(program) == expected
    assert len(kept(cache)) == len(NAMES)

    def refuse(*_: object) -> None:
        raise AssertionError("written again")

    monkeypatch.setattr(inflated, "_write", refuse)
    assert sections(program) == expected


def test_no_unfinished_file_is_left(packed: tuple[Path, dict[str, bytes]], cache: Path) -> None:
    sections(packed[0])
    assert {path.suffix for path in cache.iterdir()} == set(NAMES)


def _zeros(path: Path) -> None:
    """As a machine leaves it that lost its power."""
    path.write_bytes(bytes(path.stat().st_size))


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _cut_short(path: Path) -> None:
    os.truncate(path, 7)


def _writable_by_others(path: Path) -> None:
    path.chmod(0o666)


def _in_a_folder_of_everybodys(path: Path) -> None:
    path.parent.chmod(0o777)


@pytest.mark.parametrize(
    "spoil", [_cut_short, _zeros, _writable_by_others, _link, _folder, _in_a_folder_of_everybodys]
)
def test_what_is_damaged_or_not_ours_is_not_read(
    packed: tuple[Path, dict[str, bytes]], cache: Path, spoil: Callable[[Path], object]
) -> None:
    program, expected = packed
    sections(program)
    for path in kept(cache):
        spoil(path)
    assert sections(program) == expected


def test_another_file_in_its_place_has_its_own(
    packed: tuple[Path, dict[str, bytes]], cache: Path, compile_c: Compile
) -> None:
    program, _ = packed
    sections(program)
    other = compile_c(SOURCES / "places.c", "-O0", "-g", name="other")
    expected = sections(other)
    subprocess.run(["objcopy", "--compress-debug-sections=zlib", other, program], check=True)
    assert sections(program) == expected


def test_a_disk_is_not_filled(
    packed: tuple[Path, dict[str, bytes]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, expected = packed
    monkeypatch.setattr(inflated, "_SPACE_LEFT", 1 << 60)
    assert sections(program) == expected
    assert not list(cache.iterdir())


def test_without_a_place_they_are_decompressed_each_time(
    packed: tuple[Path, dict[str, bytes]], cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, expected = packed
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert sections(program) == expected


# ------------------------------------------------------------------------------------------------------ answers


def test_answers_are_there_for_the_next_run(tmp_path: Path) -> None:
    path = str(tmp_path / "answers")
    Answers(path).put("units", b"list insert\n", [3, 5])
    Answers(path).put("units", b"", [])
    assert Answers(path).get("units", b"list insert\n") == (3, 5)
    assert Answers(path).get("units", b"") == ()
    assert Answers(path).get("places", b"list insert\n") is None


def test_the_last_answer_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "answers")
    for number in (1, 2):
        Answers(path).put("units", b"f", [number])
    assert Answers(path).get("units", b"f") == (2,)


def test_torn_and_foreign_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    Answers(str(path)).put("units", b"whole", [1])
    with path.open("ab") as file:
        file.write(b"units 746f726e 3 1 2\nunits 78 x 1\n\xff\xfe\n\n")
    assert Answers(str(path)).get("units", b"whole") == (1,)
    assert Answers(str(path)).get("units", b"torn") is None


def test_answers_of_others_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    Answers(str(path)).put("units", b"f", [1])
    path.chmod(0o666)
    assert Answers(str(path)).get("units", b"f") is None


def test_answers_that_cannot_be_kept_are_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (None, str(tmp_path / "file" / "answers")):
        answers = Answers(path)
        answers.put("units", b"f", [1])
        assert answers.get("units", b"f") == (1,)
