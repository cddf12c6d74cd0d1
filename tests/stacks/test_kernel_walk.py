"""Stacks that are not plain, walked by the kernel's programs: signals, probed returns, generated code, stacks aligned by hand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Compile, Result, Run

pytestmark = pytest.mark.kernel

SOURCE = Path(__file__).parent / "targets" / "frames.c"
ON_TOP = ["main", "__libc_start_call_main", "__libc_start_main", "_start"]
MOST = 127
WAYS = {
    "iterator": (),
    "find_vma": ("--without", "task_vma_iterator"),
}
Walk = Callable[..., Result]


@pytest.fixture
def target(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O2", "-fomit-frame-pointer", "-fno-builtin", name="frames")


@pytest.fixture
def walk(probelang: Run, requires: Callable[..., None], target: Path) -> Walk:
    """Runs a script while the target runs in a mode, or another command does. `{t}` in both is the target's path."""
    requires("root", "raw_tracepoints", "cookie", "task_vma_iterator", "find_vma")

    def run(script: str, mode: str, *options: str) -> Result:
        text = script.replace("{t}", str(target))
        command = mode.replace("{t}", str(target)) if "{t}" in mode else f"{target} {mode}"
        done = probelang("run", *options, "-e", text, "-c", command)
        assert done.status == 0, done.stderr
        return done

    return run


def names(line: str) -> list[str]:
    """Of a stack as it is shown."""
    return [re.sub(r"\+0x[0-9a-f]+$", "", name) for name in line.split("<-")]


SHOW = 'probe process("{t}").function("seen") { println(ubacktrace()) }'
STACKS = {
    "plain 2": [["seen", "leaf", "through"], ["seen", "through"]],
    "deep 3": [["seen", "leaf", *["deeper"] * 4]],
    "aligned 1": [["seen", "leaf", "aligned"]],
    "aligned 2": [["seen", "leaf", "aligned"]],
    "room 5000": [["seen", "leaf", "room_of_its_own"]],
}


@pytest.mark.parametrize(("mode", "way"), [*((mode, "iterator") for mode in STACKS), ("deep 3", "find_vma")])
def test_every_caller_is_there(mode: str, way: str, walk: Walk) -> None:
    done = walk(SHOW, mode, *WAYS[way])
    assert [names(line) for line in done.stdout.splitlines()] == [s + ON_TOP for s in STACKS[mode]]
    assert "cut short" not in done.stderr


@pytest.mark.parametrize("mode", ["signal", "'other stack'"])
def test_a_signal_handler_is_called_by_what_it_interrupts(mode: str, walk: Walk) -> None:
    (line,) = walk(SHOW, mode).stdout.splitlines()
    stack = names(line)
    assert stack[:2] == ["seen", "on_signal"]
    assert stack[-5:] == ["raises", *ON_TOP]
    assert stack[-6] == "raise"


def test_generated_code_with_a_frame_pointer_is_passed_through(walk: Walk) -> None:
    (line,) = walk(SHOW, "generated").stdout.splitlines()
    stack = names(line)
    assert [*stack[:2], *stack[3:]] == ["seen", "leaf", "generated", *ON_TOP]
    assert re.fullmatch(r"0x[0-9a-f]+", stack[2])


@pytest.mark.parametrize("depth", [3, 60])
def test_returns_that_are_probed_are_in_the_stack_as_what_they_were(depth: int, walk: Walk) -> None:
    probed = "deeper", "leaf", "main"
    script = SHOW + "".join(f'probe process("{{t}}").function("{f}").return {{ returned++ }}' for f in probed)
    done = walk("global returned " + script + "probe end { println(returned) }", f"deep {depth}")
    line, returned = done.stdout.splitlines()
    assert names(line) == ["seen", "leaf", *["deeper"] * (depth + 1), *ON_TOP]
    assert int(returned) == depth + 3


def test_behind_a_return_the_stack_begins_with_the_caller(walk: Walk) -> None:
    script = 'probe process("{t}").function("leaf").return { println(ubacktrace()) println(callers(2)) }'
    stack, nearest = walk(script, "deep 1").stdout.splitlines()
    assert names(stack) == ["deeper", "deeper", *ON_TOP]
    assert nearest == "deeper<-deeper"


def test_the_nearest_callers(walk: Walk) -> None:
    script = 'probe process("{t}").function("seen") { println(callers(3)) println(callers(99)) println(callers(0), "|") }'
    three, all_of_them, none = walk(script, "deep 1").stdout.splitlines()
    assert three == "leaf<-deeper<-deeper"
    assert names(all_of_them) == ["leaf", "deeper", "deeper", *ON_TOP]
    assert none == "|"


def test_addresses_are_where_the_calls_return_to(walk: Walk) -> None:
    script = """probe process("{t}").function("seen") {
        println(ustack(0) == uaddr(), ustack(1) == user_uint64(register("rsp")), ustack(99), ustack(-1))
        printf("%#x %#x %#x|%s\\n", ustack(0), ustack(1), ustack(2), ucallers(3))
        println(usymname(ustack(2))) println(usymdata(ustack(0)))
    }"""
    first, second, third, fourth = walk(script, "deep 1").stdout.splitlines()
    assert first == "1100"
    given, kept = second.split("|")
    assert given == kept
    assert third == "deeper"
    assert re.fullmatch(r"seen\+0x[0-9a-f]+ \[\S*frames\]", fourth)


@pytest.mark.parametrize(("depth", "is_cut"), [(120, False), (121, True), (300, True)])
def test_a_stack_has_so_many_frames_and_says_when_it_goes_on(depth: int, is_cut: bool, walk: Walk) -> None:
    done = walk(SHOW, f"deep {depth}")
    frames = names(done.stdout.rstrip().removesuffix("<-..."))
    assert len(frames) == MOST
    assert frames[:3] == ["seen", "leaf", "deeper"]
    assert (frames[-1] == "_start") == (not is_cut)
    assert ("1 stacks were cut short" in done.stderr) == is_cut


def test_equal_stacks_of_two_processes_are_one_key(walk: Walk) -> None:
    script = """global seen, pids
    probe process("{t}").function("seen") { seen[ubacktrace()]++; pids[pid()]++ }
    probe end { foreach (s in seen) println(seen[s], " ", s) foreach (p in pids) n++; println(n) }"""
    done = walk(script, "sh -c '{t} deep 2; {t} deep 2; {t} plain 1'")
    *stacks, processes = done.stdout.splitlines()
    counted = {tuple(names(line.split(" ", 1)[1])): int(line.split()[0]) for line in stacks}
    assert counted == {
        ("seen", "leaf", "deeper", "deeper", "deeper", *ON_TOP): 2,
        ("seen", "through", *ON_TOP): 1,
    }
    assert processes == "3"


@pytest.mark.parametrize("mode", ["clocks 700", "lengths 30000000"])
def test_wherever_a_timer_meets_a_program_its_stack_is_whole(mode: str, walk: Walk) -> None:
    """In the vdso, in entries of the procedure linkage table, before and behind a function's own pushes."""
    function = mode.split()[0]
    script = f"""global on, stacks
    probe process("{{t}}").function("{function}") {{ on = pid() }}
    probe process("{{t}}").function("{function}").return {{ on = 0 }}
    probe timer.profile.freq.hz(997) {{ if (on && on == pid()) stacks[ubacktrace()]++ }}
    probe end {{ foreach (s in stacks) println(stacks[s], " ", s) }}"""
    done = walk(script, mode)
    samples = Counter[str]()
    for line in done.stdout.splitlines():
        count, _, stack = line.partition(" ")
        frames = names(stack)
        assert frames[-5:] == [function, *ON_TOP], line
        samples[frames[0]] += int(count)
    assert samples.total() > 100
    assert len(samples) > 1
    assert "cut short" not in done.stderr


def test_without_a_way_to_ask_for_areas_frame_pointers_are_followed(walk: Walk, compile_c: Compile) -> None:
    """Then frames are plain addresses, and of a process that has ended they stay what they are."""
    framed = compile_c(SOURCE, "-O2", "-fno-omit-frame-pointer", "-fno-builtin", name="framed")
    script = f'probe process("{framed}").function("leaf") {{ println(ubacktrace()) }}'
    options = ("--without", "task_vma_iterator", "--without", "find_vma")
    (line,) = walk(script, f"sh -c '{framed} deep 2; {{t}} plain 1'", *options).stdout.splitlines()
    frames = line.removesuffix("<-...").split("<-")
    assert frames[2] == frames[3] not in frames[:2]
    assert frames[4] != frames[3]


def test_stacks_that_do_not_fit_any_more_are_counted(walk: Walk) -> None:
    """The map has room for 16384."""
    script = 'global keys; probe process("{t}").function("seen") { if (keys[ubacktrace()]++ == 0) different++ } global different'
    done = walk(script + " probe end { println(different) }", "turns 20000", "-D", "MAXMAPENTRIES=30000")
    assert done.stdout.split() == ["20000"]
    assert re.search(r"\b3616 stacks were lost", done.stderr), done.stderr


LOOKING = {
    "strlen(s)": "strlen",
    'isinstr(s, "main")': "isinstr",
    's == "main"': "==",
    's =~ "main"': "=~",
    "substr(s, 0, 4)": "substr",
}


@pytest.mark.parametrize("looking", LOOKING)
def test_what_looks_into_a_stack_in_a_process_probe_fails_and_says_so(looking: str, walk: Walk) -> None:
    script = f"""probe process("{{t}}").function("seen") {{
        s = ubacktrace()
        try {{ println("looked: ", {looking}) }} catch (m) {{ println(m) }}
        s = "main, or " . execname()
        println({looking})
    }}"""
    first, second = walk(script, "plain 1").stdout.splitlines()
    assert first == "a stack or name is known when it is shown only"
    assert second in ("0", "1", "15", "main")


@pytest.mark.parametrize(
    "value", ["ubacktrace()", "usymname(uaddr())", "usymdata(uaddr())", "callers(2)", "caller()"]
)
def test_looking_into_the_value_itself_is_a_mistake(
    value: str, probelang: Run, target: Path, requires: Callable[..., None]
) -> None:
    requires("root")
    script = f'probe process("{target}").function("seen") {{ println(strlen({value})) }}'
    done = probelang("check", "-e", script)
    assert done.status == 1
    assert "E0512" in done.stderr
    assert "`strlen` cannot look into it" in done.stderr


def test_strings_must_have_room_for_what_stands_for_a_name(
    probelang: Run, target: Path, requires: Callable[..., None]
) -> None:
    requires("root")
    script = f'probe process("{target}").function("seen") {{ println(ubacktrace()) }}'
    assert "E0513" in probelang("build", "-S", "26", "-o", "x.o", "-e", script).stderr
    assert probelang("build", "-S", "32", "-o", "x.o", "-e", script).status == 0
