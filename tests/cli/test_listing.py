"""`probelang list`: what a probe point means."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.conftest import Compile, Run

SOURCE = "int apple(void) { return 1; } int apricot(void) { return 2; } int main(void) { return apple() + apricot(); }"

CART = """
struct item { struct item *next; int price; };
static inline __attribute__((always_inline)) long cost(struct item *one, unsigned char rate) { return one->price * rate; }
__attribute__((noinline)) long total(struct item *first, const char *name) {
    long sum = name[0];
    for (struct item *i = first; i; i = i->next)
        sum += cost(i, 3);
    return sum;
}
int main(void) { struct item a = {0, 5}; return total(&a, "x"); }
"""


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


@pytest.fixture
def cart(compile_c: Compile) -> Path:
    return compile_c(CART, "-O0", "-g", name="cart")


def test_variables_with_their_types(probelang: Run, cart: Path) -> None:
    result = probelang("list", "-L", f'process("{cart}").function("total")')
    source = f"{cart}.c"
    assert result.stdout == (
        f'process("{cart}").function("total@{source}:4") $first:struct item * $name:const char * $sum:long int\n'
    )


def test_lines_in_the_order_of_the_source(probelang: Run, cart: Path) -> None:
    shown = probelang("list", f'process("{cart}").statement("*@cart.c:*")').stdout.splitlines()
    lines = [int(line.rpartition(":")[2].rstrip('")')) for line in shown]
    assert lines == sorted(lines) and {5, 7, 8, 10} <= set(lines)
    assert all("total@" in text for text, line in zip(shown, lines, strict=True) if 4 <= line <= 8)


def test_what_cannot_be_read_says_why(probelang: Run, compile_c: Compile) -> None:
    fast = compile_c(CART, "-O2", "-g", name="fastcart")
    shown = probelang("list", "-L", f'process("{fast}").statement("total@fastcart.c:*")').stdout
    assert "(it was optimised out)" in shown
    row = json.loads(probelang("list", "--format", "json", f'process("{fast}").function("total")').stdout)
    by_name = {variable["name"]: variable for variable in row["variables"]}
    assert by_name["$first"] == {"name": "$first", "type": "struct item *", "available": True, "reason": ""}
    assert row["readable"] == [n for n, variable in by_name.items() if variable["available"]]


def test_results_and_arguments_of_returns(probelang: Run, cart: Path) -> None:
    shown = probelang("list", "-L", f'process("{cart}").function("total").return').stdout
    assert shown.endswith(".return $return:long int $first:struct item * $name:const char *\n")


def test_copies_at_several_places_are_one_line_of_text_but_several_rows(probelang: Run, cart: Path) -> None:
    point = f'process("{cart}").function("*@cart.c").inline'
    assert probelang("list", point).stdout == f'process("{cart}").function("cost@{cart}.c:3").inline\n'
    rows = [json.loads(line) for line in probelang("list", "--format", "json", point).stdout.splitlines()]
    assert rows and all(
        row["address"] > 0 and {v["name"] for v in row["variables"]} == {"$one", "$rate"} for row in rows
    )


def test_every_listed_place_can_be_listed_again(probelang: Run, cart: Path) -> None:
    for point in ('function("*@cart.c")', 'statement("*@cart.c:*")', 'function("main").callees'):
        for line in probelang("list", f'process("{cart}").{point}').stdout.splitlines():
            assert probelang("list", line).stdout == f"{line}\n"


def test_quoted_for_the_shell(probelang: Run, cart: Path) -> None:
    point = f'process("{cart}").function("total@{cart}.c:4")'
    assert shlex.split(probelang("list", "--quote", point).stdout) == [point]
