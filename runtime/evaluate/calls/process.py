"""Builtins about the process and the probe that was hit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.arithmetic import wrap
from probelang.runtime.evaluate.context import Fault
from probelang.runtime.evaluate.frame import Run
from probelang.runtime.store import Value


def narrow(value: int, bits: int, signed: bool) -> int:
    """The low bits of a number; 64 unsigned bits are a signed long all the same."""
    low = value & ((1 << bits) - 1)
    if signed and low >> (bits - 1):
        low -= 1 << bits
    return wrap(low)


def _argument(bits: int, signed: bool) -> Callable[[Run, int], int]:
    def argument(run: Run, number: int) -> int:
        if number < 1:
            raise Fault(b"argument %d does not exist: they are counted from 1" % number)
        return narrow(run.context.argument(number), bits, signed)

    return argument


def _mapped_code(run: Run, path: bytes, offset: int) -> int:
    return run.context.mapped_code(path, offset)


_PLAIN: Mapping[str, Callable[[Run], Value | None]] = {
    "pid": lambda run: run.context.pid(),
    "tid": lambda run: run.context.tid(),
    "ppid": lambda run: run.context.ppid(),
    "uid": lambda run: run.context.uid(),
    "euid": lambda run: run.context.euid(),
    "gid": lambda run: run.context.gid(),
    "egid": lambda run: run.context.egid(),
    "execname": lambda run: run.context.execname(),
    "pexecname": lambda run: run.context.pexecname(),
    "target": lambda run: run.environment.services.target(),
    "cpu": lambda run: run.context.cpu(),
    "user_mode": lambda run: int(run.context.user_mode()),
    "cmdline_str": lambda run: run.context.command_line(),
    "task_utime": lambda run: run.context.cpu_times_ns()[0],
    "task_stime": lambda run: run.context.cpu_times_ns()[1],
    "pp": lambda run: run.context.point(),
    "ppfunc": lambda run: run.context.function(),
    "probefunc": lambda run: run.context.function(),
    "pn": lambda run: run.context.probe_name(),
    "place_number": lambda run: run.context.place_number(),
    "session_hook": lambda run: run.context.session.hook(),
    "session_kept": lambda run: run.context.session.kept,
    "is_return": lambda run: int(run.context.is_return()),
    "uaddr": lambda run: run.context.instruction(),
    "returnval": lambda run: run.context.return_value(),
    "syscall_number": lambda run: run.context.syscall_number(),
    "syscall_return": lambda run: run.context.return_value(),
}
_OF_TEXT: Mapping[str, Callable[[Run, bytes], Value | None]] = {
    "env_var": lambda run, name: run.context.environment(name),
    "register": lambda run, name: run.context.register(name, True),
    "u_register": lambda run, name: run.context.register(name, False),
}
_OF_NUMBER: Mapping[str, Callable[[Run, int], Value | None]] = {
    "session_keep": lambda run, number: run.context.session.keep(number),
    "target_set_pid": lambda run, pid: int(run.environment.services.in_target_set(pid)),
    "syscall_arg": lambda run, number: run.context.argument(number),
}
BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    **{(name, 0): function for name, function in _PLAIN.items()},
    **{(name, 1): function for name, function in _OF_TEXT.items()},
    **{(name, 1): function for name, function in _OF_NUMBER.items()},
    ("mapped_code", 2): _mapped_code,
    ("int_arg", 1): _argument(32, True),
    ("uint_arg", 1): _argument(32, False),
    ("long_arg", 1): _argument(64, True),
    ("ulong_arg", 1): _argument(64, False),
    ("longlong_arg", 1): _argument(64, True),
    ("ulonglong_arg", 1): _argument(64, False),
    ("pointer_arg", 1): _argument(64, False),
    ("s32_arg", 1): _argument(32, True),
    ("s64_arg", 1): _argument(64, True),
    ("u32_arg", 1): _argument(32, False),
    ("u64_arg", 1): _argument(64, False),
}
