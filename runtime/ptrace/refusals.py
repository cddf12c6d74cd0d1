"""Why a process cannot be traced, found out afterwards: the kernel itself says no more than EPERM.

    explain_refusal(4711, error)          ->  TracedAlready(pid=4711, tracer=4720, name="gdb")
    check_command("/usr/bin/sudo")        ->  CommandLosesRights(path="/usr/bin/sudo", rights="the rights of `root`")

The questions are those of the kernel (kernel/ptrace.c, ptrace_attach() and __ptrace_may_access(); security/yama/yama_lsm.c), in an
order that names first what no privilege helps against.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from probelang.diag import Diagnostic
from probelang.diag import tracing as diagnostics
from probelang.runtime.capabilities import CAP_SYS_PTRACE, has_capability, own_capabilities
from probelang.runtime.ptrace.machine import UnsupportedMachine, this_machine
from probelang.runtime.ptrace.rights import (
    capabilities_in_words,
    gained_rights,
    group_name,
    is_unreadable,
    user_name,
)
from probelang.runtime.ptrace.supervise import own_pids
from probelang.runtime.ptrace.trial import trace_a_child

_PROC = Path("/proc")
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
DENY_PTRACE = Path("/sys/fs/selinux/booleans/deny_ptrace")
_DECODER = "iced_x86"
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD, include/linux/sched.h


@dataclass(frozen=True, slots=True)
class _Target:
    """Facts of /proc/PID. `uids`, `gids`: real, effective, saved. `permitted`: capabilities. `depth`: of its pid namespace, 1:
    ours. `owner`: of its files in /proc, root's (or nobody's) where the process is not dumpable."""

    pid: int
    name: str
    state: str
    tracer: int
    uids: frozenset[int]
    gids: frozenset[int]
    permitted: int
    depth: int
    flags: int
    owner: int


def explain_refusal(pid: int, error: OSError) -> Diagnostic:
    """`error`: of PTRACE_SEIZE, or of opening the memory of that process (or thread)."""
    target = _read_target(pid)
    if error.errno == errno.ESRCH or target is None:
        from probelang.diag.runtime import NoSuchProcess

        return NoSuchProcess(pid=pid)
    for reason in _REASONS:
        found = reason(target, error)
        if found is not None:
            return found
    return diagnostics.TraceRefused(pid=pid, reason=(error.strerror or "refused").lower())


def explain_general_refusal(error: OSError) -> Diagnostic:
    """Why not even a child of ours can be traced."""
    scope = yama_scope()
    if scope >= 2:
        return diagnostics.YamaForbids(pid=0, scope=scope)
    return _sandbox(error)


def check_machine() -> Diagnostic | None:
    """What is not there that every trace needs, whoever asks."""
    try:
        this_machine()
    except UnsupportedMachine as error:
        return diagnostics.TracingForbidden(by=f"{error} is not supported", advice="x86_64 is")
    if find_spec(_DECODER) is None:
        by = f"the Python package {_DECODER} is not installed"
        return diagnostics.TracingForbidden(by=by, advice=f"pip install {_DECODER}")
    return None


def check_command(path: str) -> Diagnostic | None:
    """Why a command should not be run traced: it would not do what it does otherwise."""
    if has_capability(CAP_SYS_PTRACE):
        return None
    if rights := gained_rights(path):
        return diagnostics.CommandLosesRights(path=path, rights=rights)
    if is_unreadable(path):
        return diagnostics.UnreadableCommand(path=path)
    return None


def setuid_warning(path: str, name: str = "") -> Diagnostic | None:
    """The same of a program that a traced process has executed; `name`: how to call it where `path` is a link in /proc."""
    if has_capability(CAP_SYS_PTRACE):
        return None
    rights = gained_rights(path)
    return diagnostics.ProgramWithoutRights(path=name or path, rights=rights) if rights else None


def yama_scope() -> int:
    """kernel.yama.ptrace_scope; 0 where there is no Yama."""
    try:
        return int(YAMA.read_text())
    except (OSError, ValueError):
        return 0


# ------------------------------------------------------------------------------------------------- reasons


def _itself(target: _Target, error: OSError) -> Diagnostic | None:
    return diagnostics.TracingItself(pid=target.pid) if target.pid in own_pids() else None


def _ended(target: _Target, error: OSError) -> Diagnostic | None:
    return diagnostics.HasEnded(pid=target.pid) if target.state in "ZX" else None


def _kernel_thread(target: _Target, error: OSError) -> Diagnostic | None:
    is_one = target.flags & _KERNEL_THREAD
    return diagnostics.NoProgram(pid=target.pid, name=target.name) if is_one else None


def _traced_already(target: _Target, error: OSError) -> Diagnostic | None:
    if not target.tracer:
        return None
    tracer = _read_target(target.tracer)
    name = tracer.name if tracer is not None else ""
    return diagnostics.TracedAlready(pid=target.pid, tracer=target.tracer, name=name)


def _nobody_may(target: _Target, error: OSError) -> Diagnostic | None:
    scope = yama_scope()
    return diagnostics.YamaForbids(pid=target.pid, scope=scope) if scope >= 3 else None


def _nothing_here(target: _Target, error: OSError) -> Diagnostic | None:
    if yama_scope() >= 2:  # refuses children as well
        return None
    refused = error if error.errno == errno.ENOSYS else trace_a_child()
    return _sandbox(refused) if refused is not None else None


def _sandbox(error: OSError) -> Diagnostic:
    if _is_set(DENY_PTRACE):
        return diagnostics.TracingForbidden(
            by="SELinux forbids it (deny_ptrace is on)", advice="allow it: sudo setsebool deny_ptrace off"
        )
    if _has_filter():
        return diagnostics.TracingForbidden(
            by="a seccomp filter, as containers have, forbids ptrace",
            advice="start the container with --cap-add SYS_PTRACE or --security-opt seccomp=unconfined",
        )
    reason = (error.strerror or "refused").lower()
    return diagnostics.TracingForbidden(
        by=f"the kernel refuses ptrace ({reason})", advice="use --backend kernel, as root"
    )


def _other_user(target: _Target, error: OSError) -> Diagnostic | None:
    if has_capability(CAP_SYS_PTRACE) or os.getuid() in target.uids:
        return None
    return diagnostics.OtherUsersProcess(pid=target.pid, user=user_name(min(target.uids)))


def _more_rights(target: _Target, error: OSError) -> Diagnostic | None:
    """A program that has begun with setuid, setgid or file capabilities."""
    if has_capability(CAP_SYS_PTRACE):
        return None
    users, groups = target.uids - {os.getuid()}, target.gids - {os.getgid()}
    capabilities = target.permitted & ~own_capabilities("CapPrm")
    if users:
        rights = f"the rights of `{user_name(min(users))}`"
    elif groups:
        rights = f"the rights of group `{group_name(min(groups))}`"
    elif capabilities and target.depth == 1:
        rights = capabilities_in_words(capabilities)
    else:
        return None
    return diagnostics.PrivilegedProcess(pid=target.pid, rights=rights)


def _in_container(target: _Target, error: OSError) -> Diagnostic | None:
    is_inside = target.depth > 1 and not has_capability(CAP_SYS_PTRACE)
    capabilities = target.permitted & ~own_capabilities("CapPrm")
    return diagnostics.InContainer(pid=target.pid) if is_inside and capabilities else None


def _not_dumpable(target: _Target, error: OSError) -> Diagnostic | None:
    if has_capability(CAP_SYS_PTRACE) or target.owner in target.uids:
        return None
    return diagnostics.ProtectedProcess(pid=target.pid)


def _yama(target: _Target, error: OSError) -> Diagnostic | None:
    scope = yama_scope()
    if not scope or has_capability(CAP_SYS_PTRACE):
        return None
    return diagnostics.YamaForbids(pid=target.pid, scope=scope)


_REASONS: tuple[Callable[[_Target, OSError], Diagnostic | None], ...] = (
    _itself, _ended, _kernel_thread, _traced_already, _nobody_may, _nothing_here, _other_user, _more_rights, _in_container,
    _not_dumpable, _yama,
)  # fmt: skip


# --------------------------------------------------------------------------------------------------- facts


def _read_target(pid: int) -> _Target | None:
    folder = _PROC / str(pid)
    try:
        lines = (folder / "status").read_text("utf-8", "replace").splitlines()
        # the name in parentheses may hold spaces and parentheses itself
        flags = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[6])
        owner = (folder / "status").stat().st_uid
    except OSError:
        return None
    texts = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def numbers(name: str) -> list[int]:
        return [int(word) for word in texts.get(name, "").split()]

    return _Target(
        pid=pid,
        name=texts.get("Name", ""),
        state=texts.get("State", "?")[:1],
        tracer=sum(numbers("TracerPid")),
        uids=frozenset(numbers("Uid")[:3]),
        gids=frozenset(numbers("Gid")[:3]),
        permitted=int(texts.get("CapPrm") or "0", 16),
        depth=max(len(numbers("NSpid")), 1),
        flags=flags,
        owner=owner,
    )


def _is_set(path: Path) -> bool:
    try:
        return path.read_text().split()[:1] == ["1"]
    except OSError:
        return False


def _has_filter() -> bool:
    try:
        return "\nSeccomp:\t2" in (_PROC / "self/status").read_text()
    except OSError:
        return False
