"""What statements mean."""

from __future__ import annotations

import pytest

from probelang.artifact.limits import Limits
from tests.evaluate.scripts import run_script

BODIES = [
    ("for (i = 0; i < 5; i++) { if (i == 1) continue; if (i == 4) break; print(i) }", "023"),
    ("i = 3; while (i) print(i--)", "321"),
    ("for (;;) break; print(1)", "1"),
    ("if (0) print(1); else print(2)", "2"),
    ("print(1); next; print(2)", "1"),
    ("while (1) { next }", ""),
    ('try { error("no"); print(1) } catch (m) { print(m) } print(2)', "no2"),
    ('try { try { error("in") } catch { error("out") } } catch (m) { print(m) }', "out"),
    ('for (i = 0; i < 3; i++) try { if (i == 1) error("x"); print(i) } catch { continue }', "02"),
]


@pytest.mark.parametrize(("body", "text"), BODIES)
def test_control_flow(body: str, text: str) -> None:
    assert run_script(f"probe begin {{ {body} }}").text == text


FILL = 'a["x", 1] = 30; a["y", 2] = 10; a["z", 2] = 20; a["w", 1] = 10; '

LOOPS = [
    ("foreach ([k+, n] in a) print(k)", "wxyz"),
    ("foreach ([k-, n] in a) print(k)", "zyxw"),
    ("foreach ([k, n] in a-) print(k)", "xzwy"),
    ("foreach ([k, n] in a+) print(k)", "wyzx"),
    ("foreach ([k, n-] in a) print(k)", "yzwx"),
    ("foreach (v = [k, n] in a- limit 2) print(v, k)", "30x20z"),
    ("foreach (v- = [k, n] in a) print(v)", "30201010"),
    ("foreach ([k+, n] in a[*, 2]) print(k)", "yz"),
    ('foreach ([k+, n] in a["x", *]) print(k, n)', "x1"),
    ("foreach ([k+, n] in a limit 0) print(k)", ""),
    ("foreach ([k+, n] in a limit -1) print(k)", ""),
    ('foreach ([k+, n] in a) { if (k == "x") continue; if (k == "z") break; print(k) } print(k)', "wyz"),
    ('foreach ([k+, n] in a) { if (k == "y") next; print(k) }', "wx"),
    ('delete a["x", 1]; delete a["no", 1]; foreach ([k+, n] in a) print(k)', "wyz"),
    ("delete a[*, 2]; foreach ([k+, n] in a) print(k)", "wx"),
    ("delete a; foreach ([k+, n] in a) print(k); print(9)", "9"),
    ("i = 1; foreach ([k+, n] in a limit ++i) print(k, i)", "w2x2"),
]


@pytest.mark.parametrize(("body", "text"), LOOPS)
def test_foreach(body: str, text: str) -> None:
    assert run_script(f"global a probe begin {{ {FILL} {body} }}").text == text


def test_deleted_scalars_are_empty() -> None:
    script = 'global n = 5, s = "x", t probe begin { t <<< 1; delete n; delete s; delete t; println(n, s, @count(t)) }'
    assert run_script(script).text == "00\n"


def test_variables_of_loops_keep_their_last_value() -> None:
    assert (
        run_script("global a, k probe begin { a[1] = 1; a[2] = 2; foreach (k+ in a) { } println(k) }").text
        == "2\n"
    )


FUNCTIONS = [
    ("function f(n) { return n <= 1 ? 1 : n * f(n - 1) }", "f(10)", "3628800"),
    ("function f(a, b) { a = a + 1; return a * b }", "f(1, 5)", "10"),
    ("function f:long() { }", "f()", "0"),
    ("function f:string() { }", 'f() . "."', "."),
    ('function f:string() { return "x" }', "f()", "x"),
    ("function f:long(n) { while (1) { if (n++ > 5) return n } }", "f(0)", "7"),
    ("function f(a) { return 1 } function f(a, b) { return 2 }", "f(0) * 10 + f(0, 0)", "12"),
    (
        "function f(n:long) { if (n > 5) next; return 1 } function f(n:long) { return 2 }",
        "f(1) * 10 + f(9)",
        "12",
    ),
    ("function f(n):2 { return 2 } function f(n):1 { if (n) next; return 1 }", "f(0) * 10 + f(1)", "12"),
    ("function f(n) { local = local + n; return local }", "f(1) + f(2)", "3"),
]


@pytest.mark.parametrize(("function", "call", "value"), FUNCTIONS)
def test_functions(function: str, call: str, value: str) -> None:
    assert run_script(f"{function} probe begin {{ println({call}) }}").text == value + "\n"


def test_past_the_last_overload_is_an_error() -> None:
    outcome = run_script("function f:long(n) { next }\nprobe begin { println(f(1)) }")
    assert outcome.errors == ["all functions exhausted near identifier 'f' at test.probe:2:23"]


def test_a_return_without_value_ends_a_loop_too() -> None:
    assert (
        run_script("function f() { for (i = 0; i < 3; i++) { print(i); return } } probe begin { f() }").text
        == "0"
    )


class TestLimits:
    def test_nesting(self) -> None:
        script = "function f(n) { return n ? f(n - 1) : 7 } probe begin { println(f(9)); println(f(10)) }"
        outcome = run_script(script)
        assert outcome.text == "7\n"
        assert outcome.errors[0].startswith("MAXNESTING exceeded near identifier 'f' at test.probe:1:28")

    def test_nesting_can_be_caught(self) -> None:
        script = "function f:long(n) { return f(n) } probe begin { try { f(1) } catch (m) { println(m) } }"
        assert run_script(script).text == "MAXNESTING exceeded\n"

    def test_nesting_as_deep_as_the_user_wants(self) -> None:
        script = "function f(n) { return n ? f(n - 1) + 1 : 0 } probe begin { println(f(900)) }"
        assert run_script(script, limits=Limits(nesting=1000)).text == "900\n"

    def test_actions_cannot_be_caught(self) -> None:
        outcome = run_script(
            "probe begin {\n try {\n while (1) ; } catch { println(1) } }", limits=Limits(user_actions=1000)
        )
        assert outcome.text == ""
        assert outcome.errors[0].startswith("MAXACTION exceeded near")
        assert "test.probe:3:" in outcome.errors[0]

    def test_every_handler_has_its_own_actions(self) -> None:
        body = "for (i = 0; i < 200; i++) n++"
        outcome = run_script(
            f"global n probe begin {{ {body} }} probe end {{ {body} println(n) }}",
            limits=Limits(user_actions=900),
        )
        assert outcome.text == "400\n"

    def test_full_arrays(self) -> None:
        outcome = run_script(
            "global a[2] probe begin { a[1]++ a[2]++ a[1]++ try { a[3]++ } catch (m) { println(m) } a[3] = 1 }"
        )
        assert outcome.text.startswith("Array overflow, check MAXMAPENTRIES\n")
        assert outcome.errors[0].startswith("Array overflow, check MAXMAPENTRIES near")

    def test_wrapping_arrays_lose_their_oldest_element(self) -> None:
        text = run_script(
            "global a%[2] probe begin { a[1] = 1; a[2] = 2; a[3] = 3; foreach (k+ in a) print(k, a[k]) }"
        ).text
        assert text == "2233"

    def test_aggregates_are_elements_too(self) -> None:
        outcome = run_script(
            "global a[1] probe begin { a[1] <<< 1; a[2] <<< 1 } probe end { println(@count(a[1])) }"
        )
        assert outcome.text == "1\n"
        assert outcome.errors[0].startswith("Array overflow")


def test_abort_ends_the_handler() -> None:
    outcome = run_script("function f() { abort() } probe begin { print(1); f(); print(2) }")
    assert (outcome.text, outcome.calls) == ("1", [("exit", b"")])


def test_exit_lets_the_handler_finish() -> None:
    outcome = run_script("probe begin { exit(); print(2) }")
    assert (outcome.text, outcome.calls) == ("2", [("exit", b"")])
