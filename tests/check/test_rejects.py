"""What is wrong, and where it is said to be wrong: one line for every rule."""

from __future__ import annotations

import pytest

from probelang.diag import CompileError
from tests.check.scripts import check_text, mistakes_of, places_of

P = 'probe process("P").function("f")'

TYPES = [
    ('probe begin { println(1 . "x") }', "E0301 1:23"),
    ('probe begin { println("x" . 1) }', "E0301 1:29"),
    ('probe begin { if ("x") exit() }', "E0301 1:19"),
    ('probe begin { while ("x") exit() }', "E0301 1:22"),
    ('probe begin { for (;"x";) exit() }', "E0301 1:21"),
    ('probe begin { println("x" ? 1 : 2) }', "E0301 1:23"),
    ('probe begin { println(pid() ? 1 : "a") }', "E0301 1:31"),
    ('probe begin { x = "a"; x++ }', "E0301 1:24"),
    ('probe begin { x = "a";\n  --x }', "E0301 2:5"),
    ('probe begin { x = "a"; x = 1; println(x) }', "E0301 1:24"),
    ('probe begin { x = "a"; x += 1; println(x) }', "E0301 1:24"),
    ('probe begin { x = 1; x .= "a"; println(x) }', "E0301 1:22"),
    ('probe begin { println(1 == "a") }', "E0301 1:23"),
    ('probe begin { x = "a"; println(1 == x) }', "E0301 1:37"),
    ('probe begin { println(!"a") }', "E0301 1:24"),
    ('probe begin { println("a" && 1) }', "E0301 1:23"),
    ('probe begin { println(pid() || "a") }', "E0301 1:32"),
    ('probe begin { println(1 << "a") }', "E0301 1:28"),
    ('probe begin { println(1 =~ "a") }', "E0301 1:23"),
    ("probe begin { println(strlen(5)) }", "E0301 1:30"),
    ('global a probe begin { a[1] = 2; a["x"] = 3 }', "E0301 1:36"),
    ('global a probe begin { a[1] = 2; a[2] = "x" }', "E0301 1:34"),
    ('global a probe begin { a[1] = 2; if ("x" in a) exit() }', "E0301 1:38"),
    ('global a probe begin { a[1] = 2; foreach (k in a) println(k . "") }', "E0301 1:59"),
    ('global a probe begin { a["x"] = 2; foreach (k in a) println(k + 1) }', "E0301 1:61"),
    ('global a probe begin { a[1] = 2 } probe end { foreach (v = k in a) println(v . "") }', "E0301 1:76"),
    ('global a probe begin { a[1] = 2; foreach (k in a limit "x") println(k) }', "E0301 1:56"),
    ('global g = 1 probe begin { g = "x" }', "E0301 1:28"),
    ('global g probe begin { g = 1 } probe end { g = "x" }', "E0301 1:44"),
    ('global s probe begin { s <<< "x" }', "E0301 1:30"),
    ('function f(x) { return x + 1 } probe begin { f("a") }', "E0301 1:48"),
    ('function f(x) { println(x) } probe begin { f(1) f("a") }', "E0301 1:51"),
    ("function f(x:string) { return x } probe begin { println(f(1)) }", "E0301 1:59"),
    ("function f:string(x) { return x + 1 } probe begin { f(1) }", "E0301 1:33"),
    ('function f(x) { if (x) return 1; return "a" } probe begin { f(1) }', "E0301 1:41"),
    ('function f() { return "a" } probe begin { println(f() + 1) }', "E0301 1:51"),
    ("probe begin { try { exit() } catch (m) { println(m + 1) } }", "E0301 1:50"),
    ("global m = 1 probe begin { try { exit() } catch (m) { } }", "E0301 1:50"),
    ("probe begin { x = 1 try { exit() } catch (x) { println(x) } }", "E0301 1:43"),
    ('probe begin if ("x") { exit() }', "E0301 1:17"),
    (f'{P} when ("x") {{ exit() }}', "E0301 1:40"),
    ('probe begin { printf("%d", "x") }', "E0301 1:28"),
    ('probe begin { printf("%s", 1) }', "E0301 1:28"),
    ('probe begin { printf("%*d", "x", 1) }', "E0301 1:29"),
    ('probe begin { printf("%.*s", 1, 2) }', "E0301 1:33"),
    ('probe begin { x = sprintf("a") + 1 println(x) }', "E0301 1:19"),
]

UNRESOLVED = [
    ("probe begin { println(x) }", "E0302 1:23"),
    ("probe begin { x = y; println(x) }", "E0302 1:15"),
    ("global g probe begin { println(g) }", "E0302 1:32"),
    ("global a probe begin { println(a[1]) }", "E0302 1:32"),
    ("global a probe begin { foreach (k in a) exit() }", "E0302 1:38"),
    ("global a probe begin { delete a }", "E0302 1:31"),
    ("function f(x) { println(x) } probe begin { f(y) }", "E0302 1:12"),
    ("function f() { return f() } probe begin { println(f()) }", "E0313 1:51"),
]

NAMES = [
    ("probe begin { nosuch() }", "E0303 1:15"),
    ("probe begin { exit(1) }", "E0303 1:15"),
    ("function f(x) { return x } probe begin { println(f()) }", "E0303 1:50"),
    ("function unused() { nosuch() } probe begin { exit() }", "E0303 1:21"),
    ("probe begin { a[1] = 2 }", "E0304 1:15"),
    ("probe begin { println(a[1]) }", "E0304 1:23"),
    ("probe begin { if (1 in a) exit() }", "E0304 1:24"),
    ("probe begin { foreach (k in a) println(k) }", "E0304 1:29"),
    ("probe begin { delete a[1] }", "E0304 1:22"),
    ("function f(a) { a[1] = 2 } probe begin { f(1) }", "E0304 1:17"),
    ("global g global g probe begin { g = 1 }", "E0321 1:17"),
    ("function f(x, x) { return x } probe begin { f(1, 2) }", "E0321 1:15"),
]

SHAPES = [
    ("global a probe begin { a[1] = 2; a = 3 }", "E0305 1:34"),
    ("global a probe begin { a = 3; a[1] = 2 }", "E0305 1:31"),
    ("global a = 1 probe begin { a[1] = 2 }", "E0305 1:28"),
    ("global a probe begin { a[1] = 2; a[1,2] = 3 }", "E0305 1:34"),
    ("global a probe begin { a[1] = 2; println(a) }", "E0305 1:42"),
    ("global a probe begin { a[1] = 2; foreach ([i, j] in a) println(i) }", "E0305 1:53"),
    ("global a probe begin { a[1,2] = 2; foreach ([i, j] in a[1]) println(i) }", "E0305 1:55"),
    ("global a probe begin { a[1] = 2; if ([1,2] in a) exit() }", "E0305 1:47"),
    ("global a probe begin { a[1] = 2; foreach (a in a) exit() }", "E0305 1:43"),
    ("global a probe begin { a[1,2,3,4,5,6,7,8,9,10] = 2 }", "E0306 1:24"),
]

AGGREGATES = [
    ("global s probe begin { s <<< 1; println(s) }", "E0307 1:41"),
    ("global s probe begin { println(s); s <<< 1 }", "E0307 1:32"),
    ("global s probe begin { s <<< 1; x = s; println(x) }", "E0307 1:37"),
    ("global s probe begin { s <<< 1; s = 1 }", "E0307 1:33"),
    ("global s probe begin { s <<< 1; s++ }", "E0307 1:33"),
    ("global s probe begin { s[1] <<< 1; s[1] += 2 }", "E0307 1:36"),
    ("global s probe begin { s[1] <<< 1; println(s[1]) }", "E0307 1:44"),
    ("global s probe begin { s[1] <<< 1; foreach (v = k in s) println(v, k) }", "E0307 1:45"),
    ("global g = 1 probe begin { println(@count(g)) }", "E0308 1:43"),
    ("probe begin { x = 1; println(@sum(x)) }", "E0308 1:35"),
    ("probe begin { x <<< 1 }", "E0308 1:15"),
    ("probe begin { print(@hist_log(x)) }", "E0308 1:31"),
    ("probe begin { println(@count(1)) }", "E0308 1:30"),
    ("global s probe begin { s <<< 1; x = @hist_log(s) println(x) }", "E0131 1:37"),
    ('global s probe begin { s <<< 1; printf("%s", @hist_log(s)) }', "E0131 1:46"),
    ("global s probe begin { s <<< 1; print(@hist_linear(s, 10, 0, 1)) }", "E0317 1:39"),
    ("global s probe begin { s <<< 1; print(@hist_linear(s, 0, 10, 0)) }", "E0317 1:39"),
    ("global s probe begin { s <<< 1; print(@hist_linear(s, 0, 1000000, 1)) }", "E0317 1:39"),
    ("global s probe begin { s <<< 1; println(@variance(s, 63)) }", "E0317 1:41"),
    ("global s probe begin { s <<< 1; @hist_log(s)[1] = 2 }", "E0309 1:33"),
    ("global s probe begin { s <<< 1; println(@quantile(s, 50)) }", "E0331 1:41"),
]

STATEMENTS = [
    ("probe begin { break }", "E0310 1:15"),
    ("probe begin { if (1) continue }", "E0310 1:22"),
    ("function f() { break } probe begin { while (1) f() }", "E0310 1:16"),
    ("function unused() { continue } probe begin { exit() }", "E0310 1:21"),
    ("function f() { exit() } probe begin { println(f()) }", "E0313 1:47"),
    ("probe begin { x = exit(); println(x) }", "E0313 1:19"),
    ("probe begin { println(1 + exit()) }", "E0313 1:27"),
    ("probe begin { 1 = 2 }", "E0309 1:15"),
    ("probe begin { pid() = 2 }", "E0309 1:15"),
    ("probe begin { (1 + 2)++ }", "E0309 1:18"),
    ("probe begin { delete 1 }", "E0309 1:22"),
    ("probe begin { delete pid() }", "E0309 1:22"),
    ("global a probe begin { a[1,2] = 3; println(a[1,*]) }", "E0324 1:44"),
    ("global a probe begin { a[1,*] = 3 }", "E0324 1:24"),
    ("global s probe begin { s[1,2] <<< 3; println(@count(s[1,*])) }", "E0324 1:53"),
    ("global a probe begin { a[1,2] = 3; foreach ([i+, j-] in a) println(i + j) }", "E0128 1:51"),
    ("global a probe begin { a[1] = 3; foreach (i+ in a-) println(i) }", "E0128 1:50"),
    ("global a probe begin { a[1] = 3; foreach (i in a @sum-) println(i) }", "E0320 1:34"),
    ('probe begin { println("a" =~ "(") }', "E0326 1:30"),
    ('probe begin { println("a" =~ "(a|b)*a(a|b){14}") }', "E0327 1:30"),
    ("probe begin { println(register(1)) }", "E0301 1:32"),
    ('probe begin { x = "rax" println(register(x)) }', "E0332 1:42"),
    ('probe begin { println(register("zax")) }', "E0332 1:32"),
]

FORMATS = [
    ('probe begin { printf("%n", 1) }', "E0134 1:22"),
    ('probe begin { printf("%1$d", 1) }', "E0134 1:22"),
    ('probe begin { printf("%-+5d", 1) }', "E0134 1:22"),
    ('probe begin { printf("%lld", 1) }', "E0134 1:22"),
    ('probe begin { printf("%z") }', "E0134 1:22"),
    ('probe begin { printf("abc%") }', "E0134 1:22"),
    ('probe begin { println(sprintf("%5")) }', "E0134 1:31"),
    ('probe begin { printf("%d %d", 1) }', "E0315 1:15"),
    ('probe begin { printf("%d", 1, 2) }', "E0315 1:15"),
    ('probe begin { printf("%*d", 1) }', "E0315 1:15"),
    ('probe begin { printf("x", 1) }', "E0315 1:15"),
]

ITERATION = [
    ("global a probe begin { a[1] = 1 foreach (k in a) a[k] = 1 }", "E0318 1:50"),
    ("global a probe begin { a[1] = 1 foreach (k in a) a[k]++ }", "E0318 1:50"),
    ("global a probe begin { a[1] = 1 foreach (k in a) delete a[k] }", "E0318 1:57"),
    ("global a probe begin { a[1] = 1 foreach (k in a) delete a }", "E0318 1:57"),
    ("global a probe begin { a[1] <<< 1 foreach (k in a) a[k] <<< 1 }", "E0318 1:52"),
    ("global a probe begin { foreach (k in a) { if (k) { while (1) a[1] = 2 } } }", "E0318 1:62"),
    ("global a, b probe begin { b[1] = 1 foreach (k in a) foreach (j in b) a[j] = 2 }", "E0318 1:70"),
    ("global s probe begin { s <<< 1 foreach (b in @hist_log(s)) s <<< b }", "E0318 1:60"),
    ("global a function f() { a[1] = 2 } probe begin { foreach (k in a) { println(k) f() } }", "E0318 1:80"),
    (
        "global a function f() { a[1] = 2 } function g() { f() } probe begin { foreach (k in a) { println(k) g() } }",
        "E0318 1:101",
    ),
]

CONDITIONS = [
    ("probe begin if (pid() == 1) { exit() }", "E0319 1:17"),
    ("probe begin if (x == 1) { exit() }", "E0319 1:17"),
    (f"{P} if ($x == 1) {{ exit() }}", "E0319 1:38"),
    ("global g = 1 probe begin if (g++) { exit() }", "E0319 1:31"),
    ("global g = 1 probe begin if (g = 2) { exit() }", "E0319 1:32"),
    ("global g = 1 probe begin if (print(g)) { exit() }", "E0319 1:30"),
]

TARGETS = [
    ("probe begin { println($x) }", "E0329 1:23"),
    ("probe timer.s(1) { println($x->y) }", "E0329 1:28"),
    ('probe begin { println(@var("x")) }', "E0329 1:23"),
    ("probe begin { $x = 1 }", "E0329 1:15"),
    (f"{P} {{ println($x) }}", "E0401 1:44"),
    (f"{P} {{ println($x->y[1]) }}", "E0401 1:44"),
    (f"{P} {{ println(&$x) }}", "E0401 1:45"),
    (f"{P} {{ println($x$) }}", "E0401 1:44"),
    (f"{P} {{ println($$vars) }}", "E0401 1:44"),
    (f'{P} {{ println(@cast(1, "s")->x) }}', "E0401 1:44"),
    (f"{P}.return {{ println(@entry($x)) }}", "E0401 1:58"),
    (f"{P} {{ $x = 1 }}", "E0330 1:36"),
    ("probe process.syscall { println($return) }", "E0328 1:33"),
    ("probe process.syscall { println($arg7) }", "E0328 1:33"),
    ("probe process.syscall, begin { println($arg1) }", "E0329 1:40"),
    ("function f() { return $arg1 } probe process.syscall, begin { println(f()) }", "E0329 1:23"),
    ("probe begin { println(syscall_number()) }", "E0329 1:23"),
]

HALVES = [
    (f"global a {P} {{ a[1] = 2; foreach (k in a-) println(k) }}", "E0510 1:69"),
    (f"global a {P} {{ a[1] = 2; foreach (k+ in a) println(k) }}", "E0510 1:70"),
    (f"global a {P} {{ a[1] = 2; foreach (k in a limit 5) println(k) }}", "E0510 1:69"),
    (f"global a function f() {{ foreach (k in a-) println(k) }} {P} {{ a[1] = 2; f() }}", "E0510 1:101"),
    (f'{P} {{ println(env_var("HOME")) }}', "E0511 1:44"),
    (f'function f() {{ return env_var("HOME") }} {P} {{ println(f()) }}', "E0511 1:84"),
    (f"{P} {{ println(strlen(usymname(1))) }}", "E0512 1:44"),
    (f'{P} {{ x = 1 + (ubacktrace() == "") println(x) }}', "E0512 1:45"),
    (f'function f(a) {{ return usymname(a) =~ "x" }} {P} {{ println(f(1)) }}', "E0512 1:88"),
    (f"global s {P} {{ s <<< 1; x = sprint(@hist_log(s)) println(x) }}", "E0503 1:58"),
]

ALL = [
    *TYPES, *UNRESOLVED, *NAMES, *SHAPES, *AGGREGATES, *STATEMENTS, *FORMATS, *ITERATION, *CONDITIONS, *TARGETS,
    *HALVES,
]  # fmt: skip


@pytest.mark.parametrize(("text", "place"), ALL, ids=[text for text, _ in ALL])
def test_rejected_at(text: str, place: str) -> None:
    assert places_of(text) == [place]


@pytest.mark.parametrize("text", [text for text, _ in HALVES])
def test_the_limits_of_the_kernel_half_are_none_of_the_ptrace_backend(text: str) -> None:
    assert len(check_text(text, backend="ptrace").program.probes) == 1


def test_what_needs_a_process_needs_it_with_every_backend() -> None:
    with pytest.raises(CompileError, match="syscall_number"):
        check_text("probe begin { println(syscall_number()) }", backend="ptrace")


def test_every_message_is_written_for_people() -> None:
    for text, _ in ALL:
        for mistake in mistakes_of(text):
            title = mistake.title()
            assert (
                title and not title.endswith(".") and "Span(" not in title + mistake.help() + mistake.label()
            )
            assert all(isinstance(note, str) for _, note in mistake.related())


def test_all_independent_mistakes_are_reported() -> None:
    text = """
global a
probe begin { println(1 . "x") nosuch() }
probe end { a[1] = 2 foreach (k in a) a[k] = "s" }
function f() { break }
"""
    assert sorted(places_of(text)) == ["E0301 3:23", "E0301 4:39", "E0303 3:32", "E0310 5:16", "E0318 4:39"]


def test_a_mistake_in_a_body_of_several_points_is_reported_once() -> None:
    assert places_of("probe begin, end, timer.s(1) { println(1 . 2) }") == ["E0301 1:40", "E0301 1:44"]


def test_one_wrong_variable_is_one_mistake() -> None:
    assert places_of('probe begin { x = "a"; x++; x--; x += 2; println(x + 1) }') == ["E0301 1:24"]


def test_near_names() -> None:
    (mistake,) = mistakes_of("probe begin { printtln(1) gettimeofday_uss() }")[1:]
    assert "gettimeofday_us" in mistake.help()


def test_without_elision_everything_needs_a_type() -> None:
    assert places_of("global g probe begin { exit() }", elide=False) == ["E0302 1:8"]
    assert places_of("probe begin { x = y }", elide=False) == ["E0302 1:15"]
    assert places_of("function f(x) { println(x) } probe begin { exit() }", elide=False) == ["E0302 1:12"]


@pytest.mark.parametrize("depth", [20, 50, 100])
def test_what_the_parser_lets_through_is_not_too_deep_for_the_checker(depth: int) -> None:
    for expression in (
        "1" + " + 1" * depth,
        "(-" * depth + "1" + ")" * depth,
        "f(" * depth + "1" + ")" * depth,
    ):
        found = places_of(
            f'function f(x) {{ return x }} probe begin {{ println({expression}) println(1 . "") }}'
        )
        assert [p.split()[0] for p in found] in (["E0301"], ["E0120"])
