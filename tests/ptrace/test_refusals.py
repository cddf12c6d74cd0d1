"""Why a process cannot be traced: the kernel refuses, and we find out why."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from probelang.diag import Diagnostic
from probelang.diag import runtime as runtime_diagnostics
from probelang.diag import tracing as diagnostics
from probelang.runtime.ptrace import calls, refusals, rights
from probelang.runtime.ptrace.refusals import explain_general_refusal, explain_refusal
from probelang.runtime.ptrace.trial import trace_a_child
from tests.ptrace.users import (
    GROUP,
    USER,
    as_user,
    become_user,
    forbid_ptrace,
    in_container,
    open_folder,
    set_dumpable,
    waiting,
)

Requires = Callable[..., None]
OTHER_USER, OTHER_GROUP = 65533, 65532
_LOADED = (runtime_diagnostics, rights.user_name(0), rights.group_name(0))  # a child cannot read root's files


def refusal(pid: int) -> Diagnostic | None:
    """Of an attempt to trace; None where it is allowed."""
    try:
        calls.seize(pid, 0)
    except OSError as error:
        return explain_refusal(pid, error)
    return None


def refusal_for_user(pid: int) -> Diagnostic | None:
    return as_user(lambda: refusal(pid))


# ----------------------------------------------------------------------------------- whoever asks is refused


def test_a_process_that_is_gone() -> None:
    with waiting(lambda: None) as pid:
        pass
    assert refusal(pid) == runtime_diagnostics.NoSuchProcess(pid=pid)


def test_a_process_that_has_ended() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert refusal(pid) == diagnostics.HasEnded(pid=pid)
    os.waitpid(pid, 0)


def test_a_process_with_another_tracer() -> None:
    with waiting(become_user) as pid:
        calls.seize(pid, 0)
        name = Path("/proc/self/comm").read_text().strip()
        assert refusal_for_user(pid) == diagnostics.TracedAlready(pid=pid, tracer=os.getpid(), name=name)


def test_oneself() -> None:
    assert refusal(os.getpid()) == diagnostics.TracingItself(pid=os.getpid())


def test_a_thread_of_the_kernel() -> None:
    pid = 2
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        name = ""
    if name != "kthreadd":
        pytest.skip("a container shows none")
    assert refusal(pid) == diagnostics.NoProgram(pid=pid, name=name)


# -------------------------------------------------------------------------------------- root would be allowed


def test_an_own_process_is_no_refusal() -> None:
    with waiting(become_user) as pid:
        assert refusal_for_user(pid) is None


@pytest.mark.parametrize("uid", [0, OTHER_USER])
def test_the_process_of_another_user(uid: int, requires: Requires) -> None:
    requires("root")
    with waiting(lambda: become_user(uid, uid)) as pid:
        user = rights.user_name(uid)
        assert refusal_for_user(pid) == diagnostics.OtherUsersProcess(pid=pid, user=user)


def test_a_program_with_the_rights_of_two_users(requires: Requires) -> None:
    """As a setuid program has them."""
    requires("root")

    def prepare() -> None:
        os.setresgid(GROUP, GROUP, GROUP)
        os.setresuid(USER, OTHER_USER, OTHER_USER)
        set_dumpable(True)

    with waiting(prepare) as pid:
        found = refusal_for_user(pid)
    assert found == diagnostics.PrivilegedProcess(
        pid=pid, rights=f"the rights of `{rights.user_name(OTHER_USER)}`"
    )


def test_a_program_with_the_rights_of_another_group(requires: Requires) -> None:
    requires("root")
    with waiting(lambda: become_user(USER, OTHER_GROUP)) as pid:
        found = refusal_for_user(pid)
    assert found == diagnostics.PrivilegedProcess(
        pid=pid, rights=f"the rights of group `{rights.group_name(OTHER_GROUP)}`"
    )


def test_a_program_with_capabilities(requires: Requires) -> None:
    requires("root")
    user = ["setpriv", "--reuid", str(USER), "--regid", str(GROUP), "--clear-groups"]
    keep = ["--inh-caps", "+net_raw,+net_admin", "--ambient-caps", "+net_raw,+net_admin"]
    script = "echo ready; read line"
    command = [*user, *keep, "sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        assert target.stdout is not None and target.stdout.readline() == b"ready\n"
        found = refusal_for_user(target.pid)
        target.communicate(b"\n", timeout=10)
    expected = "the capabilities cap_net_admin, cap_net_raw"
    assert found == diagnostics.PrivilegedProcess(pid=target.pid, rights=expected)


def test_a_program_that_protects_itself(requires: Requires) -> None:
    requires("root")

    def prepare() -> None:
        become_user()
        set_dumpable(False)

    with waiting(prepare) as pid:
        assert refusal_for_user(pid) == diagnostics.ProtectedProcess(pid=pid)


def test_a_program_in_a_container_of_somebody_else(requires: Requires) -> None:
    requires("root")
    if not Path("/proc/self/ns/user").exists():
        pytest.skip("no user namespaces")
    with in_container() as pid:
        assert refusal_for_user(pid) == diagnostics.InContainer(pid=pid)


# ------------------------------------------------------------------------------------------- nothing is allowed


def test_where_ptrace_is_forbidden_altogether() -> None:
    def forbidden() -> None:
        become_user()
        forbid_ptrace()

    with waiting(become_user) as pid:
        found = as_user(lambda: refusal(pid), before=forbidden)
    assert isinstance(found, diagnostics.TracingForbidden) and "seccomp" in found.title()
    refused = as_user(trace_a_child, before=forbidden)
    assert refused is not None and refused.errno == errno.EPERM


def test_a_child_can_be_traced() -> None:
    assert as_user(trace_a_child) is None


@pytest.fixture
def folder() -> Generator[Path]:
    with open_folder() as path:
        yield path


def fake_setting(monkeypatch: pytest.MonkeyPatch, path: Path, name: str, value: str) -> None:
    setting = path / name
    setting.write_text(value)
    monkeypatch.setattr(refusals, name, setting)


@pytest.mark.parametrize("scope", [1, 2, 3])
def test_yama_is_named_with_its_scope(
    scope: int, monkeypatch: pytest.MonkeyPatch, folder: Path, requires: Callable[..., None]
) -> None:
    requires("root")  # to be somebody else
    fake_setting(monkeypatch, folder, "YAMA", f"{scope}\n")
    refused = PermissionError(errno.EPERM, "Operation not permitted")
    with waiting(become_user) as pid:
        found = as_user(lambda: explain_refusal(pid, refused))
    assert found == diagnostics.YamaForbids(pid=pid, scope=scope)


def test_another_user_is_named_before_yama(
    monkeypatch: pytest.MonkeyPatch, folder: Path, requires: Requires
) -> None:
    requires("root")
    fake_setting(monkeypatch, folder, "YAMA", "1\n")
    with waiting(lambda: become_user(OTHER_USER)) as pid:
        assert isinstance(refusal_for_user(pid), diagnostics.OtherUsersProcess)


def test_selinux_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    fake_setting(monkeypatch, folder, "DENY_PTRACE", "1 1")
    found = explain_general_refusal(PermissionError(errno.EACCES, "Permission denied"))
    assert "SELinux" in found.title() and "setsebool" in found.help()


def test_a_reason_that_nobody_knows_is_told_as_the_kernel_does() -> None:
    with waiting(become_user) as pid:
        found = as_user(lambda: explain_refusal(pid, OSError(errno.EBUSY, "Device or resource busy")))
    assert found == diagnostics.TraceRefused(pid=pid, reason="device or resource busy")


# ------------------------------------------------------------------------------------------------ programs


@pytest.fixture
def program(folder: Path) -> Path:
    """A copy of `id`."""
    path = folder / "copy"
    shutil.copy(shutil.which("id") or "/usr/bin/id", path)
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        pytest.skip("the file system of temporary files is mounted nosuid")
    return path


def check_as_user(path: Path, before: Callable[[], None] | None = None) -> Diagnostic | None:
    return as_user(lambda: refusals.check_command(str(path)), before)


def traced_effective_user(path: Path) -> int:
    """What `id -u` prints when it is executed under a tracer of an ordinary user."""

    def trace() -> int:
        reading, writing = os.pipe()
        held, release = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(writing, 1)
            os.read(held, 1)
            os.execv(path, ["id", "-u"])
        os.close(writing)
        calls.seize(pid, calls.O_EXITKILL)
        os.write(release, b"x")
        while (found := calls.wait(pid))[0] == pid and os.WIFSTOPPED(found[1]):
            calls.request(calls.PTRACE_CONT, pid)
        with open(reading, "rb") as file:
            return int(file.read())

    return as_user(trace)


def test_a_setuid_program_would_run_without_its_rights(program: Path, requires: Requires) -> None:
    requires("root")
    program.chmod(0o4755)
    assert as_user(lambda: int(subprocess.check_output([str(program), "-u"]))) == 0
    assert traced_effective_user(program) == USER
    expected = diagnostics.CommandLosesRights(path=str(program), rights="the rights of `root`")
    assert check_as_user(program) == expected
    warning = as_user(lambda: refusals.setuid_warning(str(program)))
    assert warning is not None and warning.severity == "warning"
    assert refusals.check_command(str(program)) is None  # root may trace it as it is


def test_a_setgid_program_too(program: Path, requires: Requires) -> None:
    requires("root")
    program.chmod(0o2755)
    found = check_as_user(program)
    assert isinstance(found, diagnostics.CommandLosesRights) and "group `root`" in found.title()


def test_a_program_with_file_capabilities_too(program: Path, requires: Requires) -> None:
    requires("root")
    # struct vfs_cap_data of revision 2, effective: cap_net_raw
    os.setxattr(program, "security.capability", bytes.fromhex("01000002 00200000 00000000 00000000 00000000"))
    found = check_as_user(program)
    expected = "the capability cap_net_raw"
    assert found == diagnostics.CommandLosesRights(path=str(program), rights=expected)


def test_bits_that_give_nothing_are_no_reason(program: Path, requires: Requires) -> None:
    requires("root")
    script = program.with_name("script")
    script.write_text(f"#!{shutil.which('sh')}\n")
    script.chmod(0o4755)
    assert check_as_user(program) is None and check_as_user(script) is None
    os.chown(program, USER, GROUP)
    program.chmod(0o6755)
    assert check_as_user(program) is None


def test_a_script_has_the_rights_of_its_interpreter(program: Path, requires: Requires) -> None:
    requires("root")
    program.chmod(0o4755)
    script = program.with_name("script")
    script.write_text(f"#!{program}\n")
    script.chmod(0o755)
    assert isinstance(check_as_user(script), diagnostics.CommandLosesRights)


def test_who_has_given_up_new_rights_loses_none(program: Path, requires: Requires) -> None:
    requires("root")
    program.chmod(0o4755)
    code = (
        "from tests.ptrace.users import *\n"
        "from probelang.runtime.ptrace.refusals import check_command\n"
        "from probelang.runtime.ptrace.rights import user_name\n"
        "user_name(0)\n"
        "give_up_new_rights()\n"
        f"print(as_user(lambda: check_command({str(program)!r})))"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "None\n"


def test_a_program_that_may_be_run_but_not_read(program: Path, requires: Requires) -> None:
    requires("root")
    program.chmod(0o711)
    assert check_as_user(program) == diagnostics.UnreadableCommand(path=str(program))
