"""What expressions mean, one line each."""

from __future__ import annotations

import pytest

from tests.evaluate.scripts import run_script

MIN = "(1 << 63)"
MAX = "0x7fffffffffffffff"

VALUES = [
    # arithmetic wraps at 64 bits
    (f"{MAX} + 1", "-9223372036854775808"),
    (f"{MIN} - 1", "9223372036854775807"),
    (f"{MAX} * 2", "-2"),
    (f"-{MIN}", "-9223372036854775808"),
    ("0xffffffffffffffff", "-1"),
    # division truncates towards zero, the remainder has the sign of the left side
    ("7 / 2", "3"),
    ("-7 / 2", "-3"),
    ("7 / -2", "-3"),
    ("-7 / -2", "3"),
    ("-7 % 2", "-1"),
    ("7 % -2", "1"),
    (f"{MIN} / -1", "-9223372036854775808"),
    (f"{MIN} % -1", "0"),
    # shifts take the low six bits of their count
    ("1 << 64", "1"),
    ("1 << -1", "-9223372036854775808"),
    ("-8 >> 1", "-4"),
    ("-8 >>> 60", "15"),
    ("-1 >>> 64", "-1"),
    # bits and logic
    ("6 & 3 | 8 ^ 1", "11"),
    ("~0", "-1"),
    ("!5", "0"),
    ("!0", "1"),
    ("5 && 7", "1"),
    ("0 || 7", "1"),
    ("0 || 0", "0"),
    # comparison
    ("1 < 2", "1"),
    ("-1 < 0", "1"),
    ('"a" < "b"', "1"),
    ('"ab" > "a"', "1"),
    (r'"\377" > "z"', "1"),
    ('"abc" == "ab" . "c"', "1"),
    # the rest
    ("1 ? 2 : 3", "2"),
    ('0 ? "a" : "b"', "b"),
    ('"a" . "b" . "c"', "abc"),
    ('"foobar" =~ "^foo"', "1"),
    ('"foobar" !~ "^bar"', "1"),
    ('"foobar" =~ "o+b"', "1"),
    ('"foobar" =~ "bar$"', "1"),
    ('"foobar" =~ "fo$"', "0"),
    ('"" =~ "^$"', "1"),
    ('sprintf("%d-%s", 5, "x")', "5-x"),
    ('sprint(1, "a", 2)', "1a2"),
    ('sprintd(",", 1, 2, 3)', "1,2,3"),
    ('strlen(sprintf("a%cb", 0))', "1"),
]


@pytest.mark.parametrize(("expression", "value"), VALUES)
def test_values(expression: str, value: str) -> None:
    assert run_script(f"probe begin {{ println({expression}) }}").text == value + "\n"


EFFECTS = [
    ("x = 5; println(x++, x, ++x, x--, --x)", "56775"),
    ("x = 5; println(x += 2, x)", "77"),
    ("x = y = 3; println(x, y)", "33"),
    ('s = "a"; s .= "b"; println(s)', "ab"),
    # the value comes before the target is read
    ("x = 1; x += (x = 10); println(x)", "20"),
    ("g = 1; g += (g = 10); println(g)", "20"),
    # the index comes before the value
    ("i = 1; a[i] = i = 2; println(a[1], a[2])", "20"),
    ("i = 1; a[i++] += i; println(a[1], i)", "22"),
    # only what is needed is evaluated
    ("x = 0; println(0 && ++x, 1 || ++x, x)", "010"),
    ("x = 0; println(1 ? 7 : ++x, x)", "70"),
    # left to right
    ("x = 1; println(x++ * 10 + x)", "12"),
    # a missing element reads as empty and is not inserted; a step inserts it
    ("println(a[9], 9 in a, a[9]++, 9 in a, a[9])", "00011"),
    ('println(t["x"] == "", "x" in t); t["x"] .= "y"; println(t["x"])', "10\ny"),
    ("b[1, 2] = 5; println([1, 2] in b, [1, *] in b, [*, 3] in b, b[1, 2])", "1105"),
    # an assignment that reads its own target
    ("g = 5; g = g > 3 ? g * 2 : 0; println(g)", "10"),
    ("a[1] = 5; a[1] = a[1] * a[1] + 1; println(a[1])", "26"),
    ("a[1] = 5; a[2] = a[1] + a[2] + 1; println(a[2])", "6"),
    ("g = 7; g = g + (g = 1); println(g)", "8"),
]


@pytest.mark.parametrize(("code", "text"), EFFECTS)
def test_effects(code: str, text: str) -> None:
    script = f'global a, b, t, g probe begin {{ {code} }} probe never {{ a[1]=1 b[1,1]=1 t[""]="" g=1 println(g) }}'
    assert run_script(script).text.splitlines()[: text.count("\n") + 1] == text.splitlines()


def test_division_by_zero_is_an_error_with_its_place() -> None:
    outcome = run_script(
        "probe begin { x = 0; println(1 / x); println(2) }\nprobe end { x = 0 x %= 0 println(x) }"
    )
    assert outcome.errors == [
        "division by 0 near operator '/' at test.probe:1:32",
        "division by 0 near identifier 'x' at test.probe:2:19",
    ]
    assert outcome.text == ""


@pytest.mark.parametrize("operation", ["x /= 0", "g /= 0", "a[1] %= 0"])
def test_a_failing_assignment_changes_nothing(operation: str) -> None:
    script = f"global g = 5, a probe begin {{ x = 5; a[1] = 5; try {{ {operation} }} catch {{ println(x, g, a[1]) }} }}"
    assert run_script(script).text == "555\n"


def test_long_strings_are_cut_and_marked() -> None:
    text = run_script(
        'probe begin { s = "0123456789"; for (i = 0; i < 10; i++) s .= s; println(strlen(s)) println(s) }'
    ).text
    length, string = text.splitlines()
    assert length == "255"
    assert string == ("0123456789" * 26)[:252] + "..."


def test_concatenation_is_cut_once_at_the_end() -> None:
    code = 's = sprintf("%200s", "a"); t = s . s . "b"; println(strlen(t), " ", substr(t, 250, 5))'
    assert run_script(f"probe begin {{ {code} }}").text == "255   ...\n"
