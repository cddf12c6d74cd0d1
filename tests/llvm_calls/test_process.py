"""Who was hit: what the builtins say is what the process says of itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.llvm_calls.conftest import Run

pytestmark = pytest.mark.kernel

WORK = 'probe process("{target}").function("work")'


def test_identity_is_that_of_the_process(run: Run) -> None:
    found = run(
        WORK + ' { printf("%d %d %d %d\\n%d %d %d\\n", pid(), ppid(), uid(), gid(), tid(), euid(), egid()) }'
    )
    assert found.lines[0] == found.own.strip()
    assert found.lines[1].split() == [found.own.split()[0], str(os.geteuid()), str(os.getegid())]


def test_names_and_command_line(run: Run, target: Path, tmp_path: Path) -> None:
    found = run(WORK + " { println(execname()) println(pexecname()) println(cmdline_str()) }")
    assert found.lines[0] == "subject"
    assert found.lines[1].startswith("python")
    assert found.lines[2] == f"{target} {tmp_path / 'pages'} {tmp_path / 'own'}"


def test_a_command_line_that_is_too_long_is_marked(run: Run, target: Path) -> None:
    found = run(WORK + " { println(cmdline_str()) }", "-S", "16")
    assert found.lines[0] == str(target)[:12] + "..."


def test_target_and_its_set(run: Run) -> None:
    found = run(
        WORK + ' { printf("%d %d\\n", target() == pid(), target_set_pid(pid())) println(target_set_pid(1)) }'
    )
    assert found.lines[:2] == ["1 1", "0"]


def test_names_of_the_probe_point(run: Run, target: Path) -> None:
    found = run(
        'probe process("{target}").function("work") { println(pn(), " ", ppfunc(), " ", is_return()) println(pp()) }\n'
        'probe process("{target}").function("work").return { println(probefunc(), " ", is_return(), user_mode()) }'
    )
    point = f'process("{target}").function("work")'
    assert found.lines[0] == f"{point} work 0"
    assert found.lines[1].startswith(point[:-2])
    assert found.lines[2] == "work 11"


def test_one_handler_on_many_functions_knows_which_was_hit(run: Run) -> None:
    found = run(
        'function name() { return ppfunc() . "!" }\n'
        'probe process("{target}").function("work"), process("{target}").function("a*") { println(name(), ppfunc()) }'
    )
    assert found.lines[0] == "work!work"
    assert "at!at" in found.lines


def test_names_of_many_sites_are_strings_like_others(run: Run) -> None:
    found = run(
        'probe process("{target}").function("work"), process("{target}").function("a*") {\n'
        '  if (ppfunc() == "work") println(sprintf("%s|%6s", ppfunc(), substr(ppfunc(), 1, 2)), isinstr(pp(), "work"))\n'
        '  n[ppfunc()]++ }\nglobal n probe end { println(n["work"], n["at"]) }'
    )
    assert found.lines == ["work|    or1", "15"]


def test_return_value(run: Run) -> None:
    found = run('probe process("{target}").function("work").return { println(returnval()) }')
    assert found.lines[0] == str(11 - 7 + 4000000000 + 33 - 44 - 3 - 77 + 88)


def test_arguments_in_registers_and_on_the_stack(run: Run) -> None:
    found = run(
        WORK
        + """ {
        println(user_string(pointer_arg(1)))
        printf("%d %d %d %d\\n", int_arg(2), uint_arg(2), int_arg(3), uint_arg(3))
        printf("%d %d %d %d\\n", long_arg(4), ulong_arg(5), s32_arg(5), u32_arg(5))
        printf("%d %d %d\\n", int_arg(7), longlong_arg(8), u64_arg(8))
        for (i = 7; i > 3; i--) print(int_arg(i + 1), " ")
        println("")
        }"""
    )
    assert found.lines[0] == "hello world"
    assert found.lines[1] == f"-7 {2**32 - 7} {4000000000 - 2**32} 4000000000"
    assert found.lines[2] == f"33 -44 -44 {2**32 - 44}"
    assert found.lines[3] == "-77 88 88"
    words = found.lines[4].split()
    assert (words[0], words[1], words[3]) == ("88", "-77", "-44")


def test_an_argument_that_does_not_exist_is_a_soft_error(run: Run) -> None:
    found = run(
        WORK
        + " { try { int_arg(0) } catch (m) { println(m) } n = -3 try { int_arg(n) } catch (m) { println(m) } }"
    )
    assert found.lines[:2] == [f"argument {n} does not exist: they are counted from 1" for n in (0, -3)]


def test_registers_have_parts(run: Run) -> None:
    found = run(
        WORK
        + ' { printf("%d %d %d %d\\n", register("esi"), u_register("esi"), register("rcx"), uaddr() == register("rip")) }'
    )
    assert found.lines[0] == f"-7 {2**32 - 7} 33 1"


def test_clocks_run(run: Run) -> None:
    found = run(
        WORK
        + """ {
        a = gettimeofday_ns() b = gettimeofday_us() c = gettimeofday_ms() d = gettimeofday_s()
        printf("%d %d %d\\n", (b - a / 1000) < 1000000, (c - b / 1000) < 1000, d - c / 1000 <= 1)
        printf("%d %d\\n", local_clock_ns() <= local_clock_ns(), cpu_clock_us(0) >= local_clock_ns() / 1000 - 1000000)
        println(d)
        }"""
    )
    assert found.lines[:2] == ["1 1 1", "1 1"]
    assert abs(int(found.lines[2]) - time.time()) < 60


def test_randint_stays_in_its_range(run: Run) -> None:
    found = run(
        WORK
        + " { for (i = 0; i < 200; i++) { r = randint(3) if (r < 0 || r > 2) bad++; seen[r]++ } println(bad, randint(0), randint(-5)) "
        "foreach (r in seen) n++ println(n) } global seen"
    )
    assert found.lines[:2] == ["000", "3"]


def test_a_stack_is_shown_by_names_and_has_addresses(run: Run) -> None:
    found = run(
        WORK
        + ' { println(ubacktrace()) println(ucallers(2)) printf("%#x %#x %d\\n", ustack(0), uaddr(), ustack(500)) '
        "println(ustack(1)) }"
    )
    names, addresses = found.lines[0].split("<-"), [int(word, 16) for word in found.lines[1].split()]
    assert names[:2] == ["work", "main"]
    assert found.lines[2] == f"{addresses[0]:#x} {addresses[0]:#x} 0"
    assert int(found.lines[3]) == addresses[1]


def test_speculation_keeps_output_until_it_is_wanted(run: Run) -> None:
    found = run(
        WORK
        + ' { a = speculation() b = speculation() speculate(a, "kept\\n") speculate(b, "dropped\\n") println("first") '
        "discard(b) commit(a) println(a != b) }"
    )
    assert found.lines[:3] == ["first", "kept", "1"]


def test_output_of_calls_stands_where_it_was_made(run: Run) -> None:
    found = run(WORK + ' { println("one") log("two") system("echo three") warn("four") println("five") }')
    assert found.lines[:2] == ["one", "two"] and "three" in found.lines and "five" in found.lines
    assert "WARNING: four" in found.errors


def test_abort_ends_the_handler_and_exit_does_not(run: Run) -> None:
    found = run(
        WORK
        + ' { try { println("a") abort() println("b") } catch { println("c") } }\nprobe end { println("end") }'
    )
    assert found.lines == ["a", "end"]
    found = run(WORK + ' { println("a") exit() println("b") }\nprobe end { println("end") }')
    assert found.lines == ["a", "b", "end"]


def test_error_is_raised_with_its_message(run: Run) -> None:
    found = run(WORK + ' { try { error("of " . execname()) } catch (m) { println(m) } error("last") }')
    assert found.lines[0] == "of subject"
    assert "last" in found.errors
