"""Folded stacks and flame graphs: what they count, and that names of strangers stay text."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.runtime.stacks.flame import colour, flame_graph
from probelang.runtime.stacks.flamelayout import MOST_BOXES, Layout, lay_out
from probelang.runtime.stacks.folded import folded
from probelang.runtime.stacks.profile import (
    Paths,
    Sample,
    StackFrames,
    Step,
    find_paths,
)
from tests.stacks.profiles import location, profile, sample, stack

ROOT = Path(__file__).parent.parent.parent
SVG = "{http://www.w3.org/2000/svg}"
WIDTH = 1180.0

NAMES = st.text(max_size=8) | st.sampled_from(["main", "work", "a;b", "operator new(unsigned long)"])
STACKS = st.lists(st.tuples(st.lists(NAMES, max_size=6), st.integers(1, 1 << 40)), max_size=20)


def drawn(paths: Paths, title: str = "calls") -> ElementTree.Element:
    return ElementTree.fromstring(flame_graph(paths, title, "times"))


def boxes(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [g for g in root.iter(f"{SVG}g") if g.get("class") == "box"]


def made(stacks: list[tuple[list[str], int]]) -> Paths:
    return find_paths(profile([sample(weight, stack(*names)) for names, weight in stacks]))


# ------------------------------------------------------------------------------------------------------ folded


def test_a_line_is_a_stack_from_the_root_and_its_weight() -> None:
    paths = find_paths(profile([sample(2, stack("main", "work")), sample(3, stack("main"))]))
    assert folded(paths) == b"main 3\nmain;work 2\n"


def test_other_parts_of_the_key_stand_at_the_root() -> None:
    labels = (("execname", b"prog"), ("tid", 7))
    one = Sample(0, labels, (stack("main", "work"),), 1, (1,))
    assert folded(find_paths(profile([one]))) == b"prog;7;main;work 1\n"


def test_several_arrays_stand_beside_each_other() -> None:
    samples = [sample(2, stack("main")), sample(5, stack("main"), array=1)]
    assert folded(find_paths(profile(samples, "asked", "freed"))) == b"asked;main 2\nfreed;main 5\n"


def test_equal_stacks_of_different_addresses_are_one_line() -> None:
    one = StackFrames((location("work", line=1), location("main")))
    other = StackFrames((location("work", line=9), location("main")))
    assert folded(find_paths(profile([sample(1, one), sample(2, other)]))) == b"main;work 3\n"


def test_inlined_functions_are_frames() -> None:
    one = StackFrames((location("work", "prog", "innermost", "inner"), location("main")))
    assert folded(find_paths(profile([sample(1, one)]))) == b"main;work;inner;innermost 1\n"


def test_a_stack_that_was_cut_says_so() -> None:
    samples = [sample(1, stack("work", is_cut=True)), sample(2, StackFrames(()))]
    assert folded(find_paths(profile(samples))) == b"[cut short];work 1\n[no stack] 2\n"


def test_two_stacks_in_one_key_stand_on_top_of_each_other() -> None:
    assert folded(find_paths(profile([sample(1, stack("main", "alloc"), stack("main", "free"))]))) == (
        b"main;alloc;main;free 1\n"
    )


def test_what_separates_is_in_no_name() -> None:
    samples = [sample(4, stack("main", "f<a;b>\n 7"))]
    assert folded(find_paths(profile(samples))) == b"main;f<a:b> 7 4\n"


def test_weights_below_zero_are_counted_and_not_drawn() -> None:
    paths = find_paths(profile([sample(-1, stack("a")), sample(0, stack("b")), sample(3, stack("c"))]))
    assert (folded(paths), paths.negative) == (b"c 3\n", 1)


@given(STACKS)
def test_lines_say_what_was_counted(stacks: list[tuple[list[str], int]]) -> None:
    lines = folded(made(stacks)).decode().splitlines()
    assert lines == sorted(lines)
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == sum(weight for _, weight in stacks)


# -------------------------------------------------------------------------------------------------- the picture


def spans(layout: Layout) -> dict[tuple[int, int], Step]:
    return {(box.depth, box.start): box.step for box in layout.boxes}


def test_boxes_lie_over_what_called_them() -> None:
    layout = lay_out(made([(["main", "work"], 3), (["main", "rest"], 1)]))
    shown = [(b.step.name, b.depth, b.start, b.weight) for b in layout.boxes]
    assert shown == [("main", 0, 0, 4), ("rest", 1, 0, 1), ("work", 1, 1, 3)]
    assert (layout.total, layout.depth, layout.left_out) == (4, 2, 0)


@given(STACKS)
def test_every_width_is_the_sum_of_what_lies_in_it(stacks: list[tuple[list[str], int]]) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for names, weight in stacks:
        way = tuple(names) or ("[no stack]",)
        for depth in range(len(way)):
            expected[way[: depth + 1]] += weight
    layout = lay_out(made(stacks))
    by_depth = {(box.depth, box.start): box for box in layout.boxes}
    found: Counter[tuple[str, ...]] = Counter()
    for box in layout.boxes:
        below = [
            next(b for (d, s), b in by_depth.items() if d == depth and s <= box.start < s + b.weight)
            for depth in range(box.depth)
        ]
        assert all(b.start <= box.start and box.start + box.weight <= b.start + b.weight for b in below)
        found[tuple(b.step.name for b in (*below, box))] += box.weight
    wide = {way: weight for way, weight in expected.items() if weight * 12_000 >= layout.total}
    assert found == wide
    assert layout.left_out == len(expected) - len(wide)


def test_the_picture_is_as_wide_as_its_weights() -> None:
    root = drawn(made([(["main", "work"], 3), (["main", "rest"], 1)]))
    widths = {g.get("data-name"): float(g[1].get("width", "")) for g in boxes(root)}
    assert widths == {"main": WIDTH, "work": WIDTH * 3 / 4, "rest": WIDTH / 4}
    titles = [g[0].text for g in boxes(root)]
    assert titles == [
        "main [prog]: 4 times, 100.00 %",
        "rest [prog]: 1 times, 25.00 %",
        "work [prog]: 3 times, 75.00 %",
    ]


def test_nothing_counted_is_a_picture_that_says_so() -> None:
    root = drawn(made([]))
    assert not boxes(root)
    assert "nothing was counted" in "".join(root.itertext())


HOSTILE = [
    "<script>alert(1)</script>",
    '"><svg onload="alert(1)">',
    "]]></script><script>alert(1)//",
    "&lt;b&gt; &#60;i&#62;",
    "'onmouseover='alert(1)",
    "a\x00b\x1b[31m\x7f",
    "\ud800\ufffe",
    "\u202eevil\u202c",
    "\n\t\r",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_wherever_they_come_from(name: str) -> None:
    paths = find_paths(profile([sample(1, stack("main", name, module=name), execname=name)], name))
    root = drawn(paths, title=name)
    plain = drawn(made([(["prog", "main", "work"], 1)]))
    assert {e.tag for e in root.iter()} == {e.tag for e in plain.iter()}
    assert {key for e in root.iter() for key in e.attrib} == {key for e in plain.iter() for key in e.attrib}
    scripts = [e.text for e in root.iter(f"{SVG}script")]
    assert scripts == [e.text for e in plain.iter(f"{SVG}script")]


@given(st.text(max_size=40))
def test_a_name_is_shown_as_it_is_where_it_can_be(name: str) -> None:
    root = drawn(made([([name], 1)]))
    shown = boxes(root)[0].get("data-name", "")
    assert len(shown) == len(name)
    assert all(a in (b, "\ufffd") for a, b in zip(shown, name, strict=True))


def test_colours_tell_files_apart_and_are_the_same_everywhere() -> None:
    assert colour(Step("malloc", "/lib/libc.so.6")) == colour(Step("malloc", "/other/place/libc.so.6"))
    assert colour(Step("malloc", "/lib/libc.so.6")) != colour(Step("malloc", "/lib/libjemalloc.so.2"))
    assert colour(Step("malloc", "libc.so.6")) == "#e598e9"


MILLION = """
import random, resource, sys
from probelang.runtime.stacks.flame import flame_graph
from probelang.runtime.stacks.profile import StackFrames, find_paths
from tests.stacks.profiles import location, profile, sample
chance = random.Random(1)
places = [location(f"function_{i}") for i in range(3000)]
samples = [sample(chance.randint(1, 5), StackFrames(tuple(chance.choices(places, k=64)))) for _ in range(16_000)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stdout.buffer.write(flame_graph(find_paths(profile(samples)), "calls", "times"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, file=sys.stderr)
"""


def test_a_million_frames_make_a_picture_of_bounded_size() -> None:
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, check=True, cwd=ROOT)
    assert 1000 < len(boxes(ElementTree.fromstring(done.stdout))) <= MOST_BOXES
    assert len(done.stdout) < 10 << 20
    assert int(done.stderr) < 200 << 10  # kilobytes
