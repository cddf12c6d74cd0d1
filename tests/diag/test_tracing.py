"""What is said where ptrace will not do, word by word: `tracing.err` holds all messages, in this order."""

from __future__ import annotations

from pathlib import Path

from probelang.diag import Diagnostic
from probelang.diag.render import render_text
from probelang.diag.runtime import NotPermitted
from probelang.diag.tracing import (
    CommandLosesRights,
    HasEnded,
    InContainer,
    NoProgram,
    OtherUsersProcess,
    PrivilegedProcess,
    ProgramWithoutRights,
    ProtectedProcess,
    TargetNeeded,
    TracedAlready,
    TraceRefused,
    TracingForbidden,
    TracingItself,
    UnreadableCommand,
    UsingPtrace,
    YamaForbids,
)

GOLDEN = Path(__file__).with_name("tracing.err")
POINT = 'process("/bin/x").function("f")'
NO_BPF = "this user may not use BPF"
MESSAGES: tuple[Diagnostic, ...] = (
    NotPermitted(action="use BPF"),
    UsingPtrace(reason=NO_BPF),
    TargetNeeded(probe=POINT, reason=NO_BPF),
    TargetNeeded(probe=POINT, pid=4711),
    TracedAlready(pid=5, tracer=123, name="gdb"),
    TracedAlready(pid=5, tracer=123, name=""),
    YamaForbids(pid=5, scope=1),
    YamaForbids(pid=5, scope=2),
    YamaForbids(pid=5, scope=3),
    OtherUsersProcess(pid=5, user="alice"),
    OtherUsersProcess(pid=5, user="root"),
    PrivilegedProcess(pid=5, rights="the rights of `root`"),
    ProtectedProcess(pid=5),
    NoProgram(pid=5, name="kthreadd"),
    HasEnded(pid=5),
    TracingItself(pid=5),
    TracingForbidden(by="SELinux forbids it", advice="allow it"),
    InContainer(pid=5),
    TraceRefused(pid=5, reason="operation not permitted"),
    CommandLosesRights(path="/bin/su", rights="the rights of `root`"),
    UnreadableCommand(path="/bin/x"),
    ProgramWithoutRights(path="/bin/ping", rights="the capability cap_net_raw"),
)


def test_messages() -> None:
    assert render_text(MESSAGES) == GOLDEN.read_text()


def test_no_two_have_the_same_code() -> None:
    codes = {type(d): d.code for d in MESSAGES}
    assert len(set(codes.values())) == len(codes)
