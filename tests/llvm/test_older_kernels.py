"""Scripts compiled for kernels that lack something, run on this one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.agreement.halves import POINT, Target, run_kernel
from tests.evaluate.scripts import Outcome

pytestmark = pytest.mark.kernel
HIT = f"probe {POINT}"
LINUX_6_1 = frozenset({"uprobe_multi", "iterators", "rcu_kfuncs", "preempt_kfuncs"})
Runner = Callable[..., Outcome]


@pytest.fixture
def run(firing: Target, kernel_features: frozenset[str], requires: Callable[..., None]) -> Runner:
    requires("root", "ring_buffer")

    def runner(text: str, **more: object) -> Outcome:
        return run_kernel(text, firing, kernel_features - LINUX_6_1, **more)  # type: ignore[arg-type]

    return runner


def test_an_array_that_a_timer_takes_loses_nothing(run: Runner) -> None:
    text = (
        f"global a, total {HIT} {{ a[int_arg(1) & 7] <<< 1 }} "
        "probe timer.ms(1) { foreach (k in a) total += @count(a[k]); delete a } "
        "probe end { foreach (k in a) total += @count(a[k]); println(total) }"
    )
    assert run(text, hits=5000, threads=2).text == "10000\n"


def test_such_an_array_beside_memory_of_the_process(run: Runner) -> None:
    text = (
        f'global a, total {HIT} {{ a[user_long(register("rsp")) & 1]++ }} '
        "probe timer.ms(1) { foreach (k in a) total += a[k]; delete a } "
        "probe end { foreach (k in a) total += a[k]; println(total) }"
    )
    assert run(text, hits=500).text == "500\n"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('execname() == "none"', "0"),
        ('execname() == execname()', "1"),
        ('execname() . "a" < execname() . "b"', "1"),
        ('sprintf("%d %x %5d", int_arg(1) - 12, 255, 7)', "-12 ff     7"),
        ('strlen(user_string(register("rsp"))) >= 0', "1"),
    ],
)  # fmt: skip
def test_strings_are_printed_and_compared_without_iterators(
    expression: str, expected: str, run: Runner
) -> None:
    assert run(f"{HIT} {{ println({expression}) }}").text == expected + "\n"


def test_long_strings_are_compared_to_their_end_without_iterators(run: Runner) -> None:
    text = (
        f'{HIT} {{ a = sprintf("%200d", int_arg(1)) b = sprintf("%200d", int_arg(1) + 1) '
        'println(a == b, " ", a == a, " ", a < b, " ", b < a) }'
    )
    assert run(text).text == "0 1 1 0\n"


def test_strings_are_keys_and_values_without_iterators(run: Runner) -> None:
    text = (
        f'global a, s {HIT} {{ a[execname(), "k"]++; s = execname() . "!"; a[s, "l"]++ }} '
        'probe end { foreach ([k, l] in a) n += a[k, l]; println(n, " ", substr(s, strlen(s) - 1, 1)) }'
    )
    assert run(text, hits=3).text == "6 !\n"
