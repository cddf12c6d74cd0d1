"""Without a kernel feature: the same result some other way, or a refusal that names the feature. Never a wrong result."""

from __future__ import annotations

from pathlib import Path

import pytest

from probelang.runtime.features import FEATURES
from tests.conftest import only
from tests.robustness.conftest import Trace

pytestmark = [pytest.mark.kernel, only("kernel", "features of BPF are taken away")]

HIT = 'probe process("{flood}").function("hit")'
SCRIPTS = {
    "sites": 'global a probe process("{flood}").function("*") { if (ppfunc() == "hit") a[ppfunc()]++ } '
    'probe end { foreach (k+ in a) println(k, a[k]) }',
    "loops, strings and arrays": "global a, total, s " + HIT + ' { a[user_string(pointer_arg(2))]++; s .= "x"; n = int_arg(1) '
    "if (n == 49) { foreach (k in a) total += a[k]; for (i = 0; i < 20; i++) t .= sprint(i); println(t, total) } } "
    "probe end { println(strlen(s)) }",
    "a timer that takes": "global a, total " + HIT + " { a[int_arg(1) % 5] <<< 1 } "
    "probe timer.ms(5), end { foreach (k in a) total += @count(a[k]) delete a } probe end(1) { println(total) }",
    "life": 'global b, e, n probe process("{flood}").begin { b++ } probe process("{flood}").end { e++ } '
    'probe process("{flood}").syscall { if ($syscall == 231) n++ } probe end { println(b, e, n) }',
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_feature_taken_away(name: str, trace: Trace, flood: Path) -> None:
    script = SCRIPTS[name].replace("{flood}", str(flood))
    command = ("-c", f"{flood} -n 50")
    expected = trace(script, *command)
    assert expected.status == 0, expected.messages
    for feature in FEATURES:
        ran = trace(script, "--without", feature, *command)
        if ran.status:
            assert ran.status in (1, 3) and f"`{feature}`" in ran.messages and "internal" not in ran.messages
        else:
            assert ran.output == expected.output, feature


@pytest.mark.parametrize("missing", ["uprobe_multi,perf_link", "uprobe_multi,cookie"])
def test_single_probes_without_cookies_do_not_know_their_site(
    missing: str, trace: Trace, flood: Path
) -> None:
    script = f'probe process("{flood}").function("*") {{ println(ppfunc()) }}'
    ran = trace(script, "--without", missing, "-c", f"{flood} -n 5")
    assert ran.status == 3 and "E0605" in ran.messages and ran.output == ""


def test_the_refusal_tells_a_choice_from_a_lack(trace: Trace, flood: Path) -> None:
    ran = trace(f'global n probe process("{flood}").function("hit") {{ n++ }}', "--without", "ring_buffer")
    assert "which --without took away" in ran.messages


def test_to_follow_processes_takes_tracepoints(trace: Trace, flood: Path) -> None:
    script = f'global n probe process("{flood}").function("hit") {{ n++ }} probe begin {{ exit() }}'
    without = ("--without", "raw_tracepoints")
    assert trace(script, *without).status == 0
    assert "`raw_tracepoints`" in trace(script, *without, "-c", "true").messages
