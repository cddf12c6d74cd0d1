"""Probe points of every family: what they resolve to, and what is said when they do not."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from probelang.artifact.points import (
    FunctionPoint,
    LifecyclePoint,
    Point,
    ProcessPoint,
    ProfilePoint,
    SyscallPoint,
    TimerPoint,
)
from probelang.diag import CompileError, names, target
from probelang.options import Options
from tests.conftest import Compile
from tests.dwarf.targets import nm
from tests.resolve.conftest import Mistakes, Resolve


def points(resolved: Resolve, point: str, options: Options | None = None) -> list[Point]:
    return [p.point for p in resolved(f"probe {point} {{ }}", options).program.probes]


def functions(resolved: Resolve, point: str, options: Options | None = None) -> list[str]:
    found = points(resolved, point, options)
    return [s.function for p in found if isinstance(p, FunctionPoint) for s in p.sites]


# -------------------------------------------------------------------------------------- begin, end, timers


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("begin", LifecyclePoint("begin", 0)),
        ("begin(-5)", LifecyclePoint("begin", -5)),
        ("end(3)", LifecyclePoint("end", 3)),
        ("error", LifecyclePoint("error", 0)),
        ("error(1)", LifecyclePoint("error", 1)),
        ("never", LifecyclePoint("never", 0)),
        ("timer.s(2)", TimerPoint(2_000_000_000)),
        ("timer.sec(2)", TimerPoint(2_000_000_000)),
        ("timer.ms(3)", TimerPoint(3_000_000)),
        ("timer.msec(3)", TimerPoint(3_000_000)),
        ("timer.us(5)", TimerPoint(5_000)),
        ("timer.usec(5)", TimerPoint(5_000)),
        ("timer.ns(7)", TimerPoint(7)),
        ("timer.nsec(7)", TimerPoint(7)),
        ("timer.jiffies(10)", TimerPoint(40_000_000)),
        ("timer.hz(50)", TimerPoint(20_000_000)),
        ("timer.ms(100).randomize(10)", TimerPoint(100_000_000, 10_000_000)),
        ("timer.hz(10).randomize(1)", TimerPoint(100_000_000, 10_000_000)),
        ("timer.profile", ProfilePoint(None)),
        ("timer.profile.tick", ProfilePoint(None)),
        ("timer.profile.freq.hz(99)", ProfilePoint(99)),
    ],
)
def test_points_without_a_file(resolved: Resolve, point: str, expected: Point) -> None:
    assert points(resolved, point) == [expected]


def test_oneshot_is_begin_and_exit(resolved: Resolve) -> None:
    (probe,) = resolved("probe oneshot { x = 1 }").program.probes
    assert probe.point == LifecyclePoint("begin", 0)
    assert len(probe.parts) == 2
    assert "name='exit'" in repr(probe.parts[0].code)


@pytest.mark.parametrize(
    "point", ["timer.s(0)", "timer.s(-1)", "timer.hz(0)", "timer.ms(10).randomize(11)", "timer.ms(10).randomize(-1)",
              "timer.hz(2000000000)", "timer.s(0x7fffffffffffffff)", "timer.profile.freq.hz(0)"]
)  # fmt: skip
def test_intervals_out_of_bounds(mistakes: Mistakes, point: str) -> None:
    (mistake,) = mistakes(f"probe {point} {{ }}")
    assert isinstance(mistake, names.OutOfInterval)


# ------------------------------------------------------------------------------------------------ functions


def test_a_function_with_its_file_address_and_text(resolved: Resolve, pie: Path) -> None:
    (point,) = points(resolved, 'process("{pie}").function("visible")')
    assert isinstance(point, FunctionPoint)
    assert point.binary.path == str(pie)
    assert len(point.binary.build_id) == 40
    assert (point.is_return, point.pid, point.executable) == (False, None, None)
    (site,) = point.sites
    assert site.function == "visible"
    assert site.address == nm(pie)["visible"]
    assert site.point == f'process("{pie}").function("visible")'


@pytest.mark.parametrize("suffix", [".call", ".exported", ".return", ".return.maxactive(5)"])
def test_suffixes(resolved: Resolve, pie: Path, suffix: str) -> None:
    (point,) = points(resolved, f'process("{pie}").function("visible"){suffix}')
    assert isinstance(point, FunctionPoint)
    assert point.is_return == suffix.startswith(".return")
    shown = suffix.removesuffix(".maxactive(5)")
    assert point.sites[0].point == f'process("{pie}").function("visible"){shown}'


def test_exported_leaves_local_functions_out(resolved: Resolve, mistakes: Mistakes) -> None:
    assert "helper" not in functions(resolved, 'process("{pie}").function("*").exported')
    assert "visible" in functions(resolved, 'process("{pie}").function("*").exported')
    (mistake,) = mistakes('probe process("{pie}").function("helper").exported { }')
    assert isinstance(mistake, target.NoSuchFunction)


def test_globs(resolved: Resolve) -> None:
    assert functions(resolved, 'process("{pie}").function("h*")') == ["helper", "hidden"]


def test_cpp_names(resolved: Resolve) -> None:
    assert functions(resolved, 'process("{cpp}").function("shop::Cart::add")') == ["shop::Cart::add"] * 2


def test_no_match_names_similar_functions(mistakes: Mistakes) -> None:
    (mistake,) = mistakes('probe process("{pie}").function("visble") { }')
    assert isinstance(mistake, target.NoSuchFunction)
    assert "(similar functions: visible" in mistake.title()
    assert mistake.span is not None
    assert mistake.span.text == 'function("' + "visble" + '")'


def test_an_indirect_function_is_warned_about(resolved: Resolve) -> None:
    warnings = resolved('probe process("{pie}").function("chosen") { }').warnings
    assert [type(w) for w in warnings] == [names.IndirectFunction]


def test_one_probe_per_file(resolved: Resolve, folder: Path) -> None:
    found = points(resolved, f'process("{folder}/[pc][ip][ep]").function("main")')
    assert [p.binary.path for p in found if isinstance(p, FunctionPoint)] == [
        f"{folder}/cpp",
        f"{folder}/pie",
    ]


def test_a_file_of_a_glob_without_such_a_function_is_no_mistake(resolved: Resolve, folder: Path) -> None:
    found = points(resolved, f'process("{folder}/[pa]*").function("hidden")')
    assert [p.binary.path for p in found if isinstance(p, FunctionPoint)] == [f"{folder}/pie"]


# ---------------------------------------------------------------------------------------------------- safety


def test_a_named_function_that_must_not_be_probed_is_refused_with_its_reason(mistakes: Mistakes) -> None:
    (mistake,) = mistakes('probe process("{asm}").function("bad_syscall") { }')
    assert isinstance(mistake, target.UnsafeSite)
    assert "`syscall`" in mistake.title()


def test_a_wildcard_leaves_them_out_and_counts_them_in_one_warning(resolved: Resolve) -> None:
    result = resolved('probe process("{asm}").function("*d_*") { }')
    (warning,) = result.warnings
    assert isinstance(warning, target.SkippedSites)
    assert warning.title().startswith("9 functions of ")
    (probe,) = result.program.probes
    assert isinstance(probe.point, FunctionPoint)
    assert all(site.function.startswith("good_") for site in probe.point.sites)


def test_returns_that_would_crash_are_refused(mistakes: Mistakes, resolved: Resolve) -> None:
    (mistake,) = mistakes('probe process("{pie}").function("_start").return { }')
    assert isinstance(mistake, target.UnsafeSite)
    assert functions(resolved, 'process("{pie}").function("_start")') == ["_start"]


def test_returns_that_exceptions_may_pass_are_not_hooked(
    resolved: Resolve, mistakes: Mistakes, cpp: Path
) -> None:
    result = resolved('probe process("{cpp}").function("main").return { }')
    (probe,) = result.program.probes
    assert isinstance(probe.point, FunctionPoint) and probe.point.at_returns
    (site,) = probe.point.sites
    code = cpp.read_bytes()
    assert site.returns and {code[offset] for offset in site.returns} == {0xC3}
    assert result.warnings == ()


def test_returns_that_no_exception_passes_are_hooked(resolved: Resolve) -> None:
    (probe,) = resolved('probe process("{cpp}").function("plain").return { }').program.probes
    assert isinstance(probe.point, FunctionPoint) and not probe.point.at_returns


def test_a_hooked_function_of_a_library_that_calls_what_it_is_given_is_warned_about(
    resolved: Resolve, cpp: Path, pie: Path, compile_c: Compile
) -> None:
    """In whatever program; in one program it is known whether exceptions are thrown there."""
    text = """
    __attribute__((noinline)) long apply(long (*f)(long), long n) { return f(n) + 1; }
    __attribute__((noinline)) long add(long n) { return n + 1; }
    """
    library = compile_c(text, "-O1", "-shared", "-fPIC", name="libcallback.so")
    warnings = resolved(f'probe process("{library}").function("apply").return {{ }}').warnings
    assert [(type(w), getattr(w, "function", "")) for w in warnings] == [(target.ExceptionsPass, "apply")]
    assert resolved(f'probe process("{library}").function("add").return {{ }}').warnings == ()
    for program, at_returns in ((cpp, True), (pie, False)):
        result = resolved(f'probe process("{program}").library("{library}").function("apply").return {{ }}')
        (probe,) = result.program.probes
        assert isinstance(probe.point, FunctionPoint) and probe.point.at_returns is at_returns
        assert result.warnings == ()


def test_returns_of_plt_slots_are_warned_about_where_exceptions_may_pass(resolved: Resolve) -> None:
    for name, expected in (("cpp", [target.ExceptionsPass]), ("pie", [])):
        result = resolved(f'probe process("{{{name}}}").plt("*").return {{ }}')
        assert [type(w) for w in result.warnings] == expected


def test_an_address(resolved: Resolve, mistakes: Mistakes, pie: Path) -> None:
    address = nm(pie)["visible"]
    (point,) = points(resolved, f'process("{pie}").function({address})')
    assert isinstance(point, FunctionPoint)
    assert [(s.address, s.function) for s in point.sites] == [(address, "visible")]
    for wrong in (address + 1, address + 2):
        try:
            points(resolved, f'process("{pie}").function({wrong})')
        except CompileError as error:
            assert "is the middle of the instruction" in str(error)
            break
    else:
        pytest.fail("both following bytes begin instructions")
    (mistake,) = mistakes('probe process("{pie}").function(1) { }')
    assert isinstance(mistake, target.NoFunctionAtAddress)


def test_the_return_of_an_address_within_a_function(mistakes: Mistakes, pie: Path) -> None:
    shown = subprocess.run(["objdump", "-d", str(pie)], check=True, capture_output=True, text=True).stdout
    body = shown[shown.index("<visible>:\n") :].splitlines()
    second = int(body[2].split(":")[0], 16)
    (mistake,) = mistakes(f'probe process("{pie}").function({second}).return {{ }}')
    assert "only whole functions return" in mistake.title()


# ------------------------------------------------------------------------------------------- PLT, libraries


def test_plt(resolved: Resolve, mistakes: Mistakes, pie: Path) -> None:
    assert functions(resolved, 'process("{pie}").plt("malloc")') == ["malloc"]
    assert {"malloc", "free", "printf"} <= set(functions(resolved, 'process("{pie}").plt'))
    (point,) = points(resolved, 'process("{pie}").plt("f*").return')
    assert isinstance(point, FunctionPoint)
    assert point.is_return
    assert point.sites[0].point == f'process("{pie}").plt("free").return'
    (mistake,) = mistakes('probe process("{pie}").plt("maloc") { }')
    assert isinstance(mistake, target.NoSuchFunction)
    assert mistake.similar == ("malloc",)


def test_a_library_of_a_program(resolved: Resolve, mistakes: Mistakes, pie: Path) -> None:
    (point,) = points(resolved, 'process("{pie}").library("libc.so*").function("malloc")')
    assert isinstance(point, FunctionPoint)
    assert point.executable == str(pie)
    assert os.path.basename(point.binary.path) == "libc.so.6"
    assert point.sites[0].point.startswith(f'process("{pie}").library("/')
    (mistake,) = mistakes('probe process("{pie}").library("libd.so.6").function("malloc") { }')
    assert isinstance(mistake, target.NoSuchLibrary)
    assert "libc.so.6" in mistake.similar


# ------------------------------------------------------------------------------------------------- processes


@pytest.mark.parametrize("event", ["begin", "end", "thread.begin", "thread.end"])
def test_life_of_processes(resolved: Resolve, pie: Path, event: str) -> None:
    assert points(resolved, f"process.{event}") == [
        ProcessPoint(event, None, None, f"process.{event}")  # type: ignore[arg-type]
    ]
    text = f'process("{pie}").{event}'
    assert points(resolved, text) == [ProcessPoint(event, str(pie), None, text)]  # type: ignore[arg-type]


def test_system_calls(resolved: Resolve, pie: Path) -> None:
    assert points(resolved, "process.syscall") == [SyscallPoint(False, None, None, "process.syscall")]
    text = f'process("{pie}").syscall.return'
    assert points(resolved, text) == [SyscallPoint(True, str(pie), None, text)]


def test_a_running_process(resolved: Resolve, mistakes: Mistakes, pie: Path) -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        # until it has executed the program it is still a copy of us
        while os.path.basename(os.readlink(f"/proc/{child.pid}/exe")) == os.path.basename(
            os.readlink("/proc/self/exe")
        ):
            pass
        (point,) = points(
            resolved, f'process({child.pid}).plt("nanosleep*") ?, process({child.pid}).syscall'
        )[-1:]
        assert point == SyscallPoint(
            False, os.path.realpath("/bin/sleep"), child.pid, f"process({child.pid}).syscall"
        )
        (found,) = points(resolved, f'process({child.pid}).library("libc.so.6").function("malloc")')
        assert isinstance(found, FunctionPoint)
        assert (found.pid, found.executable) == (child.pid, None)
    finally:
        child.kill()
        child.wait()
    (mistake,) = mistakes(f'probe process({child.pid}).function("main") {{ }}')
    assert mistake == target.NoSuchProcess(pid=child.pid, span=mistake.span)


def test_process_alone_is_the_command_or_the_target(resolved: Resolve, mistakes: Mistakes, pie: Path) -> None:
    options = Options(command=str(pie))
    assert functions(resolved, 'process.function("visible")', options) == ["visible"]
    running = replace(Options(), pid=os.getpid())
    (point,) = points(resolved, "process.begin", running)
    assert point == ProcessPoint("begin", None, None, "process.begin")
    (mistake,) = mistakes('probe process.function("visible") { }')
    assert isinstance(mistake, target.NoCommand)


def test_missing_files(mistakes: Mistakes) -> None:
    (mistake,) = mistakes('probe process("/nonexistent").function("f") { }')
    assert isinstance(mistake, target.NoSuchProgram)
    assert mistake.span is not None
    assert mistake.span.text == 'process("/nonexistent")'
    (mistake,) = mistakes('probe process("/etc/passwd").function("f") { }')
    assert isinstance(mistake, target.NotElf)


# ---------------------------------------------------------------------------------- shapes of points, wildcards


def test_unknown_parts_name_what_is_near_and_what_is_known(mistakes: Mistakes) -> None:
    (mistake,) = mistakes('probe process("x").fuction("f") { }')
    assert isinstance(mistake, names.UnknownComponent)
    assert mistake.similar == ("function",)
    assert mistake.span is not None
    assert mistake.span.text == 'fuction("f")'
    (mistake,) = mistakes("probe bgin { }")
    assert isinstance(mistake, names.UnknownPoint)
    assert mistake.similar == ("begin",)


@pytest.mark.parametrize(
    "point", ['begin("x")', "timer.s", 'timer.s("x")', 'process("x").function', 'process("x").library(1).plt']
)
def test_wrong_arguments(mistakes: Mistakes, point: str) -> None:
    (mistake,) = mistakes(f"probe {point} {{ }}")
    assert isinstance(mistake, names.WrongArgument)


@pytest.mark.parametrize("point", ['process("x")', "timer", 'process("x").thread', "process"])
def test_points_that_are_not_complete(mistakes: Mistakes, point: str) -> None:
    (mistake,) = mistakes(f"probe {point} {{ }}")
    assert isinstance(mistake, names.IncompletePoint)


@pytest.mark.parametrize(
    "point",
    [
        'kernel.function("f")',
        "syscall.open",
        "syscall.*",
        'module("m").function("f")',
        'kprobe.function("f")',
        'procfs("x").read',
    ],
)
def test_kernel_points_are_out_of_scope(mistakes: Mistakes, point: str) -> None:
    (mistake,) = mistakes(f"probe {point} {{ }}")
    assert isinstance(mistake, names.KernelPoint | names.NoMatchingPoint)


@pytest.mark.parametrize("point", ['process("{pie}").insn', "perf.type(0).config(0)"])
def test_points_that_are_not_supported(mistakes: Mistakes, resolved: Resolve, point: str) -> None:
    (mistake,) = mistakes(f"probe {point} {{ }}")
    assert isinstance(mistake, names.UnsupportedPoint)
    assert len(resolved(f"probe {point} ?, begin {{ }}").program.probes) == 1


@pytest.mark.parametrize(
    "point",
    ['function("f@x.c")', 'function("f").inline', 'statement("f@x.c:1")', 'function("f").label("l")', 'function("f").callees'],
)  # fmt: skip
def test_points_about_source_code_need_debug_information(
    mistakes: Mistakes, resolved: Resolve, point: str
) -> None:
    (mistake,) = mistakes(f'probe process("{{pie}}").{point} {{ }}')
    assert isinstance(mistake, target.NoDebugInfo)
    assert len(resolved(f'probe process("{{pie}}").{point} ?, begin {{ }}').program.probes) == 1


def test_wildcards_over_parts(resolved: Resolve, pie: Path) -> None:
    found = points(resolved, 'process("{pie}").thread.*')
    assert [p.event for p in found if isinstance(p, ProcessPoint)] == ["thread.begin", "thread.end"]
    found = points(resolved, 'process("{pie}").**')
    assert {p.event for p in found if isinstance(p, ProcessPoint)} == {
        "begin",
        "end",
        "thread.begin",
        "thread.end",
    }
    assert len([p for p in found if isinstance(p, SyscallPoint)]) == 2
    assert points(resolved, "timer.*(5)")


def test_a_wildcard_that_fits_nothing(mistakes: Mistakes) -> None:
    (mistake,) = mistakes('probe process("{pie}").zork* { }')
    assert isinstance(mistake, names.NoMatchingPoint)


# ------------------------------------------------------------------------------------ optional and sufficient


def test_an_optional_point_is_dropped(resolved: Resolve) -> None:
    assert points(resolved, 'process("{pie}").function("nosuch") ?, end') == [LifecyclePoint("end")]


def test_a_probe_of_which_nothing_is_left_is_dropped_with_a_warning(resolved: Resolve) -> None:
    result = resolved('probe process("{pie}").function("nosuch") ? { } probe begin { }')
    assert len(result.program.probes) == 1
    assert [type(w) for w in result.warnings] == [names.ProbeDropped]


def test_nothing_left_at_all(mistakes: Mistakes) -> None:
    assert [type(m) for m in mistakes('probe process("{pie}").function("nosuch") ? { }')] == [names.NoProbes]
    assert [type(m) for m in mistakes("global x")] == [names.NoProbes]


def test_a_sufficient_point_that_exists_drops_the_later_ones(resolved: Resolve) -> None:
    assert points(resolved, "begin !, end") == [LifecyclePoint("begin")]
    assert points(resolved, 'process("{pie}").function("nosuch") !, end') == [LifecyclePoint("end")]


def test_all_mistakes_at_once(mistakes: Mistakes) -> None:
    found = mistakes('probe bgin { } probe process("{pie}").function("nosuch"), timer.s(0) { nofunction() }')
    assert [m.code for m in found] == ["E0201", "E0410", "E0205"]


def test_the_name_of_a_probe_is_its_point_as_written(resolved: Resolve, pie: Path) -> None:
    script = 'probe process("{pie}").{function("h*"), plt("free")}.return, timer.s(1) ? if (x) { } global x'
    assert [p.name for p in resolved(script).program.probes] == [
        f'process("{pie}").function("h*").return',
        f'process("{pie}").plt("free").return',
        "timer.s(1)",
    ]
