"""Probe aliases: prologues, epilogues, suffixes, nesting, wildcards, and their mistakes."""

from __future__ import annotations

import pytest

from probelang import resolved as program
from probelang.artifact.points import FunctionPoint, LifecyclePoint, ProcessPoint, TimerPoint
from probelang.diag import names
from tests.resolve.conftest import Mistakes, Resolve


def codes(probe: program.Probe) -> list[str]:
    return [part.code.span.text for part in probe.parts]


def test_a_prologue_runs_before_the_body_and_an_epilogue_after(resolved: Resolve) -> None:
    (probe,) = resolved("probe al = begin {p} probe al {b}").program.probes
    assert codes(probe) == ["{p}", "{b}"]
    (probe,) = resolved("probe al += begin {e} probe al {b}").program.probes
    assert codes(probe) == ["{b}", "{e}"]
    (probe,) = resolved("probe al = begin {p}, {e} probe al {b}").program.probes
    assert codes(probe) == ["{p}", "{b}", "{e}"]


def test_the_probe_keeps_the_name_of_the_alias(resolved: Resolve) -> None:
    (probe,) = resolved("probe al.one = begin {} probe al.one {}").program.probes
    assert (probe.name, probe.point) == ("al.one", LifecyclePoint("begin"))


def test_aliases_nest_and_the_innermost_prologue_is_first(resolved: Resolve) -> None:
    script = "probe inner = begin {ip}, {ie} probe outer = inner {op}, {oe} probe outer {b}"
    (probe,) = resolved(script).program.probes
    assert codes(probe) == ["{ip}", "{op}", "{b}", "{oe}", "{ie}"]


def test_an_alias_may_have_several_names_and_several_points(resolved: Resolve) -> None:
    script = "probe a = b = begin, end {} probe a {} probe b {}"
    assert [p.name for p in resolved(script).program.probes] == ["a", "a", "b", "b"]


def test_a_suffix_goes_to_the_points_of_the_alias(resolved: Resolve) -> None:
    script = 'probe al = process("{pie}").function("visible") {} probe al.return {}'
    (probe,) = resolved(script).program.probes
    assert probe.name == "al.return"
    assert isinstance(probe.point, FunctionPoint)
    assert probe.point.is_return


def test_a_suffix_with_an_argument(resolved: Resolve) -> None:
    (probe,) = resolved("probe al = timer {} probe al.s(2) {}").program.probes
    assert probe.point == TimerPoint(2_000_000_000)


def test_an_alias_beside_a_family_of_its_first_name(resolved: Resolve) -> None:
    script = 'probe process.begin = end {} probe process.begin {} probe process("{pie}").begin {}'
    first, second = resolved(script).program.probes
    assert first.point == LifecyclePoint("end")
    assert isinstance(second.point, ProcessPoint)


def test_a_suffix_that_does_not_fit(mistakes: Mistakes) -> None:
    (mistake,) = mistakes("probe al = begin {} probe al.return {}")
    assert isinstance(mistake, names.UnknownComponent)


def test_a_longer_alias_is_taken_before_a_suffix(resolved: Resolve) -> None:
    script = "probe al = begin {short} probe al.return = end {longer} probe al.return {}"
    (probe,) = resolved(script).program.probes
    assert probe.point == LifecyclePoint("end")


def test_wildcards_match_names_of_aliases(resolved: Resolve) -> None:
    script = "probe sys.open = begin {} probe sys.read = end {} probe other = begin {} probe sys.* {} "
    assert [p.point for p in resolved(script).program.probes] == [
        LifecyclePoint("begin"),
        LifecyclePoint("end"),
    ]


def test_a_wildcard_passes_over_aliases_that_do_not_resolve(resolved: Resolve) -> None:
    script = (
        'probe sys.open = begin {} probe sys.read = process("{pie}").function("nosuch") {} probe sys.* {}'
    )
    assert len(resolved(script).program.probes) == 1


def test_conditions_add_up(resolved: Resolve) -> None:
    script = "global a, b probe al = begin if (a) when (1) {} probe al if (b) when (2) {}"
    (probe,) = resolved(script).program.probes
    assert [c.expression.span.text for c in probe.armed] == ["a", "b"]
    assert [c.expression.span.text for c in probe.when] == ["1", "2"]


def test_an_alias_may_narrow_the_family_of_its_name(resolved: Resolve) -> None:
    (probe,) = resolved("probe begin = begin {p} probe begin {b}").program.probes
    assert codes(probe) == ["{p}", "{b}"]


def test_optional_points_within_an_alias(resolved: Resolve, mistakes: Mistakes) -> None:
    nosuch = 'process("{pie}").function("nosuch")'
    assert len(resolved(f"probe al = {nosuch} ?, begin {{}} probe al {{}}").program.probes) == 1
    assert len(resolved(f"probe al = {nosuch} !, begin !, end {{}} probe al {{}}").program.probes) == 1
    (mistake,) = mistakes(f"probe al = {nosuch} ? {{}} probe al {{}}")
    assert isinstance(mistake, names.AliasEmpty)
    assert len(resolved(f"probe al = {nosuch} {{}} probe al ?, end {{}}").program.probes) == 1


def test_an_alias_that_nobody_uses_may_name_what_does_not_exist(resolved: Resolve) -> None:
    assert len(resolved("probe al = nosuch.thing {} probe begin {}").program.probes) == 1


@pytest.mark.parametrize(
    "script", ["probe al = al {} probe al {}", "probe a = b {} probe b = a {} probe a {}"]
)
def test_cycles(mistakes: Mistakes, script: str) -> None:
    (mistake,) = mistakes(script)
    assert isinstance(mistake, names.AliasCycle)


def test_components_of_aliases_take_no_arguments(mistakes: Mistakes) -> None:
    (mistake,) = mistakes('probe al = begin {} probe al("x") {}')
    assert isinstance(mistake, names.AliasParameter)


def test_misspelt_aliases(mistakes: Mistakes) -> None:
    (mistake,) = mistakes("probe request.done = begin {} probe request.doen {}")
    assert isinstance(mistake, names.UnknownPoint)
    assert mistake.similar[0] == "request.done"


def test_aliases_of_libraries(resolved: Resolve) -> None:
    library = "probe lib.one = begin {p} probe lib.two = end {} private global counter"
    result = resolved("probe lib.* {b}", library=library)
    assert [p.name for p in result.program.probes] == ["lib.*", "lib.*"]
    assert [part.file.rsplit("/", 1)[-1] for part in result.program.probes[0].parts] == [
        "lib.stp",
        "user.probe",
    ]
    assert [g.declaration.name for g in result.program.globals] == ["counter"]


def test_an_alias_of_the_user_hides_that_of_the_library(resolved: Resolve) -> None:
    (probe,) = resolved(
        "probe lib.one = end {} probe lib.one {}", library="probe lib.one = begin {}"
    ).program.probes
    assert probe.point == LifecyclePoint("end")
