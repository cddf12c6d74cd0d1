"""What is legal, and what it means: typed code as `--emit typed` shows it."""

from __future__ import annotations

import textwrap

import pytest

from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.check import dump
from probelang.options import Options
from tests.check.scripts import check_text, places_of, warnings_of

P = 'probe process("P").function("f")'

LEGAL = [
    "probe begin {}",
    "probe begin { ; ; {} }",
    "probe begin if (1) { exit() }",
    "global on = 1 probe begin if (on > 1 && on != 5) { exit() }",
    'global a probe begin if ("x" in a) { a["x"] = 1 }',
    f"{P} when (pid() == target()) {{ exit() }}",
    "global a probe begin { a[1] = 2; if ([*] in a) exit() }",
    "global a probe begin { a[1,2] = 2; if ([1,*] in a) exit(); delete a[1,*]; delete a[*,*] }",
    "global a probe begin { a[1,2] = 2; foreach ([i, j] in a[1,*]) println(i, j) }",
    "global a probe begin { a[1] = 2; delete a[1]; delete a; println(a[3]) }",
    "global g probe begin { g = 2; delete g; println(g) }",
    "global s probe begin { s <<< 2; delete s; println(@count(s)) }",
    "probe begin { x = 1; delete x; println(x) }",
    "probe begin { y = 1 }",
    "probe begin { y = undefined_too }",
    "global g probe begin { y = g; g; undefined_too + 1; }",
    'function f:string() {} probe begin { println(f() . "") }',
    "function f() {} probe begin { println(f() + 1) }",
    'probe begin { x = x . "a"; println(x) }',
    "global unused probe begin { exit() }",
    "function unused(x) { println(x) } probe begin { exit() }",
    'function unused() { x = 1; x .= "a" } probe begin { exit() }',
    'function f(x) { return x } function f(x, y) { return x . y } probe begin { println(f(1), f("a", "b")) }',
    "function f(x) :2 { return 1 } function f(x) :1 { next } probe begin { println(f(1)) }",
    "function f(x) { if (x) return 1 } probe begin { println(f(1)) }",
    "function f(x) { if (x) return; println(x) } probe begin { f(1) }",
    "function f(n) { return n < 2 ? 1 : n * f(n - 1) } probe begin { println(f(5)) }",
    "function f(n) { return g(n) } function g(n) { return n ? f(n - 1) : 0 } probe begin { println(f(5)) }",
    "function f() { exit() } probe begin { x = f() }",
    'function pid() { return "mine" } probe begin { println(pid() . "") }',
    'global g function f(g) { return g . "" } probe begin { g = 1; println(f("a")) }',
    "probe begin { if (@defined($x)) println($x . nosuch(1)) else println(1) }",
    "probe begin { println(@defined($x) ? $x : 5) }",
    "probe begin { if (@defined($x) && $x > 5) exit() }",
    "probe begin { if (!@defined($x) || $x > 5) exit() }",
    'probe begin { if (@defined(@var("x")) || @defined(@cast(0, "s")->x)) exit() }',
    "probe begin { if (0) println(1 . 2) }",
    "probe process.syscall { if ($syscall == 1 && $arg1 > 2) println($arg6) }",
    "probe process.syscall.return { println($return) }",
    'probe process("P").plt { println($$name . "") }',
    "function f() { return @defined($return) ? $return : -1 } probe process.syscall.return, process.syscall { println(f()) }",
    "global s probe begin { s <<< 1; print(@hist_log(s)); println(@hist_linear(s, -5, 5, 2)) }",
    'global s probe begin { s <<< 1; x = sprint(@hist_log(s)); println(x . "") }',
    "global s probe begin { s[1] <<< 1; println(@hist_log(s[1])[3], @variance(s[1]), @variance(s[1], 8)) }",
    "global s probe begin { s <<< 1; foreach (b in @hist_log(s)) println(b, @hist_log(s)[b]) }",
    "global s probe begin { s[1] <<< 1; foreach (k in s @max- limit 5) println(k) }",
    "global s probe begin { s[1] <<< 1; foreach (k in s-) println(k) }",
    "global a probe begin { a[1] = 2; foreach (v- = k in a) println(v, k) }",
    "global a, b probe begin { a[1] = 2; foreach (k in a) b[k] = a[k] }",
    "global a function f() { return a[1] } probe begin { a[1] = 2; foreach (k in a) println(f()) }",
    "global k, a probe begin { a[1] = 2; foreach (k in a) println(k) }",
    'probe begin { printf("%d %5s %-5s|%05d %+d % d %#x %p %c %b %1b %.3s %*d %-*.*s %% %ld", 1, "a", "b", 2, 3, 4, 5, 6, 7, 8, 9, "c", 5, 1, 2, 3, "d", 1) }',
    'probe begin { printf("plain"); print("a", 1); println(); printd(",", 1, "a"); printdln("", 1, 2) }',
    'probe begin { println(sprintf("%d", 1) . sprint(1, "a") . sprintd("-", 1, 2) . sprintln(2) . sprintdln(",", 1, 2)) }',
    'probe begin { try { error("x") } catch (m) { println(m . "") } }',
    'probe begin { try { error("x") } catch { exit() } }',
    "probe begin { for (;;) break; while (1) { continue } }",
    "probe begin { while (1) { if (1) { try { break } catch {} } } }",
    "probe begin { next }",
    'probe begin { println("abc" =~ "^a.c$" && "x" !~ "[[:digit:]]+") }',
    'probe begin { println(register("rax"), u_register("r8d")) }',
    "probe begin { a = b = c = 1; println(a, b, c) }",
    "probe begin { if (x = pid()) println(x) }",
    "global a%[10], b[5] probe begin { a[1] = 1; b[1] = 2 }",
    f"global a {P} {{ a[1] = 2; foreach (k in a) println(k) }}",
    f"{P} {{ println(pid(), execname(), int_arg(1)) }}",
    "probe begin { println(pid()) }",
    f'global s {P} {{ s <<< 1; print(@hist_log(s)); printf("%5s %d", usymname(1), 2) }}',
    "probe end { x = usymname(1) println(x) }",
]


@pytest.mark.parametrize("text", LEGAL)
def test_accepted(text: str) -> None:
    assert places_of(text) == []


def shown(text: str, library: str = "", elide: bool = True) -> str:
    return dump(check_text(text, library, elide).program)


def expected(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def test_types_flow_in_any_order() -> None:
    assert shown(
        'global a probe end { x = a[y]; y = 1; println(x) } probe begin { a[2] = z; z = "s" }'
    ) == expected(
        """
        global string a[long]
        probe end  (x: string, y: long)
            x = a[y]
            y = 1
            printf("%s\\n", x)
        probe begin  (z: string)
            a[2] = z
            z = "s"
        """
    )


def test_concatenation_is_one_operation() -> None:
    (probe,) = check_text('probe begin { print("a" . "b" . ("c" . "d")) }').program.probes
    body = probe.handler.body
    assert isinstance(body, code.Block)
    (statement,) = body.body
    assert isinstance(statement, code.Evaluate)
    assert isinstance(statement.value, code.Print)
    assert statement.value.arguments == (
        code.Concat(
            (code.Text(b"a"), code.Text(b"b"), code.Concat((code.Text(b"c"), code.Text(b"d")), at=0)), at=1
        ),
    )


def test_overloads_are_tried_user_first_then_by_priority_then_in_order() -> None:
    program = check_text(
        "probe begin { println(f(1)) } function f(x) :3 { next } function f(x) :2 { next } function f(x) { next }",
        "function f(x) { return 9 }",
    ).program
    (statement,) = _statements(program.probes[0].handler.body)
    assert isinstance(statement, code.Evaluate)
    assert isinstance(statement.value, code.Print)
    (call,) = statement.value.arguments
    assert isinstance(call, code.Invoke)
    assert call.chain == (2, 3, 1, 0)
    assert [f.library for f in program.functions] == [False, False, False, True]


def _statements(node: code.Stmt) -> tuple[code.Stmt, ...]:
    return node.body if isinstance(node, code.Block) else (node,)


def test_private_names_belong_to_their_file() -> None:
    text = 'private global g = "user" function mine() { return other() } probe begin { println(g, mine(), g2()) }'
    library = "private global g = 5 function g2() { return g } private function other() { return 1 }"
    assert [d.split()[0] for d in places_of(text, library)] == ["E0303"]
    assert shown('private global g = "u" probe begin { println(g, g2()) }', library) == expected(
        """
        global string g = "u"
        global long g = 5
        library function #0 g2() -> long
            return g
        probe begin
            printf("%s%d\\n", g, g2#0())
        """
    )


def test_parts_of_a_probe_share_locals() -> None:
    text = "probe al = begin { x = 1 }, { if (@probewrite(x)) println(x) else println(x, 2) }"
    assert shown(text + " probe al { println(x); }") == expected(
        """
        probe al  (x: long)
            x = 1
            printf("%d\\n", x)
            printf("%d%d\\n", x, 2)
        """
    )
    assert 'printf("%d\\n", x)\n' in shown(text + " probe al { x = 3 }")


def test_what_nothing_reads_is_left_out_with_a_warning() -> None:
    text = 'global g, r probe begin { y = 1; z = f(); w += 2; v = strlen("a"); r++ } function f() { exit() } function h() {}'
    assert shown(text) == expected(
        """
        global long r report
        function #0 f() -> void
            exit()
        probe begin
            f#0()
            strlen("a")
            r++
        """
    )
    assert warnings_of(text) == [
        "W0304 1:107",
        "W0302 1:27",
        "W0302 1:34",
        "W0302 1:43",
        "W0302 1:51",
        "W0303 1:8",
    ]


def test_what_may_fail_is_kept() -> None:
    text = shown("probe begin { try { x = 1 / 0 } catch (m) { println(m) } y = 2 / 2 }")
    assert "(1 / 0)" in text
    assert "(2 / 2)" not in text


def test_without_elision_it_is_kept() -> None:
    assert "y = 1" in shown("probe begin { y = 1 }", elide=False)
    assert places_of('probe begin { if (0) println(1 . "a") }', elide=False) == ["E0301 1:30"]


def test_never_assigned_locals_are_0_or_empty_with_a_warning() -> None:
    assert warnings_of("probe begin { if (counter == 0) countr = 1; println(countr) }") == ["W0301 1:19"]


def test_a_library_is_not_warned_about() -> None:
    library = "global unused function f(x) { y = x } function g() {} probe al = begin { unread = 1 }"
    assert warnings_of("probe al { f(1) }", library) == []


def test_written_and_never_read_is_reported_at_the_end() -> None:
    program = check_text(
        "global a, b, s, t probe begin { a[1]++; b = 2; println(b); s <<< 1; if (t++) exit() }"
    ).program
    assert [v.report for v in program.variables] == [True, False, True, False]
    assert program.variables[2].statistics == ("avg", "count", "max", "min", "sum")


def test_statistics_and_shapes_of_a_variable() -> None:
    text = """global s probe begin { s[1] <<< 1 foreach (k in s @min+) println(@variance(s[k]))
              print(@hist_log(s[1])) print(@hist_linear(s[1], 0, 10, 5)) println(@hist_log(s[1])[0]) }"""
    (variable,) = check_text(text).program.variables
    assert variable.key == (Type.LONG,)
    assert variable.value is Type.STATS
    assert variable.statistics == ("min", "variance")
    assert variable.shapes == (code.HistogramShape("log"), code.HistogramShape("linear", 0, 10, 5))


def test_foreach_in_all_its_forms() -> None:
    text = """global a, s probe begin { a["x", 1] = 2 s[1] <<< 2
      foreach ([i, j] in a["x", *] - limit 3) println(i, j)
      foreach (v+ = [i, j] in a) println(v)
      foreach ([i, j-] in a) println(j)
      foreach (k in s @sum+) println(k)
      foreach (b- in @hist_log(s[1])) println(b) }"""
    loops = [line.strip() for line in shown(text).splitlines() if "foreach" in line]
    assert loops == [
        'foreach ([i, j] in a["x", *] by value descending limit 3)',
        "foreach (v = [i, j] in a by value ascending)",
        "foreach ([i, j] in a by 1 descending)",
        "foreach ([k] in s by sum ascending)",
        "foreach (b- in @hist_log of s[1])",
    ]


def test_places_name_the_token() -> None:
    program = check_text("probe begin {\n  println(1 / 0) }").program
    assert code.Place("test.probe", 2, 13, "/") in program.places
    assert len(program.places) == len(program.spans)


def test_overrides_take_the_type_of_the_global() -> None:
    text = 'global n = 1, s = "a", t, u probe begin { println(n, s, t + 1, u . "") }'
    overrides = (("n", "0x10"), ("s", "5"), ("t", "-3"), ("u", "9"))
    program = check_text(text, overrides=overrides).program
    assert [v.initial for v in program.variables] == [16, b"5", -3, b"9"]
    untyped = check_text("global x probe begin { println(x) }", overrides=(("x", "abc"),)).program
    assert untyped.variables[0].initial == b"abc"


def test_the_same_pattern_is_one_automaton() -> None:
    program = check_text('probe begin { println("a" =~ "x", "b" =~ "x", "c" =~ "y") }').program
    assert [a.pattern for a in program.automata] == [b"x", b"y"]


def test_checking_changes_nothing() -> None:
    text = "global a probe begin { a[1] = 2; foreach (k in a) println(k) }"
    assert check_text(text).program == check_text(text).program
    assert Options().elide
