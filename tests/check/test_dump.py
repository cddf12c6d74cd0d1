"""`--emit typed`: everything has a form."""

from __future__ import annotations

from hypothesis import given, settings

from probelang.check import dump
from tests.check.scripts import check_text
from tests.strategies.programs import Script, scripts

EVERYTHING = r"""
global a%[5], s, g = "a\"b\\\n", unread
function f:long(x:long) { if (x) return 1; next }
function f:long(x:long) :2 { y = x; while (y) { if (y > 3) break; else continue } return y }
probe begin if (g == "a") {
  x = -f(1) ? !2 : ~3
  a[1, "k"] += x; unread = x--; --x
  s <<< 5 & 3
  if ([*, "k"] in a && g !~ "^a") delete a[1, *]
  try { error("x") } catch (m) { printf("%-5s|%.3d%%|%*d\n", m, x, 4, x) }
  foreach (v = [i, j-] in a["x" == "y", *] limit 3) print(v, i, j)
  foreach (b- in @hist_linear(s, 0, 10, 5) limit 2) println(b, @hist_log(s)[b], @variance(s, 2))
  print(@hist_log(s))
  println(sprint(x) . g)
  delete g; delete a
  for (;;) { x++; next }
}
probe timer.s(1) when (a[1, "k"] || 0 != 1) { exit() }
"""


def test_everything_has_a_form() -> None:
    text = dump(check_text(EVERYTHING).program)
    assert text == EXPECTED.lstrip("\n")


EXPECTED = r"""
global long a[long, string] entries=5 wrap
global stats s @variance @hist_linear(0, 10, 5) @hist_log
global string g = "a\"b\\\n"
global long unread report
function #0 f(x: long) -> long
    if (x)
        return 1
    next
function #1 f(x: long) -> long  (y: long)
    y = x
    loop while (y)
        if (y > 3)
            break
        else
            continue
    return y
probe begin  (x: long, m: string, i: long, j: string, v: long, b: long)
    if (g == "a")
    x = (-f#0|#1(1) ? !2 : ~3)
    a[1, "k"] += x
    unread = x--
    --x
    s <<< (5 & 3)
    if (([*, "k"] in a) && (g !~ "^a"))
        delete a[1, *]
    try
        error("x")
    catch (m)
        printf("%-5s|%.3d%%|%*d\n", m, x, 4, x)
    foreach (v = [i, j] in a[("x" == "y"), *] by 1 descending limit 3)
        printf("%d%d%s", v, i, j)
    foreach (b- in @hist_linear(0, 10, 5) of s limit 2)
        printf("%d%d%d\n", b, (@hist_log of s)[b], @variance(s, 2))
    printf("%hist", @hist_log of s)
    printf("%s\n", (sprintf("%d", x) . g))
    delete g
    delete a
    loop
        x++
        next
probe timer.s
    when (a[1, "k"] || (0 != 1))
    exit()
"""


@settings(max_examples=30, deadline=None)
@given(scripts(user_half=True))
def test_any_program_has_a_form(script: Script) -> None:
    text = dump(check_text(script.text()).program)
    assert "probe begin" in text and "probe end" in text
