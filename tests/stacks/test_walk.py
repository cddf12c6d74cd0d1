"""Walks up stacks: as gdb has them, at single instructions of programs that were compiled in many ways; and, in memory, each rule."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.artifact.stacks import (
    FILE_SHIFT,
    MOST_FRAMES,
    RBP_LOST,
    RBP_SAME,
    ROW_AT_RBP,
    ROW_AT_RSP,
    ROW_END,
    ROW_PLT,
    ROW_RBP,
    ROW_RSP,
    ROW_SIGNAL,
    ROW_UNKNOWN,
    UNWIND_ROW,
)
from probelang.dwarf.unwind import UnwindTable
from probelang.options import Backend
from probelang.runtime.evaluate.context import MemoryFault
from probelang.runtime.stacks.walk import Place, Start, Trampoline, Walked, walk
from tests.conftest import Compile, Run
from tests.stacks.gdb_stops import Every, Stop, Tables, explain, place, stops, walk_of

TARGETS = Path(__file__).parent / "targets"
C, CPP = TARGETS / "everywhere.c", TARGETS / "throws.cpp"
NOW = {"LD_BIND_NOW": "1"}

needs_gdb = pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")

# ------------------------------------------------------------------------------------------------ beside gdb


def compare(program: Path, when: Every, *words: str) -> list[Stop]:
    """All that was stopped. Where our walk ends early it must say so, and only where rows cannot say how it goes on: in the last
    instructions of longjmp, when the stack pointer is the other one's already."""
    found: list[Stop] = []
    tables = Tables()
    for stop in stops([program, *words], when, environment=NOW):
        walked = walk_of(stop, tables)
        found.append(stop)
        if stop.names[0].startswith("_Unwind_R") and "?" in stop.names:
            continue  # about to enter a landing pad: the entry of these instructions is wrong, and gdb is lost as well
        if walked.cut and "longjmp" in stop.names[len(walked.addresses) - 1]:
            assert walked.addresses == stop.addresses[: len(walked.addresses)]
        else:
            assert walked.addresses == stop.addresses and not walked.cut, explain(stop, walked)
    return found


def build(compiler: str, source: Path, folder: Path, *flags: str) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    out = folder / "program"
    subprocess.run([compiler, *flags, "-w", "-o", out, source], check=True, capture_output=True)
    return out


LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
POINTERS = ("-fomit-frame-pointer", "-fno-omit-frame-pointer")


@needs_gdb
@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        ("gcc", "-O2 -mavx -fomit-frame-pointer"),
        ("gcc", "-O0 -mavx"),
        ("gcc", "-O3 -mavx -fno-omit-frame-pointer -static-pie"),
        ("clang", "-O2 -mavx -fcf-protection=full"),
    ],
)
def test_stacks_at_any_instruction(compiler: str, flags: str, tmp_path: Path) -> None:
    program = build(compiler, C, tmp_path, *flags.split())
    assert len(compare(program, Every(80, steps=97))) == 80


@pytest.mark.slow
@needs_gdb
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("pointers", POINTERS)
def test_stacks_however_compiled(compiler: str, level: str, pointers: str, tmp_path: Path) -> None:
    c = build(compiler, C, tmp_path, level, pointers, "-mavx")
    assert len(compare(c, Every(400, steps=61))) == 400
    cpp = build("g++" if compiler == "gcc" else "clang++", CPP, tmp_path, level, pointers)
    assert len(compare(cpp, Every(200, steps=149))) == 200


@needs_gdb
def test_stacks_under_exceptions(tmp_path: Path) -> None:
    found = compare(build("g++", CPP, tmp_path, "-O2"), Every(60, steps=311))
    assert any("_Unwind_RaiseException" in stop.names for stop in found)


@needs_gdb
def test_stacks_in_slots_and_in_the_vdso(tmp_path: Path) -> None:
    found = compare(build("gcc", C, tmp_path, "-O2"), Every(60, steps=2, start="clocked"))
    where = {place(stop, stop.pc).partition("+")[0] for stop in found}
    assert {"[vdso]", "program"} <= where


@needs_gdb
@pytest.mark.parametrize(("number", "is_on_other_stack"), [(signal.SIGUSR1, False), (signal.SIGALRM, True)])
def test_stacks_of_signal_handlers(number: int, is_on_other_stack: bool, tmp_path: Path) -> None:
    """gdb steps over handlers unless it stops in them."""
    program = build("gcc", C, tmp_path, "-O2")
    found = compare(program, Every(30, steps=60, start=f"handler if $rdi == {int(number)}"))
    handled = [stop for stop in found if "handler" in stop.names]
    assert len(handled) > 20
    assert all(stop.names[-1] == "_start" for stop in handled)
    stacks = {next((a.path for a in stop.areas if a.start <= stop.sp < a.end), "") for stop in handled}
    assert ("[stack]" not in stacks) == is_on_other_stack


@needs_gdb
def test_a_walk_stops_at_the_most_frames(tmp_path: Path) -> None:
    program = build("gcc", C, tmp_path, "-O2", "-fno-optimize-sibling-calls")
    (stop,) = stops([program, "200"], Every(1, steps=1, start="bottom"), environment=NOW)
    tables = Tables()
    assert walk_of(stop, tables).addresses == stop.addresses
    assert len(stop.addresses) > 200
    walked = walk_of(stop, tables, MOST_FRAMES)
    assert walked.addresses == stop.addresses[:MOST_FRAMES] and walked.cut


# -------------------------------------------------------------------------------------------------- in memory

TOP = 0x7000
FUNCTION, CALLER, OUTERMOST = 0x1000, 0x1100, 0x1200
"""Offsets in the file, each of 0x100 bytes of code."""
BIAS = 0x40_0000
RSP_8, RSP_16, FRAMED = (1, RBP_SAME, ROW_RSP), (2, RBP_SAME, ROW_RSP), (2, -2, ROW_RBP)
Row = tuple[int, int, int]


def table(rows: dict[int, Row], framed: bool = False) -> UnwindTable:
    known = {
        0: (0, 0, ROW_UNKNOWN),
        OUTERMOST: (0, 0, ROW_END),
        OUTERMOST + 0x100: (0, 0, ROW_UNKNOWN),
        **rows,
    }
    return UnwindTable(b"".join(UNWIND_ROW.pack(pc, *row) for pc, row in sorted(known.items())), framed)


def locator(rows: UnwindTable) -> Callable[[int], Place | None]:
    """One file, at BIAS; what lies elsewhere is in none."""
    return lambda address: (3, address - BIAS, rows) if 0 <= address - BIAS < 0x2000 else None


def reader(words: dict[int, int]) -> Callable[[int], int]:
    def read(address: int) -> int:
        if address not in words:
            raise MemoryFault(address)
        return words[address]

    return read


def at(offset: int) -> int:
    return BIAS + offset


def walked(
    start: Start,
    words: dict[int, int],
    rows: dict[int, Row],
    framed: bool = False,
    trampoline: Trampoline | None = None,
) -> Walked:
    return walk(start, reader(words), locator(table(rows, framed)), trampoline=trampoline)


END = at(OUTERMOST + 0x10)


def test_frames_have_the_number_of_their_file_and_the_offset_in_it() -> None:
    found = walked(
        Start(at(FUNCTION), TOP, 0), {TOP: at(CALLER + 5), TOP + 16: END}, {FUNCTION: RSP_8, CALLER: RSP_16}
    )
    assert found == Walked(
        (at(FUNCTION), at(CALLER + 5), END),
        (3 << FILE_SHIFT | FUNCTION, 3 << FILE_SHIFT | CALLER + 5, 3 << FILE_SHIFT | OUTERMOST + 0x10),
        False,
    )


def test_a_return_address_is_looked_up_by_the_byte_before_it() -> None:
    """A call that does not return is the last instruction of CALLER; behind it begins the outermost function."""
    words = {TOP: at(OUTERMOST), TOP + 16: END}
    found = walked(Start(at(FUNCTION), TOP, 0), words, {FUNCTION: RSP_8, CALLER: RSP_16})
    assert found.addresses == (at(FUNCTION), at(OUTERMOST), END)


def test_the_current_instruction_and_an_interrupted_one_are_looked_up_as_they_are() -> None:
    rows = {FUNCTION: (0, 0, ROW_SIGNAL), CALLER: RSP_8}
    words = {TOP + 120: 0x55, TOP + 160: 0x5000, TOP + 168: at(CALLER), 0x5000: END}
    found = walked(Start(at(FUNCTION), TOP, 0), words, rows)
    assert found == Walked((at(FUNCTION), at(CALLER), END), found.frames, False)


def test_where_rbp_is_saved() -> None:
    rows = {FUNCTION: (4, -3, ROW_RSP), CALLER: FRAMED}
    words = {TOP + 24: at(CALLER + 1), TOP + 8: 0x7100, 0x7108: END, 0x7100: 1}
    assert walked(Start(at(FUNCTION), TOP, 1), words, rows).addresses == (at(FUNCTION), at(CALLER + 1), END)


def test_rbp_that_is_lost_cuts_the_walk_only_where_it_is_needed() -> None:
    words = {TOP: at(CALLER + 1), TOP + 16: END}
    lost = {FUNCTION: (1, RBP_LOST, ROW_RSP)}
    assert not walked(Start(at(FUNCTION), TOP, 0x7100), words, {**lost, CALLER: RSP_16}).cut
    found = walked(Start(at(FUNCTION), TOP, 0x7100), words, {**lost, CALLER: FRAMED})
    assert found.addresses == (at(FUNCTION), at(CALLER + 1)) and found.cut


@pytest.mark.parametrize(
    ("row", "offset", "words"),
    [
        ((1, RBP_SAME, ROW_PLT), 10, {TOP: END}),
        ((1, RBP_SAME, ROW_PLT), 11, {TOP + 8: END}),
        ((-1, RBP_SAME, ROW_AT_RBP), 0, {0x70F8: 0x7800, 0x7100: 5, 0x77F8: END}),
        ((-1, RBP_LOST, ROW_AT_RBP), 0, {0x70F8: 0x7800, 0x77F8: END}),
        ((2, RBP_SAME, ROW_AT_RSP), 0, {TOP + 16: 0x7800, 0x7800: END}),
        ((3, RBP_SAME, ROW_RBP), 0, {0x7110: END}),
    ],
)
def test_kinds_of_rows(row: Row, offset: int, words: dict[int, int]) -> None:
    found = walked(Start(at(FUNCTION + offset), TOP, 0x7100), words, {FUNCTION: row})
    assert found.addresses[1:] == (END,) and not found.cut


@pytest.mark.parametrize(
    ("start", "words", "rows", "frames", "cut"),
    [
        (Start(END, TOP, 0), {}, {}, 1, False),  # a row says so
        (Start(at(FUNCTION), TOP, 0), {TOP: 0}, {FUNCTION: RSP_8}, 1, False),  # returns to 0
        (Start(at(FUNCTION), TOP, 0), {}, {FUNCTION: FRAMED}, 1, False),  # the stack does not grow
        (Start(at(FUNCTION), TOP, 0), {}, {FUNCTION: RSP_8}, 1, True),  # nothing can be read
        (Start(at(FUNCTION), TOP, 0), {}, {}, 1, True),  # no row
        (Start(0x9000, TOP, 0), {}, {}, 1, False),  # no file, no frame pointer: the psABI's outermost frame
        (Start(0x9000, TOP, 0x7101), {}, {}, 1, True),
        (Start(0x9000, TOP, 0x6FF8), {}, {}, 1, True),
        (
            Start(0x9000, TOP, 0x7100),
            {0x7100: 0x7200, 0x7108: 0x9100, 0x7200: 0, 0x7208: 0x9200},
            {},
            3,
            False,
        ),
    ],
)
def test_where_a_walk_ends(
    start: Start, words: dict[int, int], rows: dict[int, Row], frames: int, cut: bool
) -> None:
    found = walked(start, words, rows)
    assert (len(found.addresses), found.cut) == (frames, cut)


def test_frames_of_no_file_are_their_addresses() -> None:
    found = walked(Start(0x9000, TOP, 0x7100), {0x7100: 1, 0x7108: END}, {})
    assert found.frames == (0x9000, 3 << FILE_SHIFT | OUTERMOST + 0x10)


def test_of_a_framed_file_only_the_current_instruction_has_a_row() -> None:
    """The caller's would lead astray."""
    rows = {FUNCTION: (1, RBP_SAME, ROW_RSP), CALLER: (9, RBP_SAME, ROW_RSP)}
    words = {TOP: at(CALLER + 1), 0x7100: 0x7200, 0x7108: END}
    found = walked(Start(at(FUNCTION), TOP, 0x7100), words, rows, framed=True)
    assert found.addresses == (at(FUNCTION), at(CALLER + 1), END)


def test_a_file_without_rows_is_believed_to_keep_frame_pointers() -> None:
    words = {0x7100: 0, 0x7108: at(CALLER)}
    empty = UnwindTable(b"", False)
    found = walk(Start(at(FUNCTION), TOP, 0x7100), reader(words), locator(empty))
    assert found.addresses == (at(FUNCTION), at(CALLER)) and not found.cut


def test_return_addresses_that_the_kernel_has_replaced() -> None:
    rows = {FUNCTION: RSP_8, CALLER: RSP_16}
    words = {TOP: 0x7FFF_F000, TOP + 16: 0x7FFF_F000}
    replaced = {TOP: at(CALLER + 5), TOP + 16: END}
    found = walked(Start(at(FUNCTION), TOP, 0), words, rows, trampoline=Trampoline(0x7FFF_F000, replaced))
    assert found.addresses == (at(FUNCTION), at(CALLER + 5), END) and not found.cut
    lost = walked(Start(at(FUNCTION), TOP, 0), words, rows, trampoline=Trampoline(0x7FFF_F000, {}))
    assert lost.addresses == (at(FUNCTION),) and lost.cut


# ------------------------------------------------------------------------------------- of traced processes

SIGNALLED = """
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
volatile long calls, signals;
__attribute__((noinline)) void busy(int n) { calls += n; }
__attribute__((noinline)) void handled(void) { signals++; }
static void handler(int number) { handled(); }
__attribute__((noinline)) void works(void) { while (signals < 40) busy(1); }
int main(void) {
    struct itimerval every = {{0, 5000}, {0, 5000}};
    signal(SIGALRM, handler);
    setitimer(ITIMER_REAL, &every, 0);
    works();
    return 0;
}
"""


def test_a_signal_may_come_in_the_middle_of_a_probed_instruction(
    probelang: Run, compile_c: Compile, backend: Backend
) -> None:
    """Mostly it comes while the thread waits for a handler; with ptrace, in the slot where it goes on."""
    program = compile_c(SIGNALLED, "-O2", name="signalled")
    script = f"""
        probe process("{program}").function("busy") {{ hits++ }}
        probe process("{program}").function("handled") {{ print_ubacktrace_brief() }}
        global hits
    """
    result = probelang("run", "--backend", backend, "-c", str(program), "-e", script)
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines() if line and not line.startswith("hits")]
    assert len(lines) >= 40
    assert all(line[0] == "handled" and line[-1] == "_start" for line in lines)
    # never the function before `busy`, of whose first byte the byte before is
    interrupted = {tuple(line[2 : line.index("main")]) for line in lines}
    assert ("busy", "works") in interrupted and interrupted <= {("busy", "works"), ("works",)}


def test_deep_stacks_of_traced_processes_are_cut(
    probelang: Run, compile_c: Compile, requires: Callable[..., None]
) -> None:
    requires("ptrace")
    program = compile_c(C, "-O2", "-fno-optimize-sibling-calls", name="everywhere")
    script = f"""
        probe process("{program}").function("deep").call {{ if (++calls == 201) {{ print_ubacktrace_brief(); exit() }} }}
        global calls
    """
    result = probelang("run", "--backend", "ptrace", "-c", f"{program} 300 1", "-e", script)
    names = next(line for line in result.stdout.splitlines() if line.startswith("deep")).split()
    assert names == ["deep"] * MOST_FRAMES + ["..."]
    assert "1 stacks were cut short" in result.stderr
