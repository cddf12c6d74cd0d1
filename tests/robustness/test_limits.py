"""A limit that is reached is reported, with its place; what was counted before is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robustness.conftest import Ran, Trace

pytestmark = pytest.mark.kernel

OVERFLOW = "ERROR: Array overflow, check MAXMAPENTRIES near identifier 'a' at <command line>:1:"


def at_hit(flood: Path, body: str) -> str:
    return f'probe process("{flood}").function("hit") {{ {body} }}'


def errors(ran: Ran) -> int:
    return ran.messages.count("ERROR: ")


@pytest.mark.parametrize("change", ["a[int_arg(1)]++", "a[int_arg(1)] <<< 1", 'a[int_arg(1)] .= "x"'])
def test_arrays_that_are_full(change: str, trace: Trace, flood: Path) -> None:
    script = (
        f"global a {at_hit(flood, change)} "
        "probe end, error { foreach (k in a) n++; println(n) }"
    )  # fmt: skip
    words = ("-D", "MAXMAPENTRIES=10", "-c", f"{flood} -n 30")
    first = trace(script, *words)
    assert (first.status, first.output, OVERFLOW in first.messages) == (1, "10\n", True)
    few = trace(script, "-D", "MAXERRORS=5", *words)
    assert few.status == 1 and errors(few) >= 6
    all_of_them = trace(script, "-D", "MAXERRORS=20", *words)
    assert (all_of_them.status, all_of_them.output, errors(all_of_them)) == (0, "10\n", 20)
    assert "WARNING: 20 errors in handlers" in all_of_them.messages
    suppressed = trace(script, "--suppress-handler-errors", *words)
    assert (suppressed.status, suppressed.output) == (0, "10\n")


def test_arrays_that_wrap(trace: Trace, flood: Path) -> None:
    script = f"global a%[10] {at_hit(flood, 'a[int_arg(1)]++')} probe end {{ foreach (k in a) n++; println(n <= 10, a[49]) }}"
    assert trace(script, "-c", f"{flood} -n 50").output == "11\n"
    script = "global a%[10] probe begin { for (i = 0; i < 50; i++) a[i] = i; foreach (k in a) n++; println(n, a[49]) exit() }"
    assert trace(script).output == "1049\n"


@pytest.mark.parametrize(
    ("body", "words", "message"),
    [
        ("for (i = 0; i < 1000; i++) x += i; println(x)", ("-D", "MAXACTION=100"), "MAXACTION exceeded near identifier 'for'"),
        ("while (1) x++; println(x)", ("-D", "MAXACTION=10000"), "MAXACTION exceeded near identifier 'while'"),
        ("println(deep(60))", (), "MAXNESTING exceeded near identifier 'deep'"),
        ("println(1 / zero)", (), "division by 0 near operator '/'"),
    ],
)  # fmt: skip
def test_both_halves_stop_alike(
    body: str, words: tuple[str, ...], message: str, trace: Trace, flood: Path
) -> None:
    functions = "function deep(n) { return n ? 1 + deep(n - 1) : 0 } global zero = 0 "
    for script in (at_hit(flood, body), f"probe begin {{ {body} }}"):
        ran = trace(functions + script, *words, "-c", f"{flood} -n 3")
        assert (ran.status, ran.output) == (1, "")
        assert f"ERROR: {message} at <command line>:1:" in ran.messages


def test_strings_that_are_too_long_are_marked_and_counted(trace: Trace, flood: Path) -> None:
    body = 's = "0123456789"; s .= s; println(s)'
    ran = trace(at_hit(flood, body), "-S", "16", "-c", f"{flood} -n 3")
    assert ran.output == "012345678901...\n" * 3 and "3 strings were cut short" in ran.messages


def test_error_probes_run_and_see_what_was_counted(trace: Trace, flood: Path) -> None:
    ran = trace(
        f"global n, zero = 0 {at_hit(flood, 'n++; println(1 / zero)')} "
        'probe end { println("end") } probe error { println("error ", n >= 4) }',
        "-D", "MAXERRORS=3", "-c", f"{flood} -n 1000",
    )  # fmt: skip
    assert (ran.status, ran.output) == (1, "error 1\n")
