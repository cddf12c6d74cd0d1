"""The tables that histograms print."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probelang.artifact.code import HistogramShape
from probelang.artifact.histogram import bucket_count, bucket_label, bucket_of
from probelang.runtime.output.histogram import render_histogram

LOG = HistogramShape("log")
LONGS = st.integers(-(2**63), 2**63 - 1)


def linear(low: int, span: int, step: int) -> HistogramShape:
    return HistogramShape("linear", low, low + span, step)


LINEAR = st.builds(linear, st.integers(-1000, 1000), st.integers(1, 1000), st.integers(1, 100))


def table(shape: HistogramShape, *values: int) -> str:
    counts = [0] * bucket_count(shape)
    for value in values:
        counts[bucket_of(shape, value)] += 1
    return render_histogram(shape, counts).decode()


def test_two_empty_rows_stand_either_side() -> None:
    assert table(LOG, 2, 3, 4) == (
        "value |-------------------------------------------------- count\n"
        "    0 |                                                    0\n"
        "    1 |                                                    0\n"
        "    2 |@@                                                  2\n"
        "    4 |@                                                   1\n"
        "    8 |                                                    0\n"
        "   16 |                                                    0\n"
        "\n"
    )


def test_distant_empty_rows_are_left_out() -> None:
    assert table(LOG, 1, 10**6) == (
        "  value |-------------------------------------------------- count\n"
        "      0 |                                                    0\n"
        "      1 |@                                                   1\n"
        "      2 |                                                    0\n"
        "      4 |                                                    0\n"
        "        ~\n"
        " 131072 |                                                    0\n"
        " 262144 |                                                    0\n"
        " 524288 |@                                                   1\n"
        "1048576 |                                                    0\n"
        "2097152 |                                                    0\n"
        "\n"
    )


def test_negative_rows_only_with_negative_values() -> None:
    assert "-1 |" not in table(LOG, 0, 5)
    assert table(LOG, -4).splitlines()[3] == "   -4 |@                                                   1"


def test_bars_are_scaled_to_the_width() -> None:
    lines = table(LOG, *[1] * 101, *[2] * 34, 4, 4).splitlines()
    assert lines[2] == "    1 |" + "@" * 33 + " " * 19 + "101"
    assert [line.count("@") for line in lines[2:5]] == [101 // 3, 34 // 3, 0]


def test_linear_ends_are_shown_only_with_values() -> None:
    shape = HistogramShape("linear", 0, 30, 10)
    assert [line.split(" |")[0].strip() for line in table(shape, 5, 15).splitlines()[1:-1]] == [
        "0",
        "10",
        "20",
        "30",
    ]
    assert [line.split(" |")[0].strip() for line in table(shape, -5, 30, 40).splitlines()[1:-1]] == [
        "<0", "0", "10", "20", "30", ">30",
    ]  # fmt: skip


@given(LONGS)
def test_every_value_lies_in_the_bucket_with_its_label(value: int) -> None:
    label = int(bucket_label(LOG, bucket_of(LOG, value)))
    assert label == 0 == value or (label * value > 0 and abs(label) <= abs(value) < 2 * abs(label))


@given(LINEAR, LONGS | st.integers(-1200, 2200))
def test_linear_buckets_cover_everything(shape: HistogramShape, value: int) -> None:
    bucket = bucket_of(shape, value)
    label = bucket_label(shape, bucket)
    assert 0 <= bucket < bucket_count(shape)
    if value < shape.low:
        assert label == f"<{shape.low}"
    elif value >= shape.low + (bucket_count(shape) - 2) * shape.step:
        assert label == f">{shape.high}"
    else:
        assert int(label) <= value < int(label) + shape.step
