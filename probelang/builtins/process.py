"""Builtins about the process and the probe that was hit.

    probe process("/bin/ls").function("main") { printf("%s %d %s\n", ppfunc(), pid(), execname()) }

In the user half the process is probelang's own (as it is SystemTap's own in a `begin` probe), and what only a hit
has (registers, arguments, memory) is a soft error there.
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S = Type.LONG, Type.STRING

IDENTITY: tuple[Builtin, ...] = (
    Builtin("pid", (), L, "The process id (thread group) of the current task."),
    Builtin("tid", (), L, "The thread id of the current task."),
    Builtin("ppid", (), L, "The process id of the parent process."),
    Builtin("uid", (), L, "The real user id of the current task."),
    Builtin("euid", (), L, "The effective user id of the current task."),
    Builtin("gid", (), L, "The real group id of the current task."),
    Builtin("egid", (), L, "The effective group id of the current task."),
    Builtin("execname", (), S, "The name of the current task, at most 15 bytes (its comm)."),
    Builtin("pexecname", (), S, "The name of the parent of the current task."),
    Builtin("target", (), L, "The process of -c or -x; 0 without them."),
    Builtin(
        "target_set_pid",
        (L,),
        L,
        "1 when this process id is the process of -c or -x or descends from it, else 0.",
    ),
    Builtin("cpu", (), L, "The number of the current CPU."),
    Builtin(
        "user_mode",
        (),
        L,
        "1 when the hit is in user mode: in probes of processes; 0 in begin, end and timers.",
    ),
    Builtin(
        "cmdline_str",
        (),
        S,
        "The command line of the current process, words separated by spaces.",
        faults=True,
    ),
    Builtin(
        "env_var",
        (S,),
        S,
        "The value of an environment variable of the current process; empty when not set.",
        kernel=False,
        advice="read it in a begin probe and keep it in a global",
    ),
    Builtin("task_utime", (), L, "CPU time of the current task in user mode, in nanoseconds."),
    Builtin("task_stime", (), L, "CPU time of the current task in the kernel, in nanoseconds."),
)

PROBE_POINT: tuple[Builtin, ...] = (
    Builtin("pp", (), S, "The probe point that was hit, with everything resolved."),
    Builtin("ppfunc", (), S, "The function named by the probe point that was hit; empty where it has none."),
    Builtin("probefunc", (), S, "The function in which the hit is."),
    Builtin("pn", (), S, "The probe point as the script names it: the alias, where one was used."),
    Builtin("place_number", (), L, "Which of the places of its probe was hit, from 0; 0 where it has one."),
    Builtin("is_return", (), L, "1 in a return probe, else 0."),
)

REGISTERS: tuple[Builtin, ...] = (
    Builtin(
        "uaddr", (), L, "The address of the current instruction in the process; 0 in begin, end and timers."
    ),
    Builtin(
        "register",
        (S,),
        L,
        'A register by its name, "rax" 64 bits, "eax" 32 bits signed, "fs_base" the thread pointer; a literal.',
    ),
    Builtin(
        "u_register", (S,), L, "The same as register, with 32-bit registers as unsigned numbers; a literal."
    ),
    Builtin(
        "mapped_code",
        (S, L),
        L,
        "Where the current process has mapped a file as code from an offset on: its path and the offset, a multiple of 4096, as "
        "literals. A soft error where it has not.",
    ),
    Builtin("returnval", (), L, "The value that the function returns, in a return probe."),
    Builtin("int_arg", (L,), L, "Argument n (from 1) of the probed function as a signed 32-bit number."),
    Builtin("uint_arg", (L,), L, "Argument n (from 1) of the probed function as an unsigned 32-bit number."),
    Builtin("long_arg", (L,), L, "Argument n (from 1) of the probed function as a signed 64-bit number."),
    Builtin("ulong_arg", (L,), L, "Argument n (from 1) of the probed function as an unsigned 64-bit number."),
    Builtin("longlong_arg", (L,), L, "Argument n (from 1) of the probed function as a signed 64-bit number."),
    Builtin(
        "ulonglong_arg", (L,), L, "Argument n (from 1) of the probed function as an unsigned 64-bit number."
    ),
    Builtin("pointer_arg", (L,), L, "Argument n (from 1) of the probed function as an address."),
    Builtin("s32_arg", (L,), L, "The same as int_arg."),
    Builtin("s64_arg", (L,), L, "The same as longlong_arg."),
    Builtin("u32_arg", (L,), L, "The same as uint_arg."),
    Builtin("u64_arg", (L,), L, "The same as ulonglong_arg."),
    Builtin("syscall_number", (), L, "What `$syscall` means in a syscall probe.", process_only=True),
    Builtin("syscall_arg", (L,), L, "What `$arg1` to `$arg6` mean in a syscall probe.", process_only=True),
    Builtin("syscall_return", (), L, "What `$return` means in a syscall.return probe.", process_only=True),
    Builtin(
        "session_hook",
        (),
        Type.VOID,
        "The return of the call that begins is a hit.",
        process_only=True,
        effect=True,
        internal=True,
    ),
    Builtin(
        "session_keep",
        (L,),
        Type.VOID,
        "Keeps a number with the call that begins.",
        process_only=True,
        effect=True,
        internal=True,
    ),
    Builtin(
        "session_kept",
        (),
        L,
        "The number that was kept with the call that returns.",
        process_only=True,
        internal=True,
    ),
)

ROWS: tuple[Builtin, ...] = IDENTITY + PROBE_POINT + REGISTERS
