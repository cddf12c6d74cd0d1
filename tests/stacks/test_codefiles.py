"""Files of code: how programs in the kernel know them, and what becomes of them when they are removed or lie elsewhere.

The oracle is the kernel itself: the same file reached in two ways has one inode, different files have different ones.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probelang.artifact.limits import Limits
from probelang.artifact.manifest import VERSION, Constant, Manifest, MapSpec
from probelang.artifact.stacks import UNWIND_ROW
from probelang.runtime import bpf
from probelang.runtime.features import detect
from probelang.runtime.load import Loaded, Map, make_map
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.stacks.codefiles import VDSO_KEY, CodeFiles
from probelang.runtime.stacks.held import Held, hold
from probelang.runtime.stacks.inodes import InodeReader
from probelang.runtime.stacks.kernel import KernelCode
from probelang.runtime.stacks.libraries import needed_files, programs_named
from probelang.runtime.stacks.rows import LEAST_ROWS, RowMap, rows_for

Requires = Callable[..., None]
WAITING = '#include <unistd.h>\nint main() { write(1, "x", 1); pause(); }'


def started(path: Path) -> subprocess.Popen[bytes]:
    """The program WAITING, when it runs: Popen returns before the kernel has mapped it."""
    process = subprocess.Popen([str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(1) == b"x"
    return process


@pytest.fixture(params=["task_vma_iterator", "find_vma"])
def reader(request: pytest.FixtureRequest, requires: Requires) -> Iterator[InodeReader]:
    """Both ways to a mapping."""
    requires("root", "raw_tracepoints")
    if request.param == "task_vma_iterator":
        requires("task_vma_iterator")
    with InodeReader(detect() - {"find_vma", "task_vma_iterator"} | {request.param}) as made:
        yield made


def opened(path: Path | str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def test_files_are_told_apart_and_recognised(reader: InodeReader, tmp_path: Path) -> None:
    names = [tmp_path / f"file{i}" for i in range(3)]
    for path in names:
        path.write_text("content")
    os.link(names[0], tmp_path / "other name")
    fds = [opened(path) for path in (*names, tmp_path / "other name")]
    mapped = [reader.mapped(fd) for fd in fds]
    assert all(pointer >> 47 for pointer in mapped)
    assert len(set(mapped)) == 3
    assert mapped[0] == mapped[3]
    assert [reader.opened(fd) for fd in fds] == mapped
    for fd in fds:
        os.close(fd)


def test_what_is_no_file_has_no_inode(reader: InodeReader, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    room = ctypes.create_string_buffer(100)
    assert reader.at(ctypes.addressof(room)) == 0
    assert reader.at(8) == 0
    assert reader.opened(999_999) == 0
    fd = opened(tmp_path)
    assert reader.mapped(fd) == 0
    os.close(fd)


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A file of an overlay, and the same where it lies below."""
    folders = {name: tmp_path / name for name in ("lower", "upper", "work", "merged")}
    for folder in folders.values():
        folder.mkdir()
    shutil.copy("/bin/true", folders["lower"] / "program")
    options = f"lowerdir={folders['lower']},upperdir={folders['upper']},workdir={folders['work']}"
    words = ["mount", "-t", "overlay", "overlay", "-o", options, str(folders["merged"])]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount an overlay here")
    try:
        yield folders["merged"] / "program", folders["lower"] / "program"
    finally:
        subprocess.run(["umount", "-l", str(folders["merged"])], check=True)


def test_on_an_overlay_a_mapping_has_the_inode_of_the_layer(
    reader: InodeReader, overlay: tuple[Path, Path]
) -> None:
    merged, lower = (opened(path) for path in overlay)
    assert reader.mapped(merged) == reader.mapped(lower) == reader.opened(lower)
    assert reader.opened(merged) not in (0, reader.mapped(merged))
    os.close(merged)
    os.close(lower)


# ------------------------------------------------------------------------------------------------------ held


def test_a_held_file_can_be_opened_when_its_name_is_gone_or_taken(requires: Requires, tmp_path: Path) -> None:
    requires("root")
    path = tmp_path / "file"
    path.write_text("first")
    held = hold(str(path))
    assert held is not None
    assert held.path == str(path)
    path.unlink()
    assert Path(held.path).read_text() == "first"
    path.write_text("second")
    assert Path(held.path).read_text() == "first"
    held.close()


def test_holding_needs_no_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    held: list[Held | None] = []
    for i in range(50):
        path = tmp_path / str(i)
        path.write_text("x")
        held.append(hold(str(path)))
    assert len(os.listdir("/proc/self/fd")) == before
    for one in held:
        assert one is not None
        one.close()


def test_what_cannot_be_opened_is_not_held(tmp_path: Path) -> None:
    assert hold(str(tmp_path / "missing")) is None
    assert hold(str(tmp_path)) is None
    os.mkfifo(tmp_path / "fifo")
    assert hold(str(tmp_path / "fifo")) is None
    assert hold("a\0b") is None


# ------------------------------------------------------------------------------------------------- libraries


def test_libraries_are_found_as_the_loader_finds_them() -> None:
    """Against ldd."""
    text = subprocess.run(["ldd", "/usr/bin/env"], capture_output=True, text=True, check=True).stdout
    wanted = {word for word in text.split() if word.startswith("/")}
    found = needed_files("/usr/bin/env")
    assert found[0] == "/usr/bin/env"
    assert {os.path.realpath(path) for path in wanted} <= {os.path.realpath(path) for path in found}


def test_libraries_beside_the_program(compile_c: Callable[..., Path], tmp_path: Path) -> None:
    library = compile_c(
        "int f(void) { return 1; }", "-shared", "-fPIC", "-Wl,-soname,libbeside.so", name="libbeside.so"
    )
    program = compile_c(
        "int f(void); int main() { return f(); }",
        f"-L{library.parent}",
        "-lbeside",
        "-Wl,-rpath,$ORIGIN",
        name="beside",
    )
    assert str(library) in needed_files(str(program))


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\2\1\1" + bytes(57), b"#!/bin/sh\n"])
def test_no_program_needs_only_itself(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert needed_files(str(tmp_path / "x")) == [str(tmp_path / "x")]


def test_programs_of_a_command_are_those_that_its_words_name(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/usr/bin/env bash\ntrue\n")
    (tmp_path / "script").chmod(0o755)
    found = programs_named(["env", "LANG=C", "sh", "-c", f"'{tmp_path}/script; no-such-program | true'"])
    names = {os.path.basename(path) for path in found}
    assert names == {"env", "sh", "bash", "true"}
    assert programs_named(["", "a\0b", str(tmp_path)]) == []


# ------------------------------------------------------------------------------------------------------ maps


def manifest_with(*names: str, code_files: tuple[str, ...] = (), constants: tuple[str, ...] = ()) -> Manifest:
    maps = {
        "code_files": MapSpec("code_files", "hash", 8, 32, 64, 1),
        "unwind_rows": MapSpec("unwind_rows", "array", 4, 0, 1, bpf.F_MMAPABLE),
    }
    return Manifest(
        version=VERSION,
        probelang="",
        limits=Limits(),
        variables=(),
        storages=(),
        functions=(),
        probes=(),
        automata=(),
        places=(),
        maps=tuple(maps[name] for name in names),
        programs=(),
        records=(),
        constants=tuple(Constant(name, 8 * i) for i, name in enumerate(constants)),
        words=(("code_files_next", 0),),
        code_files=code_files,
    )


def load_maps(code: KernelCode, manifest: Manifest) -> Loaded:
    """As `load_object` makes them, without programs."""
    import mmap

    loaded = Loaded(manifest, frozenset(), {}, {})
    for spec in manifest.maps:
        size = code.value_sizes().get(spec.name, spec.value_size)
        made = MapSpec(spec.name, spec.type, spec.key_size, size, spec.max_entries, spec.flags)
        loaded.maps[spec.name] = Map(make_map(made), made)
    words = MapSpec(".bss", "array", 4, 4096, 1, bpf.F_MMAPABLE)
    fd = make_map(words)
    loaded.maps[".bss"] = Map(fd, words, mmap.mmap(fd, 4096))
    return loaded


def entries(loaded: Loaded) -> dict[int, tuple[int, ...]]:
    """The map `code_files`."""
    rows = bpf.lookup_batch(loaded.maps["code_files"].fd, 8, 32, 64)
    return {struct.unpack("<Q", key)[0]: struct.unpack("<IIIIQQ", value) for key, value in rows}


def test_programs_know_the_files_of_the_manifest_and_the_vdso(requires: Requires, tmp_path: Path) -> None:
    requires("root", "raw_tracepoints")
    paths = ("/bin/true", "/bin/false")
    manifest = manifest_with(
        "code_files", code_files=paths, constants=("inode:/bin/true", "exe_inode:/bin/false", "run:self")
    )
    code = KernelCode(manifest, RunOptions(detect()))
    with load_maps(code, manifest) as loaded:
        code.fill(loaded)
        known = entries(loaded)
        assert sorted(value[0] for value in known.values()) == [1, 2, 3]
        assert known[VDSO_KEY][0] == 3
        assert known[code.values()["inode:/bin/true"]][0] == 1
        assert known[code.values()["exe_inode:/bin/false"]][0] == 2
        assert loaded.word("code_files_next") > 3
        assert not any(value[1] for value in known.values())
    code.close()


def test_a_file_that_programs_meet_gets_its_name_and_rows(
    requires: Requires, compile_c: Callable[..., Path]
) -> None:
    requires("root", "raw_tracepoints")
    path = compile_c(WAITING, "-O2", name="met")
    manifest = manifest_with("code_files", "unwind_rows")
    with started(path) as process, InodeReader(detect()) as reader:
        try:
            code = KernelCode(manifest, RunOptions(detect()))
            fd = opened(path)
            inode = reader.mapped(fd)
            os.close(fd)
            with load_maps(code, manifest) as loaded:
                code.fill(loaded)
                number = loaded.word("code_files_next")
                bpf.update(
                    loaded.maps["code_files"].fd,
                    struct.pack("<Q", inode),
                    struct.pack("<IIIIQQ", number, 0, 0, 0, 0, 0),
                )
                start = next(m.start for m in code.files.mappings(process.pid) if m.path == str(path))
                status = path.stat()
                device = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
                code.met((number, inode - (1 << 64), status.st_ino, device, start, 0, process.pid))
                file = code.files.numbered(number)
                assert file is not None and file.shown == str(path)
                assert file.path is not None and Path(file.path).samefile(path)
                code.settle()
                row = entries(loaded)[inode]
                assert row[:2] == (number, 1) or row[:2] == (number, 3)
                assert row[3] > 0
            code.close()
        finally:
            process.kill()


def told_of(path: Path, inode: int, pid: int = 999_999_999, number: int = 7000) -> tuple[int, ...]:
    """The record of a program that has met a file; signed, as they come."""
    status = path.stat()
    device = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
    return number, inode - (1 << 64), status.st_ino, device, 0x1000, 0, pid


def test_a_file_of_a_process_that_has_ended_is_found_by_its_inode(
    requires: Requires, compile_c: Callable[..., Path], tmp_path: Path
) -> None:
    """Beside a file that is known; nothing else with the number of its inode is taken for it."""
    requires("root", "raw_tracepoints")
    known = compile_c("int main() { return 0; }", "-O1", name="known")
    ended = compile_c("int main() { return 1; }", "-O1", name="ended")
    manifest = manifest_with("code_files", code_files=(str(known),))
    code = KernelCode(manifest, RunOptions(detect()))
    with InodeReader(detect()) as reader:
        fd = opened(ended)
        inode = reader.mapped(fd)
        os.close(fd)
    code.met(told_of(ended, inode))
    code.met(told_of(ended, inode + 8, number=7001))
    found, unknown = code.files.numbered(7000), code.files.numbered(7001)
    assert found is not None and found.shown == str(ended)
    assert unknown is not None and unknown.path is None and unknown.shown == f"[inode {ended.stat().st_ino}]"
    code.close()


def test_libraries_of_a_program_that_was_met_are_known_before_they_are_hit(
    requires: Requires, compile_c: Callable[..., Path]
) -> None:
    requires("root", "raw_tracepoints")
    library = compile_c("int f(void) { return 1; }", "-shared", "-fPIC", name="libneeded.so")
    program = compile_c(
        "int f(void);\n" + WAITING.replace("pause()", "f(); pause()"),
        f"-L{library.parent}", "-Wl,--no-as-needed", "-lneeded", "-Wl,-rpath,$ORIGIN", name="needing",
    )  # fmt: skip
    manifest = manifest_with("code_files", "unwind_rows")
    code = KernelCode(manifest, RunOptions(detect()))
    with started(program) as process, InodeReader(detect()) as reader, load_maps(code, manifest) as loaded:
        try:
            code.fill(loaded)
            inodes = {path: reader.mapped(opened(path)) for path in (program, library)}
            start = next(m.start for m in code.files.mappings(process.pid) if m.path == str(program))
            number, inode, *rest = told_of(program, inodes[program], process.pid)
            code.met((number, inode, *rest[:2], start, 0, process.pid))
            code.settle()
            assert entries(loaded)[inodes[library]][3] > 0
        finally:
            process.kill()
    code.close()


def test_rows_are_written_where_programs_search_them() -> None:
    assert rows_for(10) == LEAST_ROWS
    assert rows_for(LEAST_ROWS) == 2 * LEAST_ROWS
    rows = RowMap(4)
    assert rows.add(bytes(UNWIND_ROW.size)) is None  # not open yet


def test_an_address_of_a_process_is_found_in_its_file(compile_c: Callable[..., Path]) -> None:
    path = compile_c(WAITING, "-O2", name="waiting")
    files = CodeFiles((str(path),))
    with started(path) as process:
        try:
            mapping = next(m for m in files.mappings(process.pid) if m.path == str(path) and m.executable)
            found = files.locate(process.pid, mapping.start + 5)
            assert found is not None
            assert (found[0].number, found[1]) == (1, mapping.offset + 5)
            assert files.locate(process.pid, 8) is None
        finally:
            process.kill()
    assert files.locate(999_999_999, mapping.start) is None
    files.close()
