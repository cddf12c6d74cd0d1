"""Builtins of the user half, and with a hit's context those that need one."""

from __future__ import annotations

import os
import time

import pytest

from probelang.artifact.limits import Limits
from probelang.runtime.evaluate.context import MemoryFault, SessionContext
from tests.evaluate.scripts import run_script


class HitContext(SessionContext):
    """A hit in a process with one readable page, and with a register."""

    START = 0x1000
    MEMORY = (b"hello\0" + b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8" + b'a"\n\0').ljust(4090, b"x") + b"at end"

    def __init__(self) -> None:
        super().__init__('process("/bin/p").function("f@f.c")', "my.alias")

    def user_mode(self) -> bool:
        return True

    def function(self) -> bytes:
        return b"f"

    def argument(self, number: int) -> int:
        return {1: 0xFFFFFFFF_80000001 - (1 << 64), 2: 0x1000}.get(number, 0)

    def register(self, name: bytes, signed: bool) -> int:
        return -1 if signed else 0xFFFFFFFF

    def stack(self, depth: int) -> list[int]:
        return [0x401010, 0x402020, 0x99][:depth]

    def read_memory(self, address: int, size: int) -> bytes:
        start = address - self.START
        if start < 0 or start + size > len(self.MEMORY):
            raise MemoryFault(address)
        return self.MEMORY[start : start + size]


TEXT = [
    ('strlen("abc")', "3"),
    ('substr("hello", 1, 3)', "ell"),
    ('substr("hello", 3, 99)', "lo"),
    ('substr("hello", -1, 2)', ""),
    ('substr("hello", 5, 2)', ""),
    ('substr("hello", 0, -1)', ""),
    ('stringat("abc", 1)', "98"),
    (r'stringat("\377", 0)', "255"),
    ('stringat("abc", 3)', "0"),
    ('stringat("abc", -1)', "0"),
    ('isinstr("hello", "ell")', "1"),
    ('isinstr("hello", "")', "1"),
    ('isinstr("hello", "z")', "0"),
    ('strtol("42x", 10)', "42"),
    ('strtol("-42", 10)', "-42"),
    ('strtol("0x1f", 16)', "31"),
    ('strtol("0x1f", 0)', "31"),
    ('strtol("0x", 0)', "0"),
    ('strtol("017", 0)', "15"),
    ('strtol("zz", 36)', "1295"),
    ('strtol("12", 2)', "1"),
    ('strtol(" 1", 10)', "0"),
    ('strtol("1", 1)', "0"),
    ('strtol("18446744073709551615", 10)', "-1"),
    ('str_replace("aXbXc", "X", "--")', "a--b--c"),
    ('str_replace("abc", "", "x")', "abc"),
    (r'text_str("a\"\n\1\\")', r"a\"\n\001\\"),
    ('text_strn("abcdefgh", 4, 0)', "abcd"),
    (r'text_strn("ab\n\n", 3, 0)', "ab"),
    ('text_strn("abc", 10, 1)', '"abc"'),
    ('text_strn("abcdefgh", 8, 1)', '"abc..."'),
    ('text_strn("abcdefgh", 1, 1)', '"..."'),
    ('text_strn("abc", 0, 0)', "abc"),
    ('tokenize("  a b", " ") . tokenize(" ") . tokenize(" ") . "."', "ab."),
    ('tokenize("a,b;c", ",;") . "|" . tokenize(",;") . "|" . tokenize(",")', "a|b|c"),
    ("target()", "4711"),
    ("target_set_pid(4712)", "1"),
    ("target_set_pid(1)", "0"),
    ("is_return()", "0"),
    ("user_mode()", "0"),
    ("randint(1)", "0"),
    ("randint(0)", "0"),
    ("usymname(0x401234)", "main"),
    ("usymdata(0x401234)", "main+0x234 [prog]"),
    ("usymname(0x1234)", "0x1234"),
    ("umodname(0x401234)", "prog"),
    ("umodname(0x1)", "<unknown>"),
    ("pn()", "begin"),
    ("ppfunc()", ""),
    ("uaddr()", "0"),
]


@pytest.mark.parametrize(("expression", "value"), TEXT)
def test_values(expression: str, value: str) -> None:
    assert run_script(f"probe begin {{ println({expression}) }}").text == value + "\n"


HIT = [
    ("user_string(0x1000)", "hello"),
    ("user_string(0x1ffa)", "user read fault at 0x1ffa"),
    ("user_string_n(0x1ffa, 6)", "at end"),
    ("user_string_n(0x1000, 3)", "hel"),
    ("user_string_n(0x1000, -3)", ""),
    ('user_string(0, "none")', "none"),
    ('user_string2(0, "none")', "none"),
    ('user_string_n2(0x1000, 2, "none")', "he"),
    ('user_string_n(0, 2, "none")', "none"),
    ("user_string_quoted(0x100e)", r'"a\"\n"'),
    ("user_string_quoted(0)", "NULL"),
    ("user_string_quoted(16)", "0x10"),
    ("user_string_n_quoted(0x1000, 2)", '"he"'),
    ("user_char(0x1006)", "-1"),
    ("user_uint8(0x1006)", "255"),
    ("user_short(0x1006)", str(int.from_bytes(b"\xff\xfe", "little", signed=True))),
    ("user_uint16(0x1006)", str(0xFEFF)),
    ("user_int(0x1006)", str(int.from_bytes(b"\xff\xfe\xfd\xfc", "little", signed=True))),
    ("user_uint(0x1006)", str(0xFCFDFEFF)),
    ("user_long(0x1006)", str(0xF8F9FAFBFCFDFEFF - (1 << 64))),
    ("user_ulong(0x1006)", str(0xF8F9FAFBFCFDFEFF - (1 << 64))),
    ("user_int(0x10)", "user read fault at 0x10"),
    ("user_int(-1)", "user read fault at 0xffffffffffffffff"),
    ('sprintf("%.3M %.5m", 0x1006, 0x1000)', "fffefd hello"),
    ('sprintf("%.*m", 4, 0x1000)', "hell"),
    ('sprintf("%m", 0)', "user read fault at 0x0"),
    ("int_arg(1)", "-2147483647"),
    ("uint_arg(1)", "2147483649"),
    ("long_arg(1)", "-2147483647"),
    ("pointer_arg(2)", "4096"),
    ("int_arg(0)", "argument 0 does not exist: they are counted from 1"),
    ('register("eax")', "-1"),
    ('u_register("eax")', "4294967295"),
    ("ubacktrace()", "main<-work<-0x99"),
    ('ubacktrace() == "0x401010 0x402020 0x99"', "1"),
    ('tokenize(ubacktrace(), " ")', "0x401010"),
    ('ubacktrace() =~ "402020"', "1"),
    ("strlen(ubacktrace())", "22"),
    ("usymfile(0x401007)", "/src/prog.c"),
    ("usymline(0x401007)", "7"),
    ("usymfileline(0x401007)", "prog.c:7"),
    ("usymfileline(0x7)", "0x7"),
    ("sprint_ubacktrace_brief()", "main work 0x99\n"),
    ("ustack(1)", str(0x402020)),
    ("ustack(3)", "0"),
    ("ustack(-1)", "0"),
    ("ucallers(2)", "0x401010 0x402020"),
    ("sprint_ubacktrace()", " 0x401010 : main+0x10 [prog]\n 0x402020 : work+0x20 [prog]\n 0x99\n"),
    ("ppfunc()", "f"),
    ("pn()", "my.alias"),
    ("pp()", 'process("/bin/p").function("f@f.c")'),
]


@pytest.mark.parametrize(("expression", "value"), HIT)
def test_values_at_a_hit(expression: str, value: str) -> None:
    script = f"probe begin {{ try {{ println({expression}) }} catch (m) {{ println(m) }} }}"
    assert run_script(script, context=HitContext()).text == value + "\n"


def test_strings_from_memory_that_are_cut_say_so() -> None:
    script = "probe begin { println(user_string(0x1020)) }"
    assert run_script(script, context=HitContext()).text == "x" * 252 + "...\n"


@pytest.mark.parametrize("call", ["int_arg(1)", "returnval()", 'register("rax")', "user_int(4096)"])
def test_a_begin_probe_has_no_hit(call: str) -> None:
    assert run_script(f'probe begin {{ try {{ println({call}) }} catch {{ println("no") }} }}').text == "no\n"


def test_identity_is_that_of_probelang() -> None:
    text = run_script(
        'probe begin { println(pid(), " ", ppid(), " ", uid(), " ", gid(), " ", execname()) }'
    ).text
    with open("/proc/self/comm") as comm:
        name = comm.read().strip()
    assert text.split() == [str(os.getpid()), str(os.getppid()), str(os.getuid()), str(os.getgid()), name]


def test_clocks_run() -> None:
    before = time.time_ns()
    wall = int(run_script("probe begin { println(gettimeofday_ns()) }").text)
    assert before <= wall <= time.time_ns()
    script = 'probe begin { println(gettimeofday_s(), " ", gettimeofday_us() / 1000000, " ", gettimeofday_ms() / 1000) }'
    seconds = [int(word) for word in run_script(script).text.split()]
    assert max(seconds) - min(seconds) <= 1
    assert int(run_script("probe begin { println(local_clock_ns()) }").text) <= time.monotonic_ns()


def test_session_calls() -> None:
    script = 'probe begin { system("ls"); ftrace("x"); switch_file(); warn("careful"); log("line"); error("stop") }'
    outcome = run_script(script)
    assert outcome.calls == [("system", b"ls"), ("ftrace", b"x"), ("switch_file", b"")]
    assert outcome.warnings == [b"careful"]
    assert outcome.text == "line\n"
    assert outcome.errors[0].startswith("stop near identifier 'error' at test.probe:1:")


def test_speculation() -> None:
    script = """probe begin {
        one = speculation() two = speculation()
        speculate(one, "a"); speculate(two, "b"); speculate(one, "c"); print("-")
        discard(two); commit(one); commit(two); print(one != two)
    }"""
    assert run_script(script).text == "-ac1"


def test_printing_stacks() -> None:
    script = 'probe begin { print_ubacktrace_brief() print_ustack("0x401001 0x5") print_ubacktrace() }'
    assert run_script(script, context=HitContext()).text == (
        "main work 0x99\n 0x401001 : main+0x1 [prog]\n 0x5\n"
        " 0x401010 : main+0x10 [prog]\n 0x402020 : work+0x20 [prog]\n 0x99\n"
    )


def test_a_stack_is_never_cut_inside_an_address() -> None:
    script = "probe begin { println(ucallers(9)) }"
    assert (
        run_script(script, context=HitContext(), limits=Limits(string_size=18)).text == "0x401010 0x402020\n"
    )
    assert run_script(script, context=HitContext(), limits=Limits(string_size=17)).text == "0x401010\n"


def test_finals_are_printed() -> None:
    script = 'global n = 1, s, a, t, e probe begin { n = 5; s = "x\\n"; a["k", 1] = 3; a["l", 2] = 9; t <<< 3; t <<< 5; if (pid() < 0) e <<< 1 }'
    assert run_script(script).text == (
        'n=5\ns="x\\n"\na["l",2]=9\na["k",1]=3\nt @count=2 @min=3 @max=5 @sum=8 @avg=4\ne @count=0x0\n'
    )
