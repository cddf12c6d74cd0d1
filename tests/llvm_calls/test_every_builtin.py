"""Every builtin, in a probe of the same function of the same program with either backend: one language, one result.

What differs from run to run (ids, addresses, clocks) stands in an expression that does not.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.builtins import Builtin
from probelang.builtins.table import ROWS
from probelang.options import Backend
from tests.llvm_calls.conftest import Outcome, run_subject

pytestmark = pytest.mark.kernel

BACKENDS: tuple[Backend, ...] = ("kernel", "ptrace")
ENTRY = 'probe process("{target}").function("work")'
TEXT, NUMBERS = "pointer_arg(1)", "pointer_arg(6)"  # of work()

# by name/number of parameters: statements of the entry probe, a `;` after each
IN_BOTH: dict[str, str] = {
    "pid/0": "println(pid() == target())",
    "tid/0": "println(tid() == pid())",
    "ppid/0": "println(target_set_pid(ppid()))",
    "uid/0": "println(uid())",
    "euid/0": "println(euid())",
    "gid/0": "println(gid())",
    "egid/0": "println(egid())",
    "execname/0": "println(execname())",
    "pexecname/0": "println(pexecname())",
    "target/0": "println(target() > 1)",
    "target_set_pid/1": "println(target_set_pid(pid()), target_set_pid(1), target_set_pid(0))",
    "cpu/0": "println(cpu() >= 0 && cpu() < 4096)",
    "user_mode/0": "println(user_mode())",
    "cmdline_str/0": "println(cmdline_str())",
    "task_utime/0": "println(task_utime() >= 0 && task_utime() < 60000000000)",
    "task_stime/0": "println(task_stime() >= 0 && task_stime() < 60000000000)",
    "pp/0": "println(pp())",
    "ppfunc/0": "println(ppfunc())",
    "probefunc/0": "println(probefunc())",
    "pn/0": "println(pn())",
    "place_number/0": "println(place_number())",
    "is_return/0": "println(is_return())",
    "uaddr/0": 'println(uaddr() == register("rip"), uaddr() & 15)',
    "register/1": 'println(register("esi"), " ", register("cl"), " ", register("rdx"), " ", register("ax") < 32768)',
    "u_register/1": 'println(u_register("esi"), " ", u_register("dl"), " ", u_register("r8"), " ", u_register("r8d"))',
    "mapped_code/2": 'println(mapped_code("{target}", 4096) == (uaddr() & ~4095), mapped_code("{target}", 4096) & 4095)',
    "int_arg/1": 'printf("%d %d %d %d\\n", int_arg(2), int_arg(5), int_arg(7), int_arg(8))',
    "uint_arg/1": 'printf("%d %d %d\\n", uint_arg(2), uint_arg(5), uint_arg(7))',
    "long_arg/1": 'printf("%d %d %d\\n", long_arg(4), long_arg(5), long_arg(8))',
    "ulong_arg/1": 'printf("%u %d\\n", ulong_arg(5), ulong_arg(4))',
    "longlong_arg/1": 'printf("%d %d\\n", longlong_arg(4), longlong_arg(8))',
    "ulonglong_arg/1": 'printf("%u %d\\n", ulonglong_arg(5), ulonglong_arg(8))',
    "pointer_arg/1": 'println(pointer_arg(1) == register("rdi"), pointer_arg(6) == register("r9"))',
    "s32_arg/1": "println(s32_arg(3), s32_arg(5))",
    "s64_arg/1": "println(s64_arg(5))",
    "u32_arg/1": "println(u32_arg(3), u32_arg(5))",
    "u64_arg/1": "println(u64_arg(4))",
    "gettimeofday_s/0": "println(gettimeofday_s() - gettimeofday_ns() / 1000000000 <= 0)",
    "gettimeofday_ms/0": "println(gettimeofday_ms() <= gettimeofday_us() / 1000)",
    "gettimeofday_us/0": "println(gettimeofday_us() <= gettimeofday_ns() / 1000)",
    "gettimeofday_ns/0": "println(gettimeofday_ns() > 1600000000000000000)",
    "local_clock_s/0": "println(local_clock_s() <= local_clock_ns() / 1000000000)",
    "local_clock_ms/0": "println(local_clock_ms() <= local_clock_ns() / 1000000)",
    "local_clock_us/0": "println(local_clock_us() <= local_clock_ns() / 1000)",
    "local_clock_ns/0": "println(local_clock_ns() <= local_clock_ns())",
    "cpu_clock_s/1": "println(cpu_clock_s(0) <= local_clock_s())",
    "cpu_clock_ms/1": "println(cpu_clock_ms(0) <= local_clock_ms())",
    "cpu_clock_us/1": "println(cpu_clock_us(0) <= local_clock_us())",
    "cpu_clock_ns/1": "println(cpu_clock_ns(0) <= local_clock_ns())",
    "get_cycles/0": "println(get_cycles() <= get_cycles())",
    "jiffies/0": "println(jiffies() > 0)",
    "tz_gmtoff/0": "println(tz_gmtoff())",
    "tz_name_bytes/0": "println(tz_name_bytes())",
    "user_string/1": f"println(user_string({TEXT}))",
    "user_string/2": f'println(user_string({TEXT}, "-"), user_string(5, "-"))',
    "user_string2/2": f'println(user_string2({TEXT} + 6, "-"), user_string2(-1, "-"))',
    "user_string_n/2": f"println(user_string_n({TEXT}, 3), user_string_n({TEXT}, 0), user_string_n({TEXT}, 400))",
    "user_string_n/3": f'println(user_string_n({TEXT}, 3, "-"), user_string_n(7, 3, "-"))',
    "user_string_n2/3": f'println(user_string_n2({TEXT}, 3, "-"), user_string_n2(7, 3, "-"))',
    "user_string_quoted/1": f"println(user_string_quoted({TEXT}), user_string_quoted(0), user_string_quoted(4096))",
    "user_string_n_quoted/2": f"println(user_string_n_quoted({TEXT}, 4), user_string_n_quoted(0, 4))",
    "user_char/1": f"println(user_char({NUMBERS}))",
    "user_short/1": f"println(user_short({NUMBERS} + 2))",
    "user_ushort/1": f"println(user_ushort({NUMBERS} + 2))",
    "user_int/1": f"println(user_int({NUMBERS} + 8))",
    "user_uint/1": f"println(user_uint({NUMBERS} + 8))",
    "user_long/1": f"println(user_long({NUMBERS} + 16))",
    "user_ulong/1": f"println(user_ulong({NUMBERS} + 16))",
    "user_int8/1": f"println(user_int8({NUMBERS} + 1))",
    "user_uint8/1": f"println(user_uint8({NUMBERS} + 1))",
    "user_int16/1": f"println(user_int16({NUMBERS} + 4))",
    "user_uint16/1": f"println(user_uint16({NUMBERS} + 4))",
    "user_int32/1": f"println(user_int32({NUMBERS} + 12))",
    "user_uint32/1": f"println(user_uint32({NUMBERS} + 12))",
    "user_int64/1": f"println(user_int64({NUMBERS} + 24))",
    "user_uint64/1": f"println(user_uint64({NUMBERS} + 24))",
    "user_return_address/1": 'println(user_return_address(register("rsp")) == ustack(1))',
    "float_to_double/1": f"println(float_to_double(user_uint32({NUMBERS})), float_to_double(int_arg(2)))",
    "double_to_float/1": f"println(double_to_float(float_to_double(user_uint32({NUMBERS}))), double_to_float(long_to_double(int_arg(2))))",
    "long_double_to_double/2": f"println(long_double_to_double(user_uint64({NUMBERS} + 8), 16383))",
    "double_to_long/1": "println(double_to_long(long_to_double(s32_arg(3))))",
    "long_to_double/1": 'printf("%f %+.3e %g\\n", long_to_double(int_arg(2)), long_to_double(pointer_arg(1)), long_to_double(-1))',
    "double_order/1": "println(double_order(long_to_double(int_arg(2))) > double_order(long_to_double(-3)))",
    "double_text/1": 'println(double_text(long_to_double(int_arg(2))), " ", double_text(long_to_double(-1) - 1), double_text(-1))',
    "strlen/1": f'println(strlen(user_string({TEXT})), strlen(""))',
    "substr/3": f"println(substr(user_string({TEXT}), 2, 5), substr(execname(), 9, 1), substr(execname(), 3, 99))",
    "stringat/2": f'println(stringat(user_string({TEXT}), 4), " ", stringat(execname(), 99))',
    "isinstr/2": f'println(isinstr(user_string({TEXT}), "o w"), isinstr(execname(), ""), isinstr("", execname()))',
    "strtol/2": 'println(strtol("0x1F", 16), " ", strtol(sprint(int_arg(2)), 10), " ", strtol("z", 36))',
    "tokenize/2": f'println(tokenize(user_string({TEXT}), " o"))',
    "tokenize/1": 'println(tokenize("o"), tokenize("x"), tokenize("x"), ".")',
    "text_str/1": r'println(text_str("a\t\"\\\001" . execname()))',
    "text_strn/3": f"println(text_strn(user_string({TEXT}), 8, 1), text_strn(execname(), 3, 0))",
    "str_replace/3": f'println(str_replace(user_string({TEXT}), "l", "<>"), str_replace(execname(), "", "x"))',
    "ubacktrace/0": "println(ubacktrace())",
    "ustack/1": "println(ustack(0) == uaddr(), ustack(-1), ustack(5000))",
    "ucallers/1": 'println(ucallers(1) == sprintf("%#x", uaddr()), ucallers(0) == "")',
    "usymname/1": "println(usymname(uaddr()))",
    "usymdata/1": "println(usymdata(uaddr() + 3))",
    "umodname/1": 'println(umodname(uaddr()), " ", umodname(1))',
    "usymfile/1": 'println(usymfile(uaddr()), " ", usymfile(1))',
    "usymline/1": 'println(usymline(uaddr()), " ", usymline(1))',
    "usymfileline/1": 'println(usymfileline(uaddr()), " ", usymfileline(1))',
    "print_ustack/1": "print_ustack(ucallers(1))",
    "print_ubacktrace/0": "print_ubacktrace()",
    "print_ubacktrace_brief/0": "print_ubacktrace_brief()",
    "print_ubacktrace_fileline/0": "print_ubacktrace_fileline()",
    "error/1": 'try { error("a" . execname()) } catch (m) { println(m) }',
    "warn/1": 'warn("careful, " . execname())',
    "log/1": "log(execname())",
    "ftrace/1": 'ftrace("probelang test")',
    "system/1": 'system("touch {wait}")',  # without which the target waits long
    "switch_file/0": "switch_file()",
    "randint/1": "println(randint(1), randint(0), randint(-4), randint(1000) < 1000)",
    "speculation/0": "k = speculation(); d = speculation(); println(k != d, k > 0)",
    "speculate/2": 'speculate(k, "kept\\n"); speculate(d, "dropped\\n")',
    "commit/1": "commit(k)",
    "discard/1": "discard(d)",
}  # fmt: skip

# probes of one more script
ELSEWHERE: dict[str, str] = {
    "returnval/0": 'probe process("{target}").function("work").return { println(returnval(), " ", is_return(), ppfunc()) }',
    "syscall_number/0": 'probe process("{target}").syscall { if (syscall_number() == 28) println("madvise") }',
    "syscall_arg/1": 'probe process("{target}").syscall { if ($syscall == 28) println(syscall_arg(2), " ", syscall_arg(3)) }',
    "syscall_return/0": 'probe process("{target}").syscall.return { if ($syscall == 28) println(syscall_return()) }',
    "exit/0": 'probe process("{target}").function("at") { if (int_arg(2) == 1) println("at") else exit() }',
    "abort/0": 'probe process("{target}").function("at") { if (int_arg(2) == 2) { abort(); println("not here") } }',
}  # fmt: skip

# what changes the program, with -g: tests/exec/test_changes.py
CHANGES = {
    "set_user_int8/2",
    "set_user_int16/2",
    "set_user_int32/2",
    "set_user_int64/2",
    "set_register/2",
    "set_returnval/1",
}

# who called: tests/callers
CALLERS = {"caller/0", "caller_addr/0", "callers/1"}

# those that the kernel half does not have, and what they print with ptrace
ONLY_PTRACE: dict[str, tuple[str, str]] = {
    "env_var/1": ('println(env_var("PROBELANG_TEST"), env_var("NO_SUCH"))', "set for the test"),
    "matched/1": ('if ("key=value" =~ "(.*)=(.*)") println(matched(0), " ", matched(1), " ", matched(2))', "key=value key value"),
    "ngroups/0": ('if ("ab" =~ "(a)(b)") println(ngroups())', "3"),
    "sprint_ubacktrace/0": ('println(substr(tokenize(sprint_ubacktrace(), "+"), 1, 30) =~ "0x[0-9a-f]+ : work$")', "1"),
    "sprint_ubacktrace_brief/0": ('println(sprint_ubacktrace_brief() =~ "^work main ")', "1"),
    "sprint_usyms/1": ('println(sprint_usyms(ucallers(1)) == sprint_ubacktrace(), sprint_usyms(ucallers(1)) =~ "work")', "01"),
}  # fmt: skip


def signature(row: Builtin) -> str:
    return f"{row.name}/{len(row.parameters)}"


def test_every_builtin_is_here() -> None:
    rows = [row for row in ROWS if not row.internal]
    assert {*IN_BOTH, *ELSEWHERE, *CHANGES, *CALLERS} == {signature(row) for row in rows if row.kernel}
    assert set(ONLY_PTRACE) == {signature(row) for row in rows if not row.kernel}


ALL = {
    "at the entry of a function": ENTRY + " {\n" + ";\n".join(IN_BOTH.values()) + "\n}",
    "elsewhere": "\n".join(ELSEWHERE.values()),
}
# lines that are printed, when nothing is left out
LEAST = {"at the entry of a function": 60, "elsewhere": 5}


def without_addresses(lines: list[str]) -> list[str]:
    """Of stacks the program's own functions: it lies elsewhere in each run."""
    return [re.sub(r"\b0x[0-9a-f]{6,}", "ADDRESS", line) for line in lines]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names registers and system calls of x86-64")
@pytest.mark.parametrize("where", ALL)
def test_each_has_the_same_result_in_both_backends(
    where: str, target: Path, tmp_path: Path, requires: Callable[..., None]
) -> None:
    requires("root", "ring_buffer", "uprobe_multi", "iterators", "raw_tracepoints", "ptrace")
    found: list[Outcome] = []
    for backend in BACKENDS:
        wait = tmp_path / "go"
        wait.unlink(missing_ok=True)
        script = ALL[where].replace("{wait}", str(wait))
        more = (str(wait),) if "{wait}" in ALL[where] else ()
        found.append(run_subject(target, tmp_path, backend, script, arguments=more))
    kernel, ptrace = found
    assert without_addresses(kernel.lines) == without_addresses(ptrace.lines)
    assert (kernel.status, kernel.errors) == (ptrace.status, ptrace.errors)
    assert len(kernel.lines) >= LEAST[where]


@pytest.mark.parametrize("name", ONLY_PTRACE)
def test_what_programs_in_the_kernel_cannot_do_is_refused_there(
    name: str, target: Path, tmp_path: Path, requires: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROBELANG_TEST", "set for the test")
    statement, expected = ONLY_PTRACE[name]
    script = f"{ENTRY} {{ {statement} }}"
    refused = run_subject(target, tmp_path, "kernel", script)
    assert refused.status == 1 and "error[E05" in refused.errors and refused.lines == []
    requires("ptrace")
    assert run_subject(target, tmp_path, "ptrace", script).lines[0] == expected
