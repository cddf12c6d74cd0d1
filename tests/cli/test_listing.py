"""`probelang list`: what a probe point means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Compile, Run

SOURCE = "int apple(void) { return 1; } int apricot(void) { return 2; } int main(void) { return apple() + apricot(); }"


@pytest.fixture
def fruit(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O0", name="fruit")


def test_every_function_that_a_pattern_matches(probelang: Run, fruit: Path) -> None:
    result = probelang("list", f'process("{fruit}").function("ap*")')
    assert result.stdout.splitlines() == [f'process("{fruit}").function("{f}")' for f in ("apple", "apricot")]
    assert result.status == 0 and result.stderr == ""


def test_a_listed_place_can_be_listed_again(probelang: Run, fruit: Path) -> None:
    point = f'process("{fruit}").function("apple").return'
    assert probelang("list", point).stdout == point + "\n"


def test_systemtaps_options(probelang: Run, fruit: Path) -> None:
    point = f'process("{fruit}").function("apple")'
    assert probelang("-l", point).stdout == point + "\n"
    assert probelang("-L", point).stdout.startswith(point + " int_arg(n)")
    assert "$syscall" in probelang("list", "-L", f'process("{fruit}").syscall').stdout


def test_json_has_file_and_address(probelang: Run, fruit: Path) -> None:
    result = probelang("list", "--format", "json", f'process("{fruit}").function("a*e")')
    row = json.loads(result.stdout)
    assert row["file"] == str(fruit) and row["address"] > 0


def test_nothing_matches(probelang: Run, fruit: Path) -> None:
    result = probelang("list", f'process("{fruit}").function("apples")')
    assert result.status == 1 and result.stdout == ""
    assert "did you mean `apple`" in result.stderr


def test_a_point_that_is_none(probelang: Run) -> None:
    result = probelang("list", "begin(")
    assert result.status == 1 and "--> <probe point>:1:7" in result.stderr


def test_one_point_is_wanted(probelang: Run) -> None:
    assert probelang("list").status == probelang("list", "begin", "end").status == 2
