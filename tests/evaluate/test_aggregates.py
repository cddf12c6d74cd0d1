"""Aggregates and histograms read by handlers."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate.scripts import run_script


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("@count(s)", "4"),
        ("@sum(s)", "-4"),
        ("@min(s)", "-10"),
        ("@max(s)", "4"),
        ("@avg(s)", "-1"),
        ("@variance(s)", "38"),
        ("@count(a[1])", "1"),
        ("@count(a[2])", "0"),
        ("@sum(a[2])", "0"),
        ("1 in a", "1"),
        ("2 in a", "0"),
        ("@hist_log(s)[64]", "1"),
        ("@hist_log(s)[0]", "0"),
        ("@variance(a[1])", "0"),
    ],
)
def test_operators(expression: str, value: str) -> None:
    script = f"global s, a probe begin {{ s <<< 4; s <<< -10; s <<< 0; s <<< 2; a[1] <<< 5; println({expression}) println(@count(a[1]), @count(s)) }}"
    assert run_script(script).text.splitlines()[0] == value


@pytest.mark.parametrize(
    "expression",
    ["@min(s)", "@max(s)", "@avg(s)", "@variance(s)", "@min(a[1])", "@hist_log(s)[1]", "@hist_log(s)"],
)
def test_of_no_values_is_an_error(expression: str) -> None:
    script = f"global s, a probe begin {{ try {{ println({expression}) }} catch (m) {{ println(m) }} if (0) {{ s <<< 1; a[1] <<< 1 }} }}"
    assert run_script(script).text == "empty aggregate\n"


def test_buckets_are_numbered() -> None:
    script = """global s probe begin {
        s <<< -1; s <<< 0; s <<< 1; s <<< 2; s <<< 3; s <<< 1000
        foreach (b in @hist_log(s)) if (@hist_log(s)[b]) printf("%d:%d ", b, @hist_log(s)[b])
        try { println(@hist_log(s)[129]) } catch (m) { println(m) }
    }"""
    assert run_script(script).text == "63:1 64:1 65:1 66:2 74:1 histogram index out of range\n"


def test_linear_buckets_have_ends() -> None:
    script = """global s probe begin {
        for (i = -1; i < 18; i++) s <<< i
        foreach (b in @hist_linear(s, 0, 10, 4)) printf("%d ", @hist_linear(s, 0, 10, 4)[b])
    }"""
    assert run_script(script).text == "1 4 4 4 4 2 "


@pytest.mark.parametrize(
    ("sort", "keys"),
    [("@count-", "132"), ("@sum+", "312"), ("@min-", "213"), ("@max+", "132"), ("@avg-", "213")],
)
def test_arrays_sort_by_any_operator(sort: str, keys: str) -> None:
    fill = "a[1] <<< 5; a[1] <<< 5; a[1] <<< 5; a[2] <<< 100; a[3] <<< -7; a[3] <<< 8"
    assert run_script(f"global a probe begin {{ {fill}; foreach (k in a {sort}) print(k) }}").text == keys


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=20))
def test_variance_is_that_of_the_sample(values: list[int]) -> None:
    fill = " ".join(f"s <<< {value};" for value in values)
    text = run_script(f'global s probe begin {{ {fill} println(@variance(s), " ", @variance(s, 4)) }}').text
    plain, shifted = (int(word) for word in text.split())
    assert plain == shifted == int(statistics.variance(values))
