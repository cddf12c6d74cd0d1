"""Types from headers: as large as the compiler says, compiled once, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from probelang.diag import variables
from probelang.dwarf.ctypes import Struct, bare, size_of
from probelang.dwarf.files import Files
from probelang.target.header import header_types
from probelang.target.mistake import TargetMistake
from probelang.target.names import TypeNames
from tests.conftest import Compile

C = r"""
#include <stdio.h>
#include <stddef.h>
#include <sys/stat.h>
#include <netdb.h>
int main(void)
{
    printf("%zu %zu %zu ", sizeof(struct stat), offsetof(struct stat, st_size), offsetof(struct stat, st_mtim));
    printf("%zu %zu %zu\n", sizeof(FILE), sizeof(struct addrinfo), offsetof(struct addrinfo, ai_addr));
    return 0;
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


@pytest.fixture
def names() -> TypeNames:
    return TypeNames(Files(), None)


def refused(header: str) -> variables.HeaderUnusable | variables.NoCompiler:
    with pytest.raises(TargetMistake) as caught:
        header_types(Files(), header)
    found = caught.value.diagnostic
    assert isinstance(found, variables.HeaderUnusable | variables.NoCompiler)
    return found


def offset(names: TypeNames, name: str, member: str, header: str) -> int | None:
    struct = bare(names.named(name, header))
    assert isinstance(struct, Struct)
    return next(m.offset_bytes for m in struct.members if m.name == member)


def test_sizes_and_offsets_are_the_compilers(names: TypeNames, compile_c: Compile) -> None:
    program = compile_c(C, name="header_sizes")
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    found = (
        size_of(names.named("struct stat", "<sys/stat.h>")),
        offset(names, "struct stat", "st_size", "<sys/stat.h>"),
        offset(names, "stat", "st_mtim", "<sys/stat.h>"),
        size_of(names.named("FILE", "<stdio.h>")),
        size_of(names.named("struct addrinfo", "<netdb.h>")),
        offset(names, "addrinfo", "ai_addr", "<netdb.h>"),
    )
    assert found == tuple(map(int, told))


def test_the_first_of_several_headers_that_has_a_type_is_taken(names: TypeNames) -> None:
    assert size_of(names.named("struct stat", "<stddef.h>:<sys/stat.h>")) == size_of(
        names.named("struct stat", "<sys/stat.h>")
    )


def test_constants_of_enums_are_found_too(names: TypeNames) -> None:
    assert names.enumerator("PTHREAD_CREATE_DETACHED", "<pthread.h>") == 1


def test_a_header_of_cpp_has_no_point_in_its_name(names: TypeNames) -> None:
    assert size_of(names.named("std::type_info", "<typeinfo>")) == 16


def test_a_header_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, compiler = tmp_path / "log", tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\necho >> {log}\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    files = Files()
    assert header_types(files, "<stdio.h>") is header_types(files, "<stdio.h>")
    assert log.read_text().count("\n") == 1


@pytest.mark.parametrize("header", ["<sys/stat.h>", "<no/such/header.h>"])
def test_nothing_is_left_behind(header: str, folder: Path) -> None:
    try:
        header_types(Files(), header)
    except TargetMistake:
        assert header == "<no/such/header.h>"
    assert list(folder.iterdir()) == []


def test_what_the_compiler_says_is_the_reason() -> None:
    found = refused("<no/such/header.h>")
    assert (
        found.title()
        == "the header `<no/such/header.h>` cannot be compiled: no/such/header.h: No such file or directory"
    )


@pytest.mark.parametrize("header", ["<stdio.h", "<>", "<a>\n#error b", "<a.h><b.h>", '<a"b>'])
def test_only_names_of_headers_reach_the_compiler(header: str) -> None:
    assert "a header is written `<name.h>`" in refused(header).title()


def test_without_a_compiler_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "`gcc`" in refused("<stdio.h>").help()
    assert "`g++`" in refused("<vector>").help()


def test_a_compiler_that_makes_nothing_of_use_is_a_mistake_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 0\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert refused("<stdio.h>").title().startswith("the header `<stdio.h>` cannot be compiled: ")
