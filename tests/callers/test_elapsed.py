"""`@elapsed`, `@entry` and `when` of return probes, against programs that take the time of their own calls.

Both read the same clock, so a call took at least what it has seen of itself and at most what its caller has. Nothing depends on how fast
the machine is. Three ways: kernel sessions, pairs of programs with a hash between them, and ptrace.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Compile, Run

FOLDER = Path(__file__).with_name("elapsed")
WAYS = {
    "session": ["--backend", "kernel"],
    "pair": ["--backend", "kernel", "--without", "session"],
    "ptrace": ["--backend", "ptrace"],
}

ROOT = Path(__file__).parent.parent.parent
Session = Callable[[str, str], tuple[str, str]]
Measured = dict[int, list[int]]
Claims = dict[int, tuple[int, int]]
"""Of each call the least and the most that it took."""
Calls = Callable[[range], tuple[Measured, Claims]]


@pytest.fixture(scope="module")
def timed(compile_c: Compile) -> Path:
    return compile_c(FOLDER / "timed.c", "-O2", "-g", "-pthread", name="timed")


@pytest.fixture(scope="module")
def throwing(compile_c: Compile) -> Path:
    return compile_c(FOLDER / "throwing.cpp", "-O2", "-g", "-pthread", name="throwing")


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, kernel_features: frozenset[str]) -> str:
    needed = {"ptrace"} if request.param == "ptrace" else {"root", "ring_buffer", "uprobe_multi"}
    needed |= {"session"} if request.param == "session" else set()
    if missing := needed - kernel_features:
        pytest.skip(f"needs {min(missing)}")
    return str(request.param)


def run(way: str, folder: Path, script: str, command: str) -> tuple[str, str]:
    """What a script prints, and what the command does."""
    output = folder / "output"
    words = [
        sys.executable,
        "-m",
        "probelang",
        "run",
        *WAYS[way],
        "-o",
        str(output),
        "-c",
        command,
        "-e",
        script,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr and "lost" not in done.stderr, done.stderr
    return output.read_text(), done.stdout


@pytest.fixture
def session(way: str, tmp_path: Path) -> Session:
    return lambda script, command: run(way, tmp_path, script, command)


@pytest.fixture(scope="module")
def calls(way: str, timed: Path, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """All kinds of calls in one run: what was measured of those with these numbers, and what the program says of them."""
    names = ("work", "nested", "left", "first", "interrupted")
    script = "".join(probe(timed, name) for name in names) + probe(timed, "last", "-$id")
    shown, said = run(way, tmp_path_factory.mktemp("calls"), script, f"{timed} calls")
    found, told = measured(shown), claims(said)

    def part(numbers: range) -> tuple[Measured, Claims]:
        here = {n: claim for n, claim in told.items() if n in numbers}
        return {n: times for n, times in found.items() if abs(n) in numbers}, here

    return part


def claims(said: str) -> Claims:
    rows = re.findall(r"^call (\d+) (\d+) (\d+)$", said, re.MULTILINE)
    return {int(number): (int(low), int(high)) for number, low, high in rows}


def measured(shown: str) -> Measured:
    found: Measured = {}
    for line in shown.splitlines():
        number, elapsed = map(int, line.split())
        found.setdefault(number, []).append(elapsed)
    return found


def check(found: Measured, told: Claims) -> None:
    """Every call that returned was measured once, and rightly; no other was."""
    assert told and found.keys() == told.keys()
    for number, times in found.items():
        low, high = told[number]
        assert len(times) == 1 and low <= times[0] <= high, (number, low, times, high)


def probe(program: Path, function: str, number: str = "$id") -> str:
    return f'probe process("{program}").function("{function}").return {{ printf("%d %d\\n", {number}, @elapsed) }}\n'


def test_calls_take_what_they_say(calls: Calls) -> None:
    check(*calls(range(1, 41)))


def test_recursive_calls_are_told_apart(calls: Calls) -> None:
    check(*calls(range(100, 140)))


def test_of_recursion_deeper_than_the_kernel_hooks_what_is_told_is_right(calls: Calls, way: str) -> None:
    """MAX_URETPROBE_DEPTH in include/linux/uprobes.h: 64 calls of a thread."""
    found, told = calls(range(2000, 2100))
    hooked = 100 if way == "ptrace" else 64
    check(found, {number: claim for number, claim in told.items() if number < 2000 + hooked})


def test_a_call_left_by_longjmp_is_not_told_and_the_next_is_right(calls: Calls) -> None:
    check(*calls(range(200, 212)))


def test_functions_that_jump_to_one_another_return_together(calls: Calls) -> None:
    found, told = calls(range(300, 310))
    assert found.keys() == {n for n in told if n % 2} | {-n for n in told}
    for number, (low, high) in told.items():
        assert low <= found[-number][0] <= high
        if number % 2:
            # the first has waited before it jumped
            assert found[-number][0] + 30000 <= found[number][0] <= high


def test_threads(calls: Calls) -> None:
    check(*calls(range(1000, 1400)))


def test_signal_handlers_on_their_own_stack_and_on_the_thread_s(calls: Calls) -> None:
    check(*calls(range(500, 503)))


def test_a_child_returns_from_the_call_that_made_it(session: Session, timed: Path, way: str) -> None:
    """With what is kept of the parent's call, where that is with the call itself; else it is not known."""
    script = f'probe process("{timed}").function("forks").return {{ printf("%d %d\\n", !$return, @elapsed) }}'
    shown, said = session(script + "\n" + probe(timed, "work"), f"{timed} processes")
    found, told = measured(shown), claims(said)
    low, high = map(int, re.findall(r"^child (\d+) (\d+)$", said, re.MULTILINE)[0])
    assert told[400][0] <= found[0][0] <= told[400][1]
    assert told[401][0] <= found[401][0] <= told[401][1]
    assert (1 in found) is (way != "pair")
    assert all(low <= elapsed <= high for elapsed in found.get(1, []))


def test_of_several_values_a_child_has_none_of_its_parent_s(session: Session, timed: Path) -> None:
    shown, _ = session(probe(timed, "forks"), f"{timed} processes")
    assert measured(shown).keys() == {400}


def test_a_call_in_progress_is_not_invented(timed: Path, way: str, tmp_path: Path) -> None:
    script, output = tmp_path / "script.probe", tmp_path / "output"
    script.write_text(probe(timed, "waits") + 'probe begin { println("-1 0") }')
    words = [sys.executable, "-m", "probelang", "run", *WAYS[way], "-o", str(output), "-x"]
    program = subprocess.Popen(
        [timed, "in_progress"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdin is not None and program.stdout is not None
    try:
        assert program.stdout.readline() == "ready\n"
        with subprocess.Popen([*words, str(program.pid), str(script)], cwd=ROOT) as tracer:
            try:
                while "-1 0" not in (output.read_text() if output.exists() else ""):
                    assert tracer.poll() is None
                    time.sleep(0.02)
                time.sleep(0.2)  # begin runs before the probes count
                program.stdin.write("\n.\n")
                program.stdin.flush()
                said = program.stdout.read()
                program.wait(30)
            finally:
                tracer.terminate()
    finally:
        program.kill()
    found = measured(output.read_text().replace("-1 0\n", ""))
    assert found.keys() == {601}
    check(found, claims(said))


# ---------------------------------------------------------------------------------------------------- exceptions


def told(said: str, name: str) -> int:
    return int(re.findall(rf"^{name}: (\d+)$", said, re.MULTILINE)[0])


def test_calls_that_exceptions_leave(session: Session, throwing: Path) -> None:
    shown, said = session(probe(throwing, "timed"), f"{throwing} 4")
    check(measured(shown), claims(said))


def test_a_program_that_throws_goes_on_and_every_return_is_counted(
    session: Session, throwing: Path, way: str
) -> None:
    script = f"""
    global plain, kept, entries, doubled, sorted, wrong
    probe process("{throwing}").function("risky").return {{ plain++ }}
    probe process("{throwing}").function("risky").return {{ kept++; if ($return != $n % 5 + 1) wrong++ }}
    probe process("{throwing}").function("risky") {{ entries++ }}
    probe process("{throwing}").function("plain").return {{ doubled++ }}
    probe end {{ printf("%d %d %d %d %d\\n", plain, kept, entries, doubled, wrong) }}
    """
    count = 400 if way == "ptrace" else 4000
    shown, said = session(script, f"{throwing} {count}")
    assert told(said, "thrown") > count // 4 and told(said, "ended") == count
    returned = told(said, "returned")
    assert shown.split() == [str(n) for n in (returned, returned, count, told(said, "plain"), 0)]


def test_a_return_seen_at_the_instruction_looks_like_one_behind_it(session: Session, throwing: Path) -> None:
    """Where to, and where the stack is then."""
    script = f"""
    global back, sp
    probe process("{throwing}").function("fails") {{ back[tid()] = user_uint64(register("rsp")); sp[tid()] = register("rsp") }}
    probe process("{throwing}").function("fails").return {{
      printf("%d %d %d\\n", uaddr() == back[tid()], register("rsp") - sp[tid()], is_return())
    }}
    """
    shown, _ = session(script, f"{throwing} 40")
    assert set(shown.splitlines()) == {"1 8 1"}


def test_exceptions_through_a_library_that_calls_what_it_is_given(
    session: Session, compile_c: Compile
) -> None:
    library = compile_c(FOLDER / "apply.c", "-O2", "-g", "-shared", "-fPIC", name="libapply.so")
    flags = ["-O2", "-L", str(library.parent), "-lapply", f"-Wl,-rpath,{library.parent}"]
    program = compile_c(FOLDER / "applying.cpp", *flags, name="applying")
    point = f'process("{program}").library("{library}").function'
    script = f"""
    global calls, wrong, added
    probe {point}("apply").return {{ calls++; if ($return != $n + 2 || @elapsed <= 0) wrong++ }}
    probe {point}("add").return {{ added++ }}
    probe end {{ printf("%d %d %d\\n", calls, wrong, added) }}
    """
    shown, said = session(script, str(program))
    assert (told(said, "applied"), told(said, "caught")) == (75, 25)
    assert shown.split() == ["75", "0", "75"]


def test_calls_on_several_stacks_in_turn(session: Session, compile_c: Compile) -> None:
    program = compile_c(FOLDER / "switching.c", "-O2", "-g", name="switching")
    shown, said = session(probe(program, "step"), str(program))
    told = claims(said)
    assert said.endswith("done\n") and len(told) == 20
    check({n: times for n, times in measured(shown).items() if n % 10 == 0}, told)


# ---------------------------------------------------------------------------------------------------- conditions


def test_a_condition_is_decided_at_the_entry(session: Session, timed: Path) -> None:
    function = f'process("{timed}").function("fills").return'
    script = f"""
    global early, late, after, both, kept, is_on
    probe process("{timed}").function("switches") {{ is_on = $on }}
    probe {function} when ($n % 5 == 0) {{ early++ }}
    probe {function} when ($return < 0) {{ late++ }}
    probe {function} when (is_on) {{ after++ }}
    probe {function} when ($r->n == 100) {{ both++ }}
    probe {function} when ($n >= 10 && $return == 0 && @entry($n) < 20) {{ kept += $n }}
    probe end {{ printf("%d %d %d %d %d\\n", early, late, after, both, kept) }}
    """
    shown, _ = session(script, f"{timed} conditions")
    kept = sum(n for n in range(10, 20) if n % 3)
    assert shown.split() == [str(n) for n in (6, 10, 0, 30, kept)]


def test_what_stands_behind_the_return_is_decided_there(session: Session, timed: Path) -> None:
    """`$r->n` is what the call has made of it, as it says that the call went well."""
    function = f'process("{timed}").function("fills").return'
    script = f"""
    global good, made, counted
    probe {function} when ($return == 0 && $r->n < 10) {{ good++ }}
    probe {function} when (!($return < 0) && made++ < 5) {{ counted++ }}
    probe end {{ printf("%d %d %d\\n", good, made, counted) }}
    """
    shown, _ = session(script, f"{timed} conditions")
    assert shown.split() == ["6", "20", "5"]


def test_a_function_that_needs_the_return_is_called_there(session: Session, timed: Path) -> None:
    function = f'process("{timed}").function("fills").return'
    script = f"""
    function failed:long() {{ return inner() < 0 }}
    function inner:long() {{ return $return }}
    function odd:long(n:long) {{ return n % 2 }}
    global a, b
    probe {function} when (failed()) {{ a++ }}
    probe {function} when (odd($n)) {{ b++ }}
    probe end {{ printf("%d %d\\n", a, b) }}
    """
    assert session(script, f"{timed} conditions")[0].split() == ["10", "15"]


@pytest.mark.parametrize(
    ("condition", "hooked"),
    [
        ("$n % 5 == 0", 6),
        ("$n % 5 == 0 && $return < 2", 6),
        ("$return < 2", 30),
        ("$return < 2 && @entry($n) < 4", 4),
    ],
)
def test_a_false_condition_leaves_the_return_alone(
    probelang: Run, requires: Callable[..., None], timed: Path, condition: str, hooked: int
) -> None:
    """The program looks at its own return address."""
    requires("root", "ring_buffer", "session")
    script = f'probe process("{timed}").function("hooks").return when ({condition}) {{ }}'
    result = probelang("run", "--backend", "kernel", "-c", f"{timed} conditions", "-e", script)
    assert result.status == 0, result.stderr
    assert f"hooked {hooked}\n" in result.stdout
