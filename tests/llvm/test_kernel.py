"""Scripts lowered to eBPF and run on this kernel: what they cost, what they count, what happens at the limits. Counts and limits
are those of the ptrace backend, too."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.artifact.elf import read_elf
from probelang.artifact.limits import Limits
from probelang.diag import CompileError
from probelang.diag.kernel import KernelTooOld
from probelang.layout import lay_out
from probelang.llvm import Compiled, compile_program
from probelang.options import Backend, Options
from tests.agreement.halves import POINT, Target, at_target, run_kernel, run_traced
from tests.check.scripts import check_text
from tests.evaluate.scripts import Outcome

pytestmark = pytest.mark.kernel
HIT = f"probe {POINT}"
Runner = Callable[..., Outcome]


@pytest.fixture
def run(backend: Backend, firing: Target, kernel_features: frozenset[str]) -> Runner:
    """With each backend."""

    def runner(text: str, **more: object) -> Outcome:
        if backend == "ptrace":
            return run_traced(text, firing, **more)  # type: ignore[arg-type]
        return run_kernel(text, firing, kernel_features, **more)  # type: ignore[arg-type]

    return runner


@pytest.fixture
def run_in_kernel(firing: Target, kernel_features: frozenset[str], requires: Callable[..., None]) -> Runner:
    """For what only programs in the kernel have: features that may be missing, and a ring buffer that may be full."""
    requires("root", "ring_buffer")

    def runner(text: str, without: tuple[str, ...] = (), **more: object) -> Outcome:
        return run_kernel(text, firing, kernel_features - set(without), **more)  # type: ignore[arg-type]

    return runner


def compiled(text: str, target: Target, features: frozenset[str] = frozenset()) -> Compiled:
    options = Options(features=features)
    return compile_program(lay_out(at_target(check_text(text).program, target), options), options)


# ------------------------------------------------------------------------------------------------- what it costs


@pytest.mark.parametrize(
    ("body", "instructions"),
    [
        ("n++", 28),  # of which the verifier drops those about -x, -c and the own process
        ("a[tid()]++", 92),
        ("s <<< int_arg(1)", 64),
        ('printf("%d %d\\n", int_arg(1), tid())', 62),
    ],
)
def test_what_handlers_do_most_is_short_and_needs_no_scratch_memory(
    body: str, instructions: int, firing: Target
) -> None:
    text = f"global n, a, s {HIT} {{ {body} }} probe end {{ println(n, a[1], @count(s)) }}"
    text += " probe never { n = 1 a[1] = 1 s <<< 1 }"
    result = compiled(text, firing)
    assert "frames" not in {spec.name for spec in result.manifest.maps}
    section = read_elf(result.code).section(result.manifest.programs[0].section)
    assert section is not None and section.size <= 8 * instructions


def test_the_same_script_gives_the_same_bytes(firing: Target) -> None:
    text = f'global a {HIT} {{ foreach (k in a) x .= sprintf("%d", k); a[x]++ }}'.replace(
        "a[x]", "a[strlen(x)]"
    )
    text += " probe end { println(a[1]) }"
    assert compiled(text, firing).code == compiled(text, firing).code


EVERYTHING = (
    "global a, s, t, g function f(n) { return n ? n * f(n - 1) : 1 } "
    f"{HIT} {{ try {{ a[execname()]++; foreach (k in a) x .= k; g .= x; s <<< f(3); println(@avg(s), g, 1 / pid()) }} "
    "catch (m) { println(m) } t++ } probe timer.s(1) { t += 2; delete a; foreach (k in a) println(k) } "
    "probe end { println(t, g) }"
)


def test_bpftool_takes_the_object(firing: Target, tmp_path: Path, requires: Callable[..., None]) -> None:
    requires("root", "iterators", "for_each")
    path = tmp_path / "everything.bpf.o"
    path.write_bytes(compiled(EVERYTHING, firing).code)
    pins = Path("/sys/fs/bpf") / f"probelang_test_{tmp_path.name}"
    result = subprocess.run(
        ["bpftool", "prog", "loadall", path, pins], capture_output=True, text=True, check=False
    )
    try:
        assert result.returncode == 0, result.stderr
    finally:
        for pin in pins.glob("*"):
            pin.unlink()
        if pins.exists():
            pins.rmdir()


# ---------------------------------------------------------------------------------------------------- counting


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    ("statement", "shown", "result"),
    [
        ("n++", "n", "{hits}"),
        ("n -= 2", "n", "-{twice}"),
        ("n = n + 1", "n", "{hits}"),
        ("n = n * 1 + 1", "n", "{hits}"),
        ("a[1]++", "a[1]", "{hits}"),
        ("a[1] = a[1] + 2", "a[1]", "{twice}"),
        ("s <<< int_arg(1)", '@count(s), " ", @min(s), " ", @max(s)', "{hits} 0 999"),
        ("t[execname()] <<< 2", '@sum(t["fire"])', "{twice}"),
    ],
)
def test_every_hit_counts(statement: str, shown: str, result: str, threads: int, run: Runner) -> None:
    name = statement[0]
    text = f"global {name} {HIT} {{ {statement} }} probe end {{ println({shown}) }}"
    outcome = run(text, hits=1000, threads=threads)
    assert outcome.text == result.format(hits=1000 * threads, twice=2000 * threads) + "\n"


def test_strings_of_several_threads_lose_nothing(run: Runner) -> None:
    text = f'global s, a {HIT} {{ s .= "x"; a["k"] .= "y" }} probe end {{ println(strlen(s), " ", strlen(a["k"])) }}'
    assert run(text, hits=50, threads=4).text == "200 200\n"


def test_a_timer_that_prints_and_deletes_loses_nothing(run: Runner) -> None:
    text = (
        f"global a, total {HIT} {{ a[int_arg(1) & 7] <<< 1 }} "
        "probe timer.ms(1) { foreach (k in a) total += @count(a[k]); delete a } "
        "probe end { foreach (k in a) total += @count(a[k]); println(total) }"
    )
    assert run(text, hits=20_000, threads=2).text == "40000\n"


def test_both_halves_count_the_same_variable(run: Runner) -> None:
    text = (
        f"global n, a {HIT} {{ n++; a[1]++ }} probe timer.ms(1) {{ n += 1000000; a[1] += 1000000 }} "
        'probe end { println(n % 1000000, " ", a[1] % 1000000) }'
    )
    assert run(text, hits=20_000, threads=2).text == "40000 40000\n"


def test_delivered_and_lost_lines_add_up(run_in_kernel: Runner) -> None:
    outcome = run_in_kernel(f"{HIT} {{ println(int_arg(1)) }}", hits=5000, threads=2, ring_bytes=4096)
    lost = sum(int(w.split()[0]) for w in outcome.warnings if b"lost" in w)
    assert outcome.text.count("\n") + lost == 10_000


# ------------------------------------------------------------------------------------------------------ limits


def test_the_first_error_ends_the_session_unless_more_are_allowed(run: Runner) -> None:
    text = f'{HIT} {{ println(1 / int_arg(1)) }} probe end {{ println("end") }} probe error {{ println("error") }}'
    assert run(text, hits=3, limits=Limits()).text == "error\n"
    assert run(text, hits=3, limits=Limits(errors=5)).text == "1\n0\nend\n"


def test_errors_say_where_they_happened(run: Runner) -> None:
    outcome = run(f"{HIT} {{\n  x = execname()\n  println(x, 5 % int_arg(1)) }}")
    assert outcome.errors == ["division by 0 near operator '%' at test.probe:3:16"]


@pytest.mark.parametrize("guard", ["{body}", "try {{ {body} }} catch {{ println(5) }}"])
def test_an_endless_loop_ends_and_is_not_caught(guard: str, run: Runner) -> None:
    body = guard.format(body="while (1) n++")
    outcome = run(
        f"global n {HIT} {{ {body} }} probe end {{ println(n < 1000) }}",
        limits=Limits(actions=1000, errors=9),
    )
    assert outcome.text == "1\n"
    assert [e.split(" near")[0] for e in outcome.errors] == ["MAXACTION exceeded"]


def test_a_full_array_is_an_error(run: Runner) -> None:
    outcome = run(
        f"global a[2] {HIT} {{ a[int_arg(1)] = 1 }} probe end {{ println(a[0] + a[1] + a[2]) }}", hits=3
    )
    assert outcome.text == "2\n"
    assert outcome.errors[0].startswith("Array overflow, check MAXMAPENTRIES near")


def test_wrapped_arrays_never_fill_up(run: Runner) -> None:
    outcome = run(f"global a%[64] {HIT} {{ a[int_arg(1)] = 1 }} probe end {{ println(a[999]) }}", hits=1000)
    assert (outcome.text, outcome.errors) == ("1\n", [])


def test_recursion_reaches_the_documented_depth(run: Runner) -> None:
    text = f"function f(n) {{ return n ? 1 + f(n - 1) : 0 }} {HIT} {{ println(f(9)); println(f(10)) }}"
    outcome = run(text)
    assert outcome.text == "9\n"
    assert outcome.errors[0].startswith("MAXNESTING exceeded near")


# ----------------------------------------------------------------------------------------------------- features


def test_a_loop_on_a_kernel_without_iterators_is_refused_with_its_place(
    firing: Target, kernel_features: frozenset[str]
) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(f"{HIT} {{ while (n < 5) n++ }}", firing, kernel_features - {"iterators"})
    mistake = caught.value.diagnostics[0]
    assert isinstance(mistake, KernelTooOld) and "6.4" in mistake.help()
    assert mistake.span is not None


@pytest.mark.parametrize("feature", ["sleepable", "preempt_kfuncs", "uprobe_multi"])
def test_everything_runs_without(feature: str, run_in_kernel: Runner) -> None:
    outcome = run_in_kernel(EVERYTHING, without=(feature,), hits=2)
    assert outcome.errors == []
    assert outcome.text.splitlines()[-1].startswith("2")


def test_counting_needs_no_iterators(run_in_kernel: Runner) -> None:
    text = f"global n, a {HIT} {{ n++; a[tid()] += 2; println(n) }} probe end {{ foreach (k in a) println(a[k]) }}"
    assert run_in_kernel(text, without=("iterators",), hits=2).text == "1\n2\n4\n"


def test_an_array_that_a_timer_takes_may_grow_by_what_is_read_from_memory(run: Runner) -> None:
    step = 'a[1] = a[1] + (user_long(register("rsp")) != -77)'
    text = (
        f"global a, total {HIT} {{ {step} }} probe timer.ms(1) {{ foreach (k in a) total += a[k]; delete a }} "
        "probe end { println(total + a[1]) }"
    )
    assert run(text, hits=2000, threads=2).text == "4000\n"


def test_constants_are_found_where_llvm_has_put_them(firing: Target) -> None:
    result = compiled(f"{HIT} {{ println(5 / ((tid() >> 255) | 1)) }}", firing)
    elf = read_elf(result.code)
    place = next(s.value for s in elf.symbols if s.name == "constants")
    assert min(c.offset for c in result.manifest.constants) == place
