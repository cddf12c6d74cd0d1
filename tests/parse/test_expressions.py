"""Precedence, associativity and the forms of every expression."""

from __future__ import annotations

import pytest

from tests.parse.shapes import mistakes, shape, shapes


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        # each level binds tighter than the one before
        ("a = b ? c : d", "(a = (b ? c : d))"),
        ("a ? b : c || d", "(a ? b : (c || d))"),
        ("a || b && c", "(a || (b && c))"),
        ("a && b | c", "(a && (b | c))"),
        ("a | b ^ c", "(a | (b ^ c))"),
        ("a ^ b & c", "(a ^ (b & c))"),
        ("a & b in c", "(a & ([b] in c))"),
        ("a == b in c", "([(a == b)] in c)"),
        ("a < b << c", "(a < (b << c))"),
        ("a << b . c", "(a << (b . c))"),
        ('"x" . 1 + 2', '("x" . (1 + 2))'),
        ("a + b * c", "(a + (b * c))"),
        ("a * -b", "(a * (- b))"),
        ("- a++", "(- (a++))"),
        ("&$a->b", "(&$a->b)"),
        ("++$a->b", "(++$a->b)"),
        # associativity
        ("a = b += c", "(a = (b += c))"),
        ("a <<< b = c", "(a <<< (b = c))"),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("a ? b = 1 : c", "(a ? (b = 1) : c)"),
        ("a ? b : c = 1", "((a ? b : c) = 1)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c % d", "(((a / b) * c) % d)"),
        ("a . b . c", "((a . b) . c)"),
        ("a << b >> c >>> d", "(((a << b) >> c) >>> d)"),
        # unlike C, one level
        ("a == b < c", "((a == b) < c)"),
        ("a < b == c", "((a < b) == c)"),
        ('a . b =~ "x" && c', '(((a . b) =~ "x") && c)'),
        ('s !~ "a" "b"', '(s !~ "ab")'),
        ("!a in b", "([(! a)] in b)"),
        ("~a + +b", "((~ a) + (+ b))"),
        ("- - a", "(- (- a))"),
        ("!!a", "(! (! a))"),
        ("a - -b", "(a - (- b))"),
        ("(a + b) * c", "((a + b) * c)"),
    ],
)
def test_precedence(text: str, structure: str) -> None:
    assert shape(text) == structure


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        ("[a, b] in c", "([a, b] in c)"),
        ("[a, *] in c", "([a, *] in c)"),
        ("[*] in c", "([*] in c)"),
        ("a[1, b + 2]", "a[1, (b + 2)]"),
        ("a[*, 2]", "a[*, 2]"),
        ("f()", "f()"),
        ("f(1, g(2))", "f(1, g(2))"),
        ("@count(s)", "@count(s)"),
        ("@sum(s[1, 2])", "@sum(s[1, 2])"),
        ("@variance(s, 3)", "@variance(s, 3)"),
        ("@hist_log(s)[3]", "@hist_log(s)[3]"),
        ("@hist_linear(s, -10, 10, 2)[n]", "@hist_linear(s, -10, 10, 2)[n]"),
        ("println(@hist_log(s[1]))", "println(@hist_log(s[1]))"),
        ("print(@hist_log(s)[2])", "print(@hist_log(s)[2])"),
        ("println()", "println()"),
        ('printd("|", a, b)', 'printd("|", a, b)'),
        ('sprintf("%d" "\\n", a)', 'sprintf("%d\\012", a)'),
        ('@cast(p, "struct s", "m")->f', '@cast(p, "struct s", "m")->f'),
        ('&@cast(0, "struct s")[1]', '(&@cast(0, "struct s")[1])'),
        ('@var("x@a.c")[2]->y', '@var("x@a.c")[2]->y'),
        ("@defined($x->f)", "@defined($x->f)"),
        ("@entry($x) + 1", "(@entry($x) + 1)"),
        ("@elapsed / 1000", "(@elapsed / 1000)"),
        ('@enum("NAME")', '@enum("NAME")'),
        ("@uderef(4, p)", "@uderef(4, p)"),
        ("p->next->return", "p->next->return"),
        ("f(x)->y[3]", "f(x)->y[3]"),
        ("a[1][2]", "a[1][2]"),
    ],
)
def test_forms(text: str, structure: str) -> None:
    assert shape(text) == structure


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        ("$x$", "$x$"),
        ("$x$$", "$x$$"),
        ("$x $", "$x$"),
        ("$a[0]$", "$a[0]$"),
        ("$a[0]$$", "$a[0]$$"),
        ("$a->b$", "$a->b$"),
        ("$$vars", "$$vars"),
        ("$$parms$$", "$$parms$$"),
        ('@cast(p, "s")$', '@cast(p, "s")$'),
    ],
)
def test_pretty_printing(text: str, structure: str) -> None:
    assert shape(text) == structure


def test_a_newline_separates_nothing() -> None:
    assert shapes("a\n-b") == ["(a - b)"]
    assert shapes("a;\n-b") == ["a", "(- b)"]
    assert shapes("a\n(b)") == ["a(b)"]
    assert shapes("a\n[b] in c") == ["([a[b]] in c)"]
    assert shapes("a = b c = d") == ["(a = b)", "(c = d)"]
    assert shapes("a++ b") == ["(a++)", "b"]
    assert shapes("a\n++b") == ["(a++)", "b"]


def test_numbers_wrap_to_64_bits() -> None:
    assert shape("18446744073709551615") == "-1"
    assert shape("0x8000000000000000") == str(-(2**63))
    assert shape("0777") == "511"
    assert shape("0") == "0"


@pytest.mark.parametrize("text", ["0b11", "08", "12L", "0x", "18446744073709551616", "1e5", "0xg"])
def test_bad_numbers(text: str) -> None:
    assert mistakes(f"probe begin {{ x = {text} }}") == ["E0105 1:19"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\a\b\t\n\v\f\r\\"', b"\a\b\t\n\v\f\r\\"),
        (r'"\101\0\1x"', b"A\0\1x"),
        (r'"\x41\x4a!"', b"AJ!"),
        (r'"\"\q\$"', b'"q$'),
        ('"a" "b" /* c */ "d"', b"abd"),
        ('"\u00e9"', b"\xc3\xa9"),
        ('"\udcff"', b"\xff"),
    ],
)
def test_strings(text: str, value: bytes) -> None:
    from probelang.syntax import String
    from tests.parse.shapes import expression

    literal = expression(text)
    assert isinstance(literal, String)
    assert literal.value == value


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("x = @hist_log(s)", "E0131 1:5"),
        ("println(@hist_log(s), 1)", "E0131 1:9"),
        ('printf("%d", @hist_log(s))', "E0131 1:14"),
        ("$x$->y", "E0130 1:4"),
        ("$x$$[1]", "E0130 1:5"),
        ("@zork(1)", "E0121 1:1"),
        ("@cnt(s)", "E0121 1:1"),
        ("@cast(p)", "E0122 1:8"),
        ("@cast(p, q)", "E0123 1:10"),
        ("@defined($a, $b)", "E0122 1:14"),
        ("@count()", "E0122 1:8"),
        ('@const("X")', "E0108 1:1"),
        ("@kderef(1, 2)", "E0108 1:1"),
        ("@hist_linear(s, 1, 2)[0]", "E0122 1:21"),
        ("@hist_linear(s, a, 2, 3)[0]", "E0123 1:17"),
        ("printf(x)", "E0123 1:8"),
        ("printf()", "E0123 1:8"),
        ("printd(1, 2)", "E0123 1:8"),
        ('printd("a", 2)', "E0122 1:14"),
        ("print()", "E0122 1:7"),
        ('print "x"', "E0101 1:7"),
        ("s =~ t", "E0101 1:6"),
        ('s =~ "a" == 1', "E0101 1:10"),
        ("a in b in c", "E0101 1:8"),
        ("[a, b]", "E0101 2:1"),
        ("a = ", "E0101 2:1"),
        ("(a", "E0101 2:1"),
        ("a +* b", "E0101 1:4"),
        ("'c'", "E0102 1:1"),
        ("@", "E0102 1:1"),
    ],
)
def test_rejected(text: str, mistake: str) -> None:
    lines = text.split("\n")
    found = mistakes("probe begin {\n" + text + "\n}")
    shifted = [f"{code} {int(at.split(':')[0]) - 1}:{at.split(':')[1]}" for code, at in map(str.split, found)]
    assert shifted == [mistake], lines
