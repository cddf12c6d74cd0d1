"""Every hit is counted or reported as lost, whoever else works on the same variables."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import only
from tests.robustness.conftest import Trace

pytestmark = pytest.mark.kernel
# each hit stops a thread: the same questions, asked of fewer
FEWER = {"kernel": 1, "ptrace": 20}
RING_BUFFER = "with ptrace no record waits in a buffer, so none is lost"


@only("kernel", RING_BUFFER)
@pytest.mark.parametrize("cpu", sorted(os.sched_getaffinity(0))[:4])
def test_lost_records_are_counted_on_every_cpu(cpu: int, trace: Trace, flood: Path) -> None:
    script = f'probe process("{flood}").function("hit") {{ printf("%d\\n", int_arg(1)) }}'
    ran = trace(script, "-s", "1", "-c", f"taskset -c {cpu} {flood} -n 150000")
    assert ran.output.count("\n") + ran.lost() == ran.hits() == 150000


@only("kernel", RING_BUFFER)
def test_and_with_strings_from_eight_threads(trace: Trace, flood: Path) -> None:
    script = (
        f'probe process("{flood}").function("hit") {{ println(int_arg(1), user_string(pointer_arg(2))) }}'
    )
    ran = trace(script, "-s", "1", "-c", f"{flood} -t 8 -n 20000")
    assert ran.output.count("\n") + ran.lost() == ran.hits() == 160000
    assert all(re.fullmatch(r"\d+(alpha|beta|gamma|delta)", line) for line in ran.output.splitlines())


def test_both_halves_change_the_same_numbers(trace: Trace, flood: Path, backend: Backend) -> None:
    calls = 10000 // FEWER[backend]
    ran = trace(
        f"""
        global n, a, stat, stats, g = 1, highest, parity, ticks
        probe process("{flood}").function("hit") {{
          n++; a[tid()]++; a[0] += 2; stat <<< int_arg(1); stats[int_arg(1) % 7] <<< 1
          g = g * 3 + 1; x = int_arg(1); highest = x > highest ? x : highest; parity = parity ^ 1
        }}
        probe timer.ms(10) {{
          n++; a[0] += 2; stat <<< -5; stats[3] <<< 1; g = g * 3 + 1; highest = -1 > highest ? -1 : highest
          parity = parity ^ 1; ticks++
        }}
        probe end {{
          expected = 1
          for (i = 0; i < n; i++) expected = expected * 3 + 1
          foreach (t in a) if (t) threads += a[t]
          foreach (k in stats) counted += @count(stats[k])
          printf("n=%d ticks=%d threads=%d zero=%d stat=%d stats=%d\\n", n, ticks, threads, a[0], @count(stat), counted)
          printf("g=%d expected=%d highest=%d parity=%d\\n", g, expected, highest, parity)
        }}""",
        "-D", "MAXACTION=100000000", "-c", f"{flood} -t 8 -n {calls}",
    )  # fmt: skip
    total = ran.hits() + ran.value("ticks")
    assert ran.value("threads") == ran.hits() == 8 * calls
    assert [ran.value(name) for name in ("n", "stat", "stats")] == [total] * 3
    assert ran.value("zero") == 2 * total
    assert ran.value("g") == ran.value("expected")
    assert ran.value("highest") == calls - 1 and ran.value("parity") == total & 1


def test_both_halves_append_to_the_same_strings(trace: Trace, flood: Path) -> None:
    ran = trace(
        f"""
        global s, t, a, ticks
        probe process("{flood}").function("hit") {{ s = s . "x"; t .= "y"; a[tid() % 3] .= "z" }}
        probe timer.ms(5) {{ s = s . "x"; t .= "y"; a[9] .= "z"; ticks++ }}
        probe end {{
          foreach (k in a) if (k != 9) z += strlen(a[k])
          printf("s=%d t=%d z=%d nine=%d ticks=%d\\n", strlen(s), strlen(t), z, strlen(a[9]), ticks)
        }}""",
        "-S", "4096", "-c", f"{flood} -t 8 -n 150 -u 20",
    )  # fmt: skip
    hits, ticks = ran.hits(), ran.value("ticks")
    assert (ran.value("s"), ran.value("t"), ran.value("z"), ran.value("nine")) == (
        hits + ticks, hits + ticks, hits, ticks,
    )  # fmt: skip


@pytest.mark.parametrize("period_ms", [100, 5])
@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("a[KEY]++", "a[k]"),
        ("a[KEY] <<< int_arg(1)", "@count(a[k])"),
        ("a[KEY] <<< 1; if (@count(a[KEY]) > 3) seen++", "@sum(a[k])"),
        ("a[KEY]++; if (a[KEY] > 3) seen++", "a[k]"),
    ],
)
@pytest.mark.parametrize("key", ["int_arg(1) % 50", 'sprintf("k%d", int_arg(1) % 20)'])
def test_intervals_add_up(
    period_ms: int, change: str, value: str, key: str, trace: Trace, flood: Path, backend: Backend
) -> None:
    """A timer prints and deletes the whole array, and every second time only some of it."""
    change = change.replace("KEY", key)
    ran = trace(
        f"""
        global a, some, total, seen, ticks
        probe process("{flood}").function("hit") {{ {change} }}
        probe timer.ms({period_ms}) {{
          foreach (k in a) if (ticks & 1 || {value} > 10) some[k] = 1
          foreach (k in some) {{ total += {value}; delete a[k] }}
          delete some
          if (ticks++ & 1) {{ foreach (k in a) total += {value}; delete a }}
        }}
        probe end {{ foreach (k in a) total += {value}; printf("total=%d\\n", total); seen++ }}""",
        "-c", f"{flood} -t 8 -n {8000 // FEWER[backend]}",
    )  # fmt: skip
    assert ran.value("total") == ran.hits() == 64000 // FEWER[backend]


@pytest.mark.parametrize("change", ["s <<< 1", "s += 1"])
def test_intervals_of_a_scalar_add_up(change: str, trace: Trace, flood: Path, backend: Backend) -> None:
    take = "total += @count(s); delete s" if "<<<" in change else "x = s; s -= x; total += x"
    ran = trace(
        f'global s, total probe process("{flood}").function("hit") {{ {change} }} '
        f'probe timer.ms(5), end {{ {take} }} probe end(1) {{ printf("total=%d\\n", total) }}',
        "-c", f"{flood} -t 8 -n {8000 // FEWER[backend]}",
    )  # fmt: skip
    assert ran.value("total") == ran.hits() == 64000 // FEWER[backend]


@pytest.mark.parametrize("threads", [4, 60])
def test_handlers_that_sleep_in_page_faults_never_mix(
    threads: int, trace: Trace, faults: Path, tmp_path: Path, backend: Backend
) -> None:
    """Sixty threads are more than there is scratch memory for: what could not be handled is counted."""
    hits = 24000 // FEWER[backend]
    ran = trace(
        f"""
        global n, wrong, keys
        probe process("{faults}").function("hit") {{
          n++; page = int_arg(1); s = user_string(pointer_arg(2)); keys[s, page]++
          begins = sprintf("%d:", page)
          if (s != begins . substr(s, strlen(begins), 1000) || strlen(s) != strlen(begins) + 20 + page) wrong++
        }}
        probe end {{
          foreach ([s, page] in keys) if (strtol(tokenize(s, ":"), 10) != page) wrong++
          printf("n=%d wrong=%d\\n", n, wrong)
        }}""",
        "-c", f"{faults} {threads} {hits // threads} {tmp_path}/pages",
    )  # fmt: skip
    assert ran.value("wrong") == 0
    assert ran.value("n") + ran.lost("hits were skipped") == ran.hits() == hits
