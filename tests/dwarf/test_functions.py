"""Functions by name and pattern, in C and C++ programs, with and without symbol tables."""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

from probelang.dwarf.binary import open_binary
from probelang.dwarf.functions import all_functions, find_functions, is_pattern, similar_functions
from tests.dwarf.targets import C, compile_target, nm


def names(path: Path, pattern: str) -> list[str]:
    return sorted(f.name for f in find_functions(open_binary(str(path)), pattern))


def symbols(path: Path, pattern: str) -> list[str]:
    return sorted(f.symbol for f in find_functions(open_binary(str(path)), pattern))


def test_a_function_is_found_by_name_where_nm_says(pie: Path) -> None:
    (function,) = find_functions(open_binary(str(pie)), "helper")
    assert (function.name, function.address) == ("helper", nm(pie)["helper"])
    assert not function.exported
    assert function.size_bytes > 0


def test_the_whole_list_is_that_of_readelf(pie: Path) -> None:
    shown = subprocess.run(["readelf", "-sW", str(pie)], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in shown.splitlines()]
    expected = {
        int(row[1], 16) for row in rows if len(row) == 8 and row[3] in ("FUNC", "IFUNC") and row[6] != "UND"
    }
    assert {f.address for f in all_functions(open_binary(str(pie)))} == expected


def test_no_such_function(pie: Path) -> None:
    assert names(pie, "nosuch") == []
    assert names(pie, "nosuch*") == []


@pytest.mark.parametrize("name", ["data_object", "printf", "malloc"])
def test_data_and_imported_functions_are_none(pie: Path, name: str) -> None:
    assert names(pie, name) == []


def test_globs(pie: Path) -> None:
    assert names(pie, "h*") == ["helper", "hidden"]
    assert names(pie, "h?dd[a-f]n") == ["hidden"]


def test_aliases_are_one_function_under_the_name_that_matches(pie: Path) -> None:
    (function,) = find_functions(open_binary(str(pie)), "visible_alias")
    assert function.name == "visible_alias"
    (function,) = find_functions(open_binary(str(pie)), "visible*")
    assert (function.name, function.aliases) == ("visible", ("visible_alias",))


def test_exported_weak_and_indirect_functions(pie: Path) -> None:
    known = {f.name: f for f in all_functions(open_binary(str(pie)))}
    assert known["visible"].exported
    assert known["weak_one"].exported
    assert not known["hidden"].exported
    assert any(f.indirect for f in find_functions(open_binary(str(pie)), "chosen"))


def test_stripped_library_keeps_what_it_exports(folder: Path) -> None:
    path = compile_target(folder, "stripped.so", C, "-shared", "-fPIC", "-s")
    binary = open_binary(str(path))
    assert binary.stripped
    assert names(path, "visible") == ["visible"]
    assert names(path, "helper") == []


def test_without_section_headers(pie: Path, folder: Path) -> None:
    path = compile_target(folder, "headless.so", C, "-shared", "-fPIC", "-s")
    data = bytearray(path.read_bytes())
    data[40:48] = bytes(8)  # e_shoff
    data[60:64] = bytes(4)  # e_shnum, e_shstrndx
    path.write_bytes(data)
    assert names(path, "visible") == ["visible"]


def test_separate_debug_file_by_build_id(pie: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", str(stripped), str(pie)], check=True)
    identity = open_binary(str(pie)).build_id
    place = tmp_path / "debug" / ".build-id" / identity[:2]
    place.mkdir(parents=True)
    debug = place / f"{identity[2:]}.debug"
    subprocess.run(["objcopy", "--only-keep-debug", str(pie), str(debug)], check=True)
    assert find_functions(open_binary(str(stripped), str(tmp_path / "none")), "helper") == ()
    (function,) = find_functions(open_binary(str(stripped), str(tmp_path / "debug")), "helper")
    assert function.address == nm(pie)["helper"]
    debug.write_bytes(b"\x7fELF damaged")
    assert find_functions(open_binary(str(stripped), str(tmp_path / "debug")), "helper") == ()


def test_embedded_debug_data(pie: Path, tmp_path: Path) -> None:
    packed, symbols_only, stripped = tmp_path / "packed", tmp_path / "symbols", tmp_path / "stripped"
    subprocess.run(["objcopy", "--only-keep-debug", str(pie), str(symbols_only)], check=True)
    packed.write_bytes(lzma.compress(symbols_only.read_bytes()))
    subprocess.run(["strip", "-o", str(stripped), str(pie)], check=True)
    subprocess.run(["objcopy", f"--add-section=.gnu_debugdata={packed}", str(stripped)], check=True)
    assert names(stripped, "helper") == ["helper"]


def test_both_versions_of_a_versioned_function() -> None:
    found = find_functions(open_binary("/lib/x86_64-linux-gnu/libc.so.6"), "memcpy")
    assert {f.name for f in found} == {"memcpy"}
    assert len(found) == 2


# ------------------------------------------------------------------------------------------------------- C++


def test_overloads_of_a_method(cpp: Path) -> None:
    assert symbols(cpp, "shop::Cart::add") == ["_ZN4shop4Cart3addEd", "_ZN4shop4Cart3addEi"]
    assert names(cpp, "shop::Cart::add") == ["shop::Cart::add"] * 2


def test_one_overload_by_its_parameters(cpp: Path) -> None:
    assert symbols(cpp, "shop::Cart::add(int)") == ["_ZN4shop4Cart3addEi"]
    assert symbols(cpp, "shop::Cart::size() const") == ["_ZNK4shop4Cart4sizeEv"]


def test_globs_over_cpp_names(cpp: Path) -> None:
    assert set(names(cpp, "shop::Cart::*")) == {
        "shop::Cart::Cart", "shop::Cart::~Cart", "shop::Cart::add", "shop::Cart::size", "shop::Cart::operator<",
    }  # fmt: skip


def test_templates_with_and_without_arguments(cpp: Path) -> None:
    assert names(cpp, "shop::twice") == ["shop::twice<double>", "shop::twice<int>"]
    assert names(cpp, "shop::twice<int>") == ["shop::twice<int>"]


def test_a_plain_name_is_any_class_s_function_and_the_c_function(cpp: Path) -> None:
    assert symbols(cpp, "add") == ["_ZN4shop4Cart3addEd", "_ZN4shop4Cart3addEi", "add"]


def test_constructors_destructors_operators_and_anonymous_namespaces(cpp: Path) -> None:
    assert names(cpp, "shop::Cart::Cart") == ["shop::Cart::Cart"]
    assert names(cpp, "shop::Cart::~Cart") == ["shop::Cart::~Cart"]
    assert names(cpp, "shop::Cart::operator<") == ["shop::Cart::operator<"]
    assert names(cpp, "shop::(anonymous namespace)::secret") == ["shop::(anonymous namespace)::secret"]


def test_mangled_names_work_too(cpp: Path) -> None:
    assert names(cpp, "_ZN4shop4Cart3addEi") == ["shop::Cart::add"]


def test_the_return_type_is_no_part_of_the_name(cpp: Path) -> None:
    assert names(cpp, "int*") == []


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("f", False),
        ("f*", True),
        ("f?", True),
        ("[ab]", True),
        ("A::operator*", False),
        ("A::operator[]", False),
    ],
)
def test_what_is_a_pattern(text: str, pattern: bool) -> None:
    assert is_pattern(text) == pattern


def test_near_names(pie: Path) -> None:
    assert similar_functions(open_binary(str(pie)), "helpr")[0] == "helper"
    assert similar_functions(open_binary(str(pie)), "zzzzzz") == ()


# --------------------------------------------------------------------------------------- copies of functions


def test_clones_are_found_under_the_function_s_name(folder: Path) -> None:
    source = """
    .text
    .type f.constprop.0, @function
    f.constprop.0: ret
    .type f.cold, @function
    f.cold: ret
    .type f, @function
    f: ret
    .globl main
    .type main, @function
    main: ret
    .section .note.GNU-stack,"",@progbits
    """
    path = compile_target(folder, "clones", source, suffix=".s")
    assert symbols(path, "f") == ["f", "f.constprop.0"]
    assert names(path, "f") == ["f", "f"]
    assert "f.cold" not in symbols(path, "*")
    assert symbols(path, "f.cold") == ["f.cold"]
