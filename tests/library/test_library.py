"""Library files: where they are searched, what they define, and that only what is needed is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from probelang.diag import CompileError
from probelang.library import LibrarySet, library_files, scan, standard_folder
from probelang.options import Options
from probelang.resolve.families import wildcard


def library(*folders: Path) -> LibrarySet:
    return LibrarySet(Options(), folders)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# ---------------------------------------------------------------------------------------------------- index


def test_functions() -> None:
    index = scan("function f(a) { }\nfunction g:long (x:string):2 { } private function h() { }")
    assert index.functions == {"f", "g"}


def test_globals() -> None:
    index = scan(
        'global a, b[10] = 5, c = "x, y" , d%[3], e = -2 global f; private global g, h private i\nglobal /* x */ j'
    )
    assert index.globals == {"a", "b", "c", "d", "e", "f", "j"}


def test_aliases() -> None:
    index = scan(
        "probe a = begin {} probe b.c += timer.s(1) {} probe d.e\n =\n f = end {} probe begin {} probe x.y if (q == 1) {}"
    )
    assert index.aliases == {"a", "b.c", "d.e", "f"}


def test_comments_between_words() -> None:
    assert scan("function /* why */ f // so\n(a) {}\nglobal # c\n x").functions == {"f"}
    assert scan("function /* why */ f // so\n(a) {}\nglobal # c\n x").globals == {"x"}


def test_the_index_finds_what_the_parser_finds_in_the_standard_library() -> None:
    from probelang import syntax
    from probelang.parse import parse
    from probelang.source import SourceFile

    options = Options()
    macros = LibrarySet.open(options).macros()
    for path in library_files(standard_folder()):
        text = path.read_text()
        program = parse(SourceFile(str(path), text), options, macros).program
        index = scan(text)
        for declaration in program.declarations:
            match declaration:
                case syntax.Function() if not declaration.private:
                    assert declaration.name in index.functions
                case syntax.GlobalVariable() if not declaration.private:
                    assert declaration.name in index.globals
                case syntax.Alias():
                    assert {".".join(c.name for c in name) for name in declaration.names} <= index.aliases
                case _:
                    pass


# --------------------------------------------------------------------------------------------------- search


def test_probe_and_stp_files_of_all_subfolders(tmp_path: Path) -> None:
    for name in (
        "b.probe",
        "a.stp",
        "c.stpm",
        "d.txt",
        "sub/e.probe",
        ".git/f.probe",
        "linux/g.stp",
        "dyninst/h.stp",
        "arm64/i.stp",
    ):
        write(tmp_path, name, "")
    assert [str(p.relative_to(tmp_path)) for p in library_files(tmp_path)] == [
        "a.stp",
        "b.probe",
        "sub/e.probe",
    ]


def test_a_file_for_this_runtime_or_architecture_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "a.stp", "function f() { return 1 }")
    specific = write(tmp_path, "bpf/z.stp", "function f() { return 2 }")
    most_specific = write(tmp_path, "bpf/x86_64/z.stp", "function f() { return 3 }")
    assert list(library_files(tmp_path))[:2] == [most_specific, specific]
    found = library(tmp_path).find_function("f")
    assert found is not None
    assert found.path == str(most_specific)


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert list(library_files(tmp_path / "none")) == []


def test_include_folders_then_the_environment_then_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("PROBELANG_PATH", f"{second}:")
    libraries = LibrarySet.open(Options(include=(first,)))
    assert libraries.folders == (first, second, standard_folder())


# ------------------------------------------------------------------------------------------------------ set


def test_only_the_file_that_defines_a_name_is_parsed(tmp_path: Path) -> None:
    write(tmp_path, "bad.stp", "function broken( {")
    write(tmp_path, "good.stp", "function f() { } global g")
    libraries = library(tmp_path)
    found = libraries.find_function("f")
    assert found is not None
    assert found.path.endswith("good.stp")
    assert libraries.find_global("g") is found
    assert libraries.find_function("nosuch") is None
    with pytest.raises(CompileError):
        libraries.find_function("broken")


def test_a_name_in_a_comment_or_a_skipped_branch_is_no_definition(tmp_path: Path) -> None:
    write(tmp_path, "a.stp", "# function f() is elsewhere\n%( 1 == 2 %? function f() { } %)")
    write(tmp_path, "b.stp", "function f() { }")
    found = library(tmp_path).find_function("f")
    assert found is not None
    assert found.path.endswith("b.stp")


def test_the_user_s_own_file_is_no_library(tmp_path: Path) -> None:
    path = write(tmp_path, "a.stp", "function f() { }")
    assert library(tmp_path).find_function("f", without=str(path)) is None


def test_macros_of_all_macro_files_the_first_of_a_name(tmp_path: Path) -> None:
    first = write(tmp_path, "first/a.stpm", "@define one %( 1 %) @define two %( @one + 1 %)").parent
    second = write(tmp_path, "second/b.stpm", "@define one %( 5 %)").parent
    macros = {m.name: m for m in library(first, second).macros()}
    assert set(macros) == {"one", "two"}
    assert macros["one"].body[0].text == "1"


def test_library_files_see_the_macros(tmp_path: Path) -> None:
    write(tmp_path, "a.stpm", "@define NAME %( named %)")
    write(tmp_path, "a.stp", "function f() { return @NAME } global named")
    assert library(tmp_path).find_function("f") is not None


def test_the_script_s_arguments_are_not_those_of_library_files(tmp_path: Path) -> None:
    write(tmp_path, "a.stp", "function f() { return $1 }")
    libraries = LibrarySet.open(Options(arguments=("5",), include=(tmp_path,)))
    with pytest.raises(CompileError):
        libraries.find_function("f")


def test_aliases_by_pattern(tmp_path: Path) -> None:
    write(tmp_path, "a.stp", "probe net.send = begin { }")
    write(tmp_path, "b.stp", "probe net.receive = begin { }")
    write(tmp_path, "c.stp", "probe disk.read = begin { }")
    libraries = library(tmp_path)
    found = libraries.find_aliases(wildcard("net.*"))
    assert [Path(f.path).name for f in found] == ["a.stp", "b.stp"]
    assert libraries.alias_names() == {"net.send", "net.receive", "disk.read"}


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    (tmp_path / "a.stp").write_bytes(b'function f() { return "\xff" }')
    assert library(tmp_path).find_function("f") is not None
