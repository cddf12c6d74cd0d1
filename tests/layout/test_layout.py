"""Where things lie and what runs where, read off the layout of scripts."""

from __future__ import annotations

import itertools

import pytest

from probelang.artifact.code import HistogramShape, Type, Variable
from probelang.artifact.limits import Limits
from probelang.artifact.manifest import BssStorage, KeyField, MapStorage, UserStorage
from probelang.diag import CompileError
from probelang.diag.kernel import CallsTooDeep
from probelang.layout import lay_out
from probelang.layout.program import Program
from probelang.layout.stats import stat_layout
from probelang.options import Options
from tests.check.scripts import check_text

HIT = 'probe process("P").function("f")'


def layout_of(text: str, nesting: int = 10) -> Program:
    return lay_out(check_text(text).program, Options(limits=Limits(nesting=nesting)))


def storages(text: str) -> dict[str, object]:
    layout = layout_of(text)
    return {v.name: s for v, s in zip(layout.source.variables, layout.storages, strict=True)}


def array(text: str, name: str = "a") -> MapStorage:
    storage = storages(text)[name]
    assert isinstance(storage, MapStorage)
    return storage


# ---------------------------------------------------------------------------------------------- who needs what


def test_only_what_the_kernel_touches_lies_in_maps() -> None:
    found = storages(f"global n, m, u; {HIT} {{ n++; m[1]++ }} probe end {{ u = 5; println(n, m[1], u) }}")
    assert isinstance(found["n"], BssStorage)
    assert isinstance(found["m"], MapStorage)
    assert isinstance(found["u"], UserStorage)


def test_a_function_called_by_a_probe_belongs_to_the_kernel_half() -> None:
    found = storages(f"global n; function f() {{ n++ }} {HIT} {{ f() }} probe end {{ println(n) }}")
    assert isinstance(found["n"], BssStorage)


def test_scalars_do_not_overlap_and_begin_behind_the_words_of_the_runtime() -> None:
    layout = layout_of(
        f'global n, s, t; {HIT} {{ n++; s = "x"; t <<< 1 }} probe end {{ println(n, s, @sum(t)) }}'
    )
    places = [(s.offset, s.size) for s in layout.storages if isinstance(s, BssStorage)]
    places += [(offset, 8) for _, offset in layout.words]
    places.sort()
    assert all(a + size <= b for (a, size), (b, _) in itertools.pairwise(places))
    assert places[-1][0] + places[-1][1] + layout.text_capacity <= layout.bss_size


@pytest.mark.parametrize(
    ("timer", "taken"),
    [
        ("foreach (k in a) println(k, a[k]); delete a", True),
        ("println(a[1]); delete a[1]", True),
        ("delete a", False),
        ("foreach (k in a) println(k)", False),
    ],
)
def test_a_timer_that_reads_and_deletes_takes_the_array(timer: str, taken: bool) -> None:
    assert array(f"global a; {HIT} {{ a[tid()]++ }} probe timer.s(1) {{ {timer} }}").swap is taken


def test_a_taken_scalar_aggregate_is_an_array_of_one() -> None:
    storage = array(f"global a; {HIT} {{ a <<< 1 }} probe timer.s(1) {{ println(@count(a)); delete a }}")
    assert storage.swap and storage.key == () and storage.stats is not None


# -------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("key", "size"),
    [('"abc"', 8), ('"exactly8"', 8), ('"nine byte"', 16), ("execname()", 16), ('execname() . "x"', 256)],
)
def test_a_string_key_is_as_long_as_what_is_put_in(key: str, size: int) -> None:
    fields = array(f'global a; {HIT} {{ a[{key}, tid()]++ }} probe end {{ println(a["", 0]) }}').key
    assert fields == (KeyField(0, size, Type.STRING), KeyField(size, 8, Type.LONG))


def test_keys_of_the_user_half_count_too() -> None:
    text = f'global a; {HIT} {{ a["x"]++ }} probe end {{ println(a["a longer one"]) }}'
    assert array(text).key_size == 16


def test_wrap_is_an_lru_map() -> None:
    layout = layout_of(
        f"global a%[10], b[20]; {HIT} {{ a[1]++; b[1]++ }} probe end {{ println(a[1], b[1]) }}"
    )
    types = {spec.name: (spec.type, spec.max_entries) for spec in layout.maps}
    assert types["m0_a"] == ("lru_hash", 10)
    assert types["m1_b"] == ("hash", 20)


# -------------------------------------------------------------------------------------------------- aggregates


def test_an_aggregate_has_only_the_fields_that_are_read() -> None:
    count_only = stat_layout(Variable("s", None, Type.STATS, statistics=("count",)))
    assert (count_only.size, count_only.sum, count_only.minimum) == (8, None, None)
    average = stat_layout(Variable("s", None, Type.STATS, statistics=("avg",)))
    assert (average.count, average.sum, average.size) == (0, 8, 16)


def test_histograms_follow_the_fields() -> None:
    shapes = (HistogramShape("log"), HistogramShape("linear", 0, 10, 2))
    layout = stat_layout(Variable("s", None, Type.STATS, statistics=("variance",), shapes=shapes))
    log, linear = layout.histograms
    assert (layout.squares, log.offset, linear.offset) == (16, 32, 32 + 129 * 8)
    assert layout.size == linear.offset + 8 * linear.buckets


def test_a_sort_needs_its_operator() -> None:
    storage = array(f"global a; {HIT} {{ a[1] <<< 1 }} probe end {{ foreach (k in a @max-) println(k) }}")
    assert storage.stats is not None and storage.stats.maximum is not None


# ---------------------------------------------------------------------------------------- frames and functions


def needs_frame(body: str, head: str = "") -> bool:
    return (
        layout_of(f"{head} {HIT} {{ {body} }} probe never {{ n = 0; a[0] = 0; s <<< 0 }} global n, a, s")
        .kernel[0]
        .frame
    )


@pytest.mark.parametrize(
    "body",
    [
        "n++",
        "a[tid()]++",
        "s <<< int_arg(1)",
        'printf("%d %d\\n", pid(), n)',
        'println("text")',
        "if (n > 5) n = a[1] / 2",
        "n = plus(n, 1)",
    ],
)
def test_what_handlers_do_most_needs_no_scratch_memory(body: str) -> None:
    head = "function plus(a, b) { return a + b }" if "plus" in body else ""
    assert not needs_frame(body, head)


@pytest.mark.parametrize(
    "body", ["x = execname(); println(x)", "while (n < 5) n++", "try { n = 1 / n } catch { n = 0 }"]
)
def test_strings_loops_and_try_need_scratch_memory(body: str) -> None:
    assert needs_frame(body)


def test_recursion_becomes_one_clone_for_each_depth() -> None:
    text = f"function f(n) {{ return n ? f(n - 1) : 0 }} {HIT} {{ println(f(3)) }}"
    clones = layout_of(text, nesting=4).clones
    assert [c.depth for c in clones] == [4, 3, 2, 1]  # callees first
    assert clones[0].calls == ((0, None),)
    assert clones[1].calls == ((0, 0),)
    assert [c.inline for c in clones] == [True, False, True, False]


def test_a_function_used_everywhere_is_compiled_once() -> None:
    text = (
        'function f(s) { while (strlen(s) < 9) s .= "x"; return s }'
        f'function g(s) {{ return f(s) . f("y") }} {HIT} {{ println(f("a") . g("b") . g("c")) }}'
    )
    layout = layout_of(text)
    names = [layout.source.functions[c.function].name for c in layout.clones]
    assert names == ["f", "g"]


def test_too_many_callbacks_in_each_other_are_refused() -> None:
    loops = " ".join(f"foreach (k{i} in a)" for i in range(8))
    with pytest.raises(CompileError) as caught:
        layout_of(f"global a, n; {HIT} {{ a[1] = 1; {loops} n++ }} probe end {{ println(n) }}")
    assert isinstance(caught.value.diagnostics[0], CallsTooDeep)


# ---------------------------------------------------------------------------------------------------- programs


def test_each_program_stands_alone_in_its_section() -> None:
    layout = layout_of(
        f"global n; {HIT} {{ n++ }} {HIT} {{ n++ }} probe timer.profile {{ n++ }} probe timer.profile {{ n-- }} probe end {{ println(n) }}"
    )
    sections = [entry.section for probe in layout.kernel for entry in probe.entries]
    assert len(set(sections)) == len(sections) == 4
    assert "perf_event" in sections
