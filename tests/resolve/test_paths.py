"""How programs and libraries are found."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest

from probelang.diag.target import NoSuchLibrary, NoSuchProcess, NoSuchProgram
from probelang.dwarf.image import BinaryError
from probelang.resolve.paths import (
    CACHE_ENTRY,
    CACHE_HEADER,
    CACHE_MAGIC,
    CACHE_X86_64,
    Host,
    executable_of,
    find_libraries,
    libraries_of,
    mapped_files,
    needed_libraries,
    parse_loader_cache,
    programs,
)
from tests.dwarf.targets import C, compile_target

LIBC = os.path.realpath("/lib/x86_64-linux-gnu/libc.so.6")


@pytest.fixture
def host(folder: Path) -> Host:
    return Host((str(folder), "/usr/bin", "/bin"))


def test_a_path_is_taken_as_it_stands(pie: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs(str(pie), host) == (str(pie),)
    monkeypatch.chdir(pie.parent)
    assert programs("./pie", host) == (str(pie),)


def test_links_are_followed(pie: Path, host: Host, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pie)
    assert programs(str(tmp_path / "link"), host) == (str(pie),)


def test_a_name_is_searched_in_path_first(pie: Path, host: Host) -> None:
    assert programs("pie", host) == (str(pie),)
    assert programs("sleep", host) == (os.path.realpath("/bin/sleep"),)


def test_a_name_that_is_no_program_is_a_library(host: Host) -> None:
    assert programs("libc.so.6", host) == (LIBC,)


def test_a_file_here_is_hinted_at(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BinaryError) as caught:
        programs("mine", host)
    assert caught.value.diagnostic == NoSuchProgram(name="mine", here=True)
    assert "./mine" in caught.value.diagnostic.help()


def test_a_glob_takes_elf_files_only_and_each_once(pie: Path, cpp: Path, host: Host, tmp_path: Path) -> None:
    shutil.copy(pie, tmp_path / "one")
    (tmp_path / "same").symlink_to(tmp_path / "one")
    (tmp_path / "text").write_text("x")
    (tmp_path / "sub").mkdir()
    assert programs(f"{tmp_path}/*", host) == (str(tmp_path / "one"),)
    with pytest.raises(BinaryError):
        programs(f"{tmp_path}/zork*", host)


def test_a_file_whose_name_looks_like_a_glob(pie: Path, host: Host, tmp_path: Path) -> None:
    shutil.copy(pie, tmp_path / "odd[1]")
    assert programs(f"{tmp_path}/odd[1]", host) == (str(tmp_path / "odd[1]"),)


@pytest.mark.parametrize(
    "line", ["#!{pie}", "#! {pie} -x", "#!/usr/bin/env pie", "#!/usr/bin/env -S A=1 pie -u"]
)
def test_a_script_is_its_interpreter(pie: Path, host: Host, tmp_path: Path, line: str) -> None:
    script = tmp_path / "script"
    script.write_text(line.replace("{pie}", str(pie)) + "\necho\n")
    script.chmod(0o755)
    assert programs(str(script), host) == (str(pie),)


def test_a_script_whose_interpreter_is_a_script(pie: Path, host: Host, tmp_path: Path) -> None:
    (tmp_path / "inner").write_text(f"#!{pie}\n")
    (tmp_path / "outer").write_text(f"#!{tmp_path}/inner\n")
    assert programs(str(tmp_path / "outer"), host) == (str(pie),)
    (tmp_path / "loop").write_text(f"#!{tmp_path}/loop\n")
    assert programs(str(tmp_path / "loop"), host) == (str(tmp_path / "loop"),)


def test_a_script_without_its_interpreter(host: Host, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/nonexistent/interpreter\n")
    with pytest.raises(BinaryError) as caught:
        programs(str(tmp_path / "script"), host)
    assert caught.value.diagnostic == NoSuchProgram(name="/nonexistent/interpreter")


# ------------------------------------------------------------------------------------------------ processes


def test_the_program_of_a_process() -> None:
    assert executable_of(os.getpid()) == os.path.realpath("/proc/self/exe")


def test_no_such_process() -> None:
    with pytest.raises(BinaryError) as caught:
        executable_of(0x3FFFFFFF)
    assert caught.value.diagnostic == NoSuchProcess(pid=0x3FFFFFFF)


def test_the_files_of_a_process() -> None:
    assert LIBC in mapped_files(os.getpid())
    assert mapped_files(0x3FFFFFFF) == ()


# ------------------------------------------------------------------------------------------------ libraries


def test_the_libraries_of_a_program(pie: Path, host: Host) -> None:
    assert [os.path.basename(p) for p in needed_libraries(str(pie), host)] == [
        "libc.so.6",
        "ld-linux-x86-64.so.2",
    ]
    assert libraries_of(str(pie), "libc.so*", host) == (LIBC,)
    assert libraries_of(str(pie), LIBC, host) == (LIBC,)


def test_libraries_beside_the_program(folder: Path, host: Host) -> None:
    (folder / "own").mkdir()
    library = compile_target(folder / "own", "libmine.so", C, "-shared", "-fPIC")
    program = compile_target(
        folder,
        "uses_own",
        C,
        "-L",
        str(folder / "own"),
        "-Wl,--no-as-needed",
        "-lmine",
        "-Wl,-rpath,$ORIGIN/own",
    )
    assert libraries_of(str(program), "libmine.so", host) == (str(library),)


def test_a_library_that_is_opened_later_is_found_by_name(pie: Path, host: Host) -> None:
    (found,) = libraries_of(str(pie), "libstdc++.so.6", host)
    assert os.path.basename(found).startswith("libstdc++.so.6")


def test_a_misspelt_library(pie: Path, host: Host) -> None:
    with pytest.raises(BinaryError) as caught:
        libraries_of(str(pie), "libC.so.6", host)
    diagnostic = caught.value.diagnostic
    assert isinstance(diagnostic, NoSuchLibrary)
    assert diagnostic.similar == ("libc.so.6",)


def test_the_loader_s_cache() -> None:
    strings = b"libx.so\0/opt/libx.so\0liby.so\0/opt/32/liby.so\0"
    start = CACHE_HEADER.size + 2 * CACHE_ENTRY.size
    entries = CACHE_ENTRY.pack(CACHE_X86_64, start, start + 8, 0, 0) + CACHE_ENTRY.pack(
        3, start + 21, start + 29, 0, 0
    )
    header = CACHE_HEADER.pack(CACHE_MAGIC, 2, len(strings), 2, 0, 0, 0, 0)
    data = header + entries + strings
    assert parse_loader_cache(data) == {"libx.so": "/opt/libx.so"}
    assert parse_loader_cache(data[:60]) == {}
    assert parse_loader_cache(b"") == {}
    assert parse_loader_cache(header[:20] + struct.pack("<I", 1 << 30) + header[24:]) == {}


def test_libraries_of_this_machine() -> None:
    assert [os.path.realpath(p) for p in find_libraries("libc.so.6")] == [LIBC]
    assert find_libraries("libnosuch.so") == []
    assert any("libc.so.6" in p for p in find_libraries("libc.so*"))
