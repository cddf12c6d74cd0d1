"""Where the debug information of a binary is found, and that it belongs to it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from probelang.diag.target import CorruptFile, MissingDebugFile
from probelang.dwarf import zstd
from probelang.dwarf.advice import debug_advice
from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.compression import Budget, open_section
from probelang.dwarf.debugfile import DebugFile, find_debug_file
from probelang.dwarf.image import BinaryError, Image, read_image
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.types import Types

SOURCE = """
struct marker_of_this_program { int first; struct marker_of_this_program *next; };
static int helper(struct marker_of_this_program *m) { return m->first; }
int main(int argc, char **argv) { struct marker_of_this_program m = {argc, 0}; return helper(&m); }
"""


def run(*command: str | Path, cwd: Path) -> None:
    subprocess.run([str(word) for word in command], cwd=cwd, check=True, capture_output=True, timeout=30)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A program with its debug information in it."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "t.c").write_text(SOURCE)
    run("gcc", "-g", "-O0", "-Wl,--build-id", "-o", "program", "src/t.c", cwd=tmp_path)
    return tmp_path / "program"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of debug files, like /usr/lib/debug; empty."""
    path = tmp_path / "debug"
    path.mkdir()
    return path


def separate(program: Path, to: Path, link: bool = False) -> Path:
    """Moves the debug information to a file of its own."""
    to.parent.mkdir(parents=True, exist_ok=True)
    run("objcopy", "--only-keep-debug", program, to, cwd=program.parent)
    run("strip", program, cwd=program.parent)
    if link:
        run("objcopy", f"--add-gnu-debuglink={to}", program, cwd=to.parent)
    return to


def without_build_id(program: Path) -> None:
    run("objcopy", "--remove-section=.note.gnu.build-id", program, cwd=program.parent)


def by_build_id(folder: Path, binary: Binary) -> Path:
    return folder / ".build-id" / binary.build_id[:2] / f"{binary.build_id[2:]}.debug"


def found_at(program: Path, folder: Path) -> str | None:
    file = find_debug_file(open_binary(str(program), str(folder)), str(folder))
    if file is None:
        return None
    assert Types(DebugInfo(file)).find("struct marker_of_this_program") is not None
    return file.path


# ------------------------------------------------------------------------------------------------ separate files


def test_its_own(whole: Path, folder: Path) -> None:
    assert found_at(whole, folder) == str(whole)


def test_none(whole: Path, folder: Path) -> None:
    run("strip", whole, cwd=whole.parent)
    assert found_at(whole, folder) is None


def test_by_build_id(whole: Path, folder: Path) -> None:
    place = by_build_id(folder, open_binary(str(whole)))
    separate(whole, place)
    assert found_at(whole, folder) == str(place)


def test_the_symbols_of_a_stripped_program_come_from_there_too(whole: Path, folder: Path) -> None:
    separate(whole, by_build_id(folder, open_binary(str(whole))))
    binary = open_binary(str(whole), str(folder))
    assert not binary.stripped
    assert len(binary.symbols_named(b"helper")) == 1


def test_a_file_with_another_build_id_is_not_taken(whole: Path, folder: Path, tmp_path: Path) -> None:
    place = by_build_id(folder, open_binary(str(whole)))
    run("strip", whole, cwd=tmp_path)
    run("gcc", "-g", "-O2", "-Wl,--build-id", "-o", "other", "src/t.c", cwd=tmp_path)
    place.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "other", place)
    assert found_at(whole, folder) is None
    assert open_binary(str(whole), str(folder)).stripped


@pytest.mark.parametrize("where", ["beside", "in .debug", "below the folder"])
def test_by_link(whole: Path, folder: Path, tmp_path: Path, where: str) -> None:
    without_build_id(whole)
    places = {
        "beside": tmp_path / "program.debug",
        "in .debug": tmp_path / ".debug" / "program.debug",
        "below the folder": Path(f"{folder}{tmp_path}") / "program.debug",
    }
    separate(whole, places[where], link=True)
    assert found_at(whole, folder) == str(places[where])
    assert len(open_binary(str(whole), str(folder)).symbols_named(b"helper")) == 1


def test_a_linked_file_is_found_through_a_symbolic_link_to_the_program(
    whole: Path, folder: Path, tmp_path: Path
) -> None:
    without_build_id(whole)
    place = separate(whole, tmp_path / "program.debug", link=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "alias").symlink_to(whole)
    assert found_at(tmp_path / "bin" / "alias", folder) == str(place)


def test_a_linked_file_with_another_checksum_is_not_taken(whole: Path, folder: Path, tmp_path: Path) -> None:
    without_build_id(whole)
    place = separate(whole, tmp_path / "program.debug", link=True)
    place.write_bytes(place.read_bytes() + b"\0")
    assert found_at(whole, folder) is None


def test_a_build_id_outweighs_the_checksum(whole: Path, folder: Path, tmp_path: Path) -> None:
    place = separate(whole, tmp_path / "program.debug", link=True)
    place.write_bytes(place.read_bytes() + b"\0")
    assert found_at(whole, folder) == str(place)


def test_a_link_to_the_program_itself_leads_nowhere(whole: Path, folder: Path, tmp_path: Path) -> None:
    run("strip", whole, cwd=tmp_path)
    (tmp_path / "d").mkdir()
    shutil.copy(whole, tmp_path / "d" / "program")
    run("objcopy", f"--add-gnu-debuglink={tmp_path / 'd' / 'program'}", whole, cwd=tmp_path)
    assert found_at(whole, folder) is None


def test_a_damaged_separate_file_is_as_good_as_none(whole: Path, folder: Path) -> None:
    place = separate(whole, by_build_id(folder, open_binary(str(whole))))
    place.write_bytes(place.read_bytes()[:200])
    assert found_at(whole, folder) is None


# ------------------------------------------------------------------------------------------------ shared (dwz)


def shared_pair(whole: Path) -> Path:
    if shutil.which("dwz") is None:
        pytest.skip("needs dwz")
    shutil.copy(whole, whole.parent / "second")
    run("dwz", "-m", "common.debug", "-r", "program", "second", cwd=whole.parent)
    return whole.parent / "common.debug"


def test_what_dwz_moved_is_found_beside_the_file(whole: Path, folder: Path) -> None:
    common = shared_pair(whole)
    file = find_debug_file(open_binary(str(whole)), str(folder))
    assert file is not None
    assert file.alternate is not None
    assert Path(file.alternate.path).resolve() == common
    assert found_at(whole, folder) == str(whole)


def test_what_dwz_moved_is_found_by_build_id(whole: Path, folder: Path) -> None:
    common = shared_pair(whole)
    identity = read_image(str(common), objects=True)
    from probelang.dwarf.image import build_id

    number = build_id(identity)
    place = folder / ".build-id" / number[:2] / f"{number[2:]}.debug"
    place.parent.mkdir(parents=True)
    common.rename(place)
    assert found_at(whole, folder) == str(whole)


def test_what_dwz_moved_and_is_not_there_is_missed_by_name(whole: Path, folder: Path) -> None:
    shared_pair(whole).unlink()
    file = find_debug_file(open_binary(str(whole)), str(folder))
    assert file is not None
    with pytest.raises(BinaryError) as caught:
        _ = file.alternate
    assert caught.value.diagnostic == MissingDebugFile(path=str(whole), part="common.debug")


def test_what_dwz_moved_must_be_of_the_same_build(whole: Path, folder: Path) -> None:
    shutil.copy(whole, shared_pair(whole))
    file = find_debug_file(open_binary(str(whole)), str(folder))
    assert file is not None
    with pytest.raises(BinaryError):
        _ = file.alternate


# ------------------------------------------------------------------------------------------------- split files


@pytest.fixture
def split(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "t.c").write_text(SOURCE)
    run("gcc", "-gdwarf-4", "-gsplit-dwarf", "-c", "-o", "src/t.o", "src/t.c", cwd=tmp_path)
    run("gcc", "-o", "program", "src/t.o", cwd=tmp_path)
    return tmp_path / "program"


def test_the_split_file_where_the_compiler_put_it(split: Path, folder: Path) -> None:
    assert found_at(split, folder) == str(split)


def test_the_split_file_beside_a_program_that_was_moved(split: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    split.rename(tmp_path / "elsewhere" / "program")
    (tmp_path / "src" / "t.dwo").rename(tmp_path / "elsewhere" / "t.dwo")
    found_at(tmp_path / "elsewhere" / "program", folder)


def test_a_split_file_of_another_compilation_is_not_taken(split: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "src" / "t.c").write_text(SOURCE + "int more;\n")
    run("gcc", "-gdwarf-4", "-gsplit-dwarf", "-c", "-o", "src/t.o", "src/t.c", cwd=tmp_path)
    file = find_debug_file(open_binary(str(split)), str(folder))
    assert file is not None
    unit = DebugInfo(file).units[0]
    assert unit.full is unit


def test_a_split_file_that_is_not_here_is_missed_by_name(split: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "src" / "t.dwo").unlink()
    file = find_debug_file(open_binary(str(split)), str(folder))
    assert file is not None
    main = open_binary(str(split)).symbols_named(b"main")[0].address
    assert DebugInfo(file).missing_at(main).endswith("t.dwo")
    assert DebugInfo(file).missing_at(0) == ""


def test_a_split_file_that_is_here_is_not_missed(split: Path, folder: Path) -> None:
    file = find_debug_file(open_binary(str(split)), str(folder))
    assert file is not None
    main = open_binary(str(split)).symbols_named(b"main")[0].address
    assert DebugInfo(file).missing_at(main) == ""


def test_a_package_is_found_beside_the_program(split: Path, folder: Path, tmp_path: Path) -> None:
    if shutil.which("dwp") is None:
        pytest.skip("needs dwp")
    run("dwp", "-e", "program", "-o", "program.dwp", cwd=tmp_path)
    (tmp_path / "src" / "t.dwo").unlink()
    found_at(split, folder)


# -------------------------------------------------------------------------------------------------- compression


def an_image(path: Path, section: str, data: bytes, flags: int = 0) -> Image:
    """An ELF file with one section."""
    names = b"\0.shstrtab\0" + section.encode() + b"\0"
    body = 64
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 0, body + len(names) + len(data), 0, 64, 56, 0, 64, 3, 1
    )  # fmt: skip
    rows = struct.pack("<IIQQQQIIQQ", *(0,) * 10)
    rows += struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, body, len(names), 0, 0, 1, 0)
    rows += struct.pack("<IIQQQQIIQQ", 11, 1, flags, 0, body + len(names), len(data), 0, 0, 1, 0)
    path.write_bytes(header + names + data + rows)
    return read_image(str(path))


TEXT = b"what stands in it, " * 2000
COMPRESSED = 0x800


def chdr(kind: int, size: int) -> bytes:
    return struct.pack("<IIQQ", kind, 0, size, 1)


def contents(image: Image, name: str = ".debug_info", budget: int = 1 << 30) -> bytes:
    section = open_section(image, name, Budget(budget))
    return b"" if section is None else section.take(0, section.size)


def test_plain(tmp_path: Path) -> None:
    assert contents(an_image(tmp_path / "x", ".debug_info", TEXT)) == TEXT


def test_zlib(tmp_path: Path) -> None:
    data = chdr(1, len(TEXT)) + zlib.compress(TEXT)
    assert contents(an_image(tmp_path / "x", ".debug_info", data, COMPRESSED)) == TEXT


def test_zlib_in_several_streams(tmp_path: Path) -> None:
    data = chdr(1, 3 * len(TEXT)) + 3 * zlib.compress(TEXT)
    assert contents(an_image(tmp_path / "x", ".debug_info", data, COMPRESSED)) == 3 * TEXT


def test_what_is_large_is_the_same(tmp_path: Path) -> None:
    large = bytes(range(256)) * (12 << 12)
    data = chdr(1, len(large)) + zlib.compress(large)
    assert contents(an_image(tmp_path / "x", ".debug_info", data, COMPRESSED)) == large


def test_the_old_way(tmp_path: Path) -> None:
    data = b"ZLIB" + struct.pack(">Q", len(TEXT)) + zlib.compress(TEXT)
    assert contents(an_image(tmp_path / "x", ".zdebug_info", data)) == TEXT


@pytest.mark.parametrize("repeat", [1, 300])
def test_zstd(tmp_path: Path, repeat: int) -> None:
    if not zstd.available() or shutil.which("zstd") is None:
        pytest.skip("needs zstd")
    text = TEXT * repeat
    packed = subprocess.run(["zstd", "-c"], input=text, capture_output=True, check=True).stdout
    assert contents(an_image(tmp_path / "x", ".debug_info", chdr(2, len(text)) + packed, COMPRESSED)) == text


def refusal(image: Image, budget: int = 1 << 30) -> CorruptFile:
    with pytest.raises(BinaryError) as caught:
        contents(image, budget=budget)
    assert isinstance(caught.value.diagnostic, CorruptFile)
    return caught.value.diagnostic


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (chdr(1, len(TEXT)) + zlib.compress(TEXT)[:-20], f"claims {len(TEXT)} bytes and has"),
        (chdr(1, len(TEXT) + 1) + zlib.compress(TEXT), f"claims {len(TEXT) + 1} bytes and has {len(TEXT)}"),
        (chdr(1, 40) + zlib.compress(TEXT), "cannot be decompressed: there is more than the section claims"),
        (chdr(1, len(TEXT)) + b"nothing of the kind" * 9, "cannot be decompressed: "),
        (chdr(1, 1 << 60) + zlib.compress(TEXT), "which"),
        (chdr(2, len(TEXT)) + b"nothing of the kind" * 9, "cannot be decompressed: "),
        (chdr(7, len(TEXT)) + zlib.compress(TEXT), "has an unknown compression (number 7)"),
        (b"short", "ends before 0x18"),
    ],
)  # fmt: skip
def test_damaged_compression_names_the_section(tmp_path: Path, data: bytes, reason: str) -> None:
    found = refusal(an_image(tmp_path / "x", ".debug_info", data, COMPRESSED))
    assert found.part == "section `.debug_info`"
    assert reason in found.reason


def test_a_bomb_is_not_set_off(tmp_path: Path) -> None:
    size = 64 << 20
    data = chdr(1, size) + zlib.compress(bytes(size), 9)
    image = an_image(tmp_path / "x", ".debug_info", data, COMPRESSED)
    assert "is too large" in refusal(image, budget=size - 1).reason


def test_sections_of_one_name_are_joined(tmp_path: Path) -> None:
    """As the units of types in a split file."""
    (tmp_path / "t.cpp").write_text("struct a { int x; } one; struct b { int y; } two;")
    flags = ("-gdwarf-5", "-gsplit-dwarf", "-fdebug-types-section")
    run("g++", *flags, "-c", "-o", "t.o", "t.cpp", cwd=tmp_path)
    image = read_image(str(tmp_path / "t.dwo"), objects=True)
    sizes = [s.size for s in image.sections if s.name == ".debug_info.dwo"]
    assert len(sizes) > 1
    section = DebugFile(image, "").section(".debug_info.dwo")
    assert len(section) == sum(sizes)
    assert {u.kind for u in DebugInfo(DebugFile(image, ""), ".dwo").units} == {"split", "type"}


# ------------------------------------------------------------------------------------------------------- advice


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Lists of dpkg and os-release of a made-up system."""
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    lists = tmp_path / "info"
    lists.mkdir()
    (lists / "libc6:amd64.list").write_text("/.\n/lib/x86_64-linux-gnu/libc.so.6\n")
    (lists / "bash.list").write_text("/.\n/bin\n/bin/bash\n/usr/bin/bashbug\n")
    (tmp_path / "os-release").write_text('NAME="Some"\nID=some\nID_LIKE="ubuntu debian"\n')
    return lists, tmp_path / "os-release"


def advice(path: str, system: tuple[Path, Path]) -> str:
    return debug_advice(open_binary(path), str(system[0]), str(system[1]))


def test_the_package_is_named(system: tuple[Path, Path]) -> None:
    expected = "install `bash-dbgsym`, or set DEBUGINFOD_URLS=https://debuginfod.ubuntu.com"
    assert advice("/bin/bash", system) == expected
    assert advice("/lib/x86_64-linux-gnu/libc.so.6", system).startswith("install `libc6-dbg`, or ")


def test_servers_that_gave_nothing_are_not_advised(
    system: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:9")
    assert advice("/bin/bash", system).endswith(
        "or ask another server: those of DEBUGINFOD_URLS gave nothing"
    )


def test_what_no_package_has_is_compiled_again(system: tuple[Path, Path], whole: Path) -> None:
    assert advice(str(whole), system) == "compile it with `gcc -g`"
