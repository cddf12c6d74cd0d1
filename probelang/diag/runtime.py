"""What can go wrong on the machine, when a compiled script is loaded and runs (E06xx)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPermitted(Diagnostic):
    code: ClassVar[str] = "E0601"
    action: str

    def title(self) -> str:
        return f"no permission to {self.action}"

    def help(self) -> str:
        return (
            "run as root, or give the user the capabilities CAP_BPF and CAP_PERFMON, or use --backend ptrace; "
            "`probelang doctor` tells more"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRefusedByKernel(Diagnostic):
    """The verifier found fault with code that we made: a bug of ours, never the user's."""

    code: ClassVar[str] = "E0602"
    program: str
    log: str
    probe: str = ""
    place: str = ""

    def title(self) -> str:
        what = f"`{self.probe}`" if self.probe else f"program `{self.program}`"
        at = f" ({self.place})" if self.place else ""
        return f"the kernel refused the code of {what}{at}: this is a bug in probelang, please report it"

    def help(self) -> str:
        lines = [line for line in self.log.splitlines() if line and not line.startswith("processed ")]
        return "the kernel's verifier said: " + " / ".join(lines[-3:])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(Diagnostic):
    code: ClassVar[str] = "E0603"
    action: str
    reason: str

    def title(self) -> str:
        return f"cannot {self.action}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFactMissing(Diagnostic):
    code: ClassVar[str] = "E0604"
    fact: str

    def title(self) -> str:
        kind, _, name = self.fact.partition(":")
        if not name:
            kind, name = "btf", self.fact
        what = "function" if kind == "func" else "structure member"
        return f"this kernel has no {what} `{name}`"

    def help(self) -> str:
        return (
            "probelang needs kernel type information (CONFIG_DEBUG_INFO_BTF); `probelang doctor` tells more"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMissing(Diagnostic):
    code: ClassVar[str] = "E0605"
    feature: str
    first_kernel: str
    forced: bool = False

    def title(self) -> str:
        if self.forced:
            return f"this script needs the feature `{self.feature}`, which --without took away"
        return f"this script needs the kernel feature `{self.feature}`, which this kernel does not have"

    def help(self) -> str:
        return f"Linux has it since {self.first_kernel}" if self.first_kernel else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedFileMissing(Diagnostic):
    code: ClassVar[str] = "E0606"
    path: str

    def title(self) -> str:
        return f"the probed file `{self.path}` does not exist"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedFileChanged(Diagnostic):
    code: ClassVar[str] = "E0607"
    path: str

    def title(self) -> str:
        return f"the file `{self.path}` is not the one that the script was compiled for"

    def help(self) -> str:
        return "its build id differs: build the script again on this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachFailed(Diagnostic):
    code: ClassVar[str] = "E0608"
    probe: str
    reason: str

    def title(self) -> str:
        return f"cannot set the probe `{self.probe}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyProbes(Diagnostic):
    code: ClassVar[str] = "E0609"
    probe: str
    count: int

    def title(self) -> str:
        return f"the probe `{self.probe}` has {self.count} sites, more than the system allows"

    def help(self) -> str:
        return "choose fewer functions, or raise the limit of open files (`ulimit -n`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchProcess(Diagnostic):
    code: ClassVar[str] = "E0610"
    pid: int

    def title(self) -> str:
        return f"there is no process {self.pid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed(Diagnostic):
    code: ClassVar[str] = "E0611"
    command: str
    reason: str

    def title(self) -> str:
        return f"cannot run the command `{self.command}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFailed(Diagnostic):
    code: ClassVar[str] = "E0614"
    reason: str

    def title(self) -> str:
        return f"cannot write the output: {self.reason}"
