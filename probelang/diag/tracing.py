"""What keeps ptrace from a process or a program, and the way out (E06xx, W06xx)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, Diagnostic

AS_ROOT = "run as root: sudo probelang ..."


@dataclass(frozen=True, slots=True, kw_only=True)
class UsingPtrace(Diagnostic):
    """Said in one line when nobody has asked for it. `reason`: why it is not the kernel."""

    code: ClassVar[str] = "N0601"
    severity: ClassVar[str] = "note"
    reason: str

    def title(self) -> str:
        return f"{self.reason}; using ptrace: only the processes of -c or -x are probed, and each hit stops its thread"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetNeeded(Diagnostic):
    """`reason`: why it is not the kernel, empty where ptrace was asked for. `pid`: the one process that the script's
    probes name, None where there is not just one."""

    code: ClassVar[str] = "E0615"
    probe: str
    reason: str = ""
    pid: int | None = None

    def title(self) -> str:
        because = f"{self.reason}, and " if self.reason else ""
        return f"`{self.probe}` needs -c or -x: {because}ptrace probes only chosen processes"

    def help(self) -> str:
        running = "-x PID" if self.pid is None else f"-x {self.pid}"
        return f"run the program with -c COMMAND, or name one that runs with {running}; {_everywhere(self.reason)}"


def _everywhere(reason: str) -> str:
    return (
        f"to probe all processes {AS_ROOT}" if reason else "--backend kernel, as root, probes all processes"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedAlready(Diagnostic):
    code: ClassVar[str] = "E0616"
    pid: int
    tracer: int
    name: str

    def title(self) -> str:
        who = f"`{self.name}` (process {self.tracer})" if self.name else f"process {self.tracer}"
        return f"process {self.pid} cannot be traced: {who} traces it already"

    def help(self) -> str:
        return "a process has one tracer: let the other one go first, or use --backend kernel, as root"


@dataclass(frozen=True, slots=True, kw_only=True)
class YamaForbids(Diagnostic):
    """`scope`: kernel.yama.ptrace_scope, 1 to 3. Source: Documentation/admin-guide/LSM/Yama.rst."""

    code: ClassVar[str] = "E0617"
    pid: int
    scope: int

    def title(self) -> str:
        setting = f"(kernel.yama.ptrace_scope is {self.scope})"
        match self.scope:
            case 1:
                return (
                    f"process {self.pid} cannot be traced: only what probelang itself starts can be {setting}"
                )
            case 2:
                return f"nothing can be traced without root here {setting}"
            case _:
                return f"nothing can be traced here, not even by root {setting}"

    def help(self) -> str:
        until_boot = "or allow it until the next boot: sudo sysctl kernel.yama.ptrace_scope"
        match self.scope:
            case 1:
                return f"start the program with -c, or {AS_ROOT}, {until_boot}=0"
            case 2:
                return f"{AS_ROOT}, {until_boot}=1"
            case _:
                return "use --backend kernel, as root; this setting holds until the next boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherUsersProcess(Diagnostic):
    code: ClassVar[str] = "E0618"
    pid: int
    user: str

    def title(self) -> str:
        return f"process {self.pid} cannot be traced: it belongs to `{self.user}`"

    def help(self) -> str:
        return AS_ROOT if self.user == "root" else f"run as that user: sudo -u {self.user} probelang ..."


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivilegedProcess(Diagnostic):
    """`rights`: what it may do and its user may not, as in "the rights of `root`"."""

    code: ClassVar[str] = "E0619"
    pid: int
    rights: str

    def title(self) -> str:
        return f"process {self.pid} cannot be traced: it has {self.rights}, which you have not"

    def help(self) -> str:
        return AS_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedProcess(Diagnostic):
    """Not dumpable: prctl(2), PR_SET_DUMPABLE."""

    code: ClassVar[str] = "E0620"
    pid: int

    def title(self) -> str:
        return f"process {self.pid} cannot be traced: it keeps its memory from other programs of its user"

    def help(self) -> str:
        return f"so do programs with secrets, and those whose file you may not read; {AS_ROOT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoProgram(Diagnostic):
    """A kernel thread."""

    code: ClassVar[str] = "E0621"
    pid: int
    name: str

    def title(self) -> str:
        return f"process {self.pid} (`{self.name}`) is a thread of the kernel, not a program"


@dataclass(frozen=True, slots=True, kw_only=True)
class HasEnded(Diagnostic):
    """A zombie."""

    code: ClassVar[str] = "E0622"
    pid: int

    def title(self) -> str:
        return f"process {self.pid} has ended, only its parent has not asked for its exit status yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingItself(Diagnostic):
    code: ClassVar[str] = "E0623"
    pid: int

    def title(self) -> str:
        return f"process {self.pid} is probelang itself, which cannot trace itself"

    def help(self) -> str:
        return "start a second one that names the first with -x, or use --backend kernel, as root"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingForbidden(Diagnostic):
    """Even of a child of ours. `by`: who forbids it, where that is known."""

    code: ClassVar[str] = "E0624"
    by: str
    advice: str

    def title(self) -> str:
        return f"nothing can be traced here: {self.by}"

    def help(self) -> str:
        return self.advice


@dataclass(frozen=True, slots=True, kw_only=True)
class InContainer(Diagnostic):
    code: ClassVar[str] = "E0625"
    pid: int

    def title(self) -> str:
        return f"process {self.pid} cannot be traced: it runs in a container, with namespaces of its own"

    def help(self) -> str:
        return f"run probelang in that container, or {AS_ROOT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRefused(Diagnostic):
    """For a reason that nobody tells."""

    code: ClassVar[str] = "E0626"
    pid: int
    reason: str

    def title(self) -> str:
        return f"process {self.pid} cannot be traced: {self.reason}"

    def help(self) -> str:
        return "`probelang doctor` tells what can be traced here"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLosesRights(Diagnostic):
    """A setuid program and the like, which runs without its rights under a tracer that has not got them."""

    code: ClassVar[str] = "E0627"
    path: str
    rights: str

    def title(self) -> str:
        return f"`{self.path}` begins with {self.rights}, and would run without while you trace it"

    def help(self) -> str:
        return AS_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableCommand(Diagnostic):
    code: ClassVar[str] = "E0628"
    path: str

    def title(self) -> str:
        return f"`{self.path}` cannot be traced: you may run it, but not read it"

    def help(self) -> str:
        return AS_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramWithoutRights(CompileWarning):
    """The same of a program that a traced process executes later on."""

    code: ClassVar[str] = "W0601"
    path: str
    rights: str

    def title(self) -> str:
        return f"`{self.path}` runs without {self.rights}, because it is traced (not so when probelang runs as root)"
