"""What a process probe cannot do because it runs in the kernel, beyond what the types say (E05xx)."""

from __future__ import annotations

from dataclasses import dataclass

from probelang.diag import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsTooDeep(Diagnostic):
    code = "E0502"

    def title(self) -> str:
        return "calls and foreach loops nest too deep for the kernel"

    def help(self) -> str:
        return "a process probe can nest about five foreach loops and functions with loops; move work to a timer or end probe, or use --backend ptrace"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramAsText(Diagnostic):
    code = "E0503"

    def title(self) -> str:
        return "a process probe can print a histogram but not turn it into a string"

    def help(self) -> str:
        return "use `print` here, or build the string in a timer or end probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatAsText(Diagnostic):
    """`conversion`: `f`."""

    code = "E0506"
    conversion: str

    def title(self) -> str:
        return f"in a process probe `%{self.conversion}` works in `printf` only, not in a string"

    def help(self) -> str:
        return "print it here, take `double_text(..)`, or use --backend ptrace"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRefused(Diagnostic):
    """`feature`: its name in `probelang doctor`; `what`: "memory"; `where`: the kernels that have it."""

    code = "E0507"
    feature: str
    what: str
    where: str

    def title(self) -> str:
        return f"changing {self.what} of the program from the kernel needs the feature `{self.feature}`, which this kernel refuses"

    def help(self) -> str:
        return f"{self.where}; --backend ptrace needs nothing of the kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOutOfReach(Diagnostic):
    code = "E0508"
    register: str

    def title(self) -> str:
        return f"a program in the kernel cannot change the register `{self.register}` here"

    def help(self) -> str:
        return "it can in the body of a probe of code, outside of foreach and of functions with loops; or use --backend ptrace"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTooOld(Diagnostic):
    """`feature`: its name in `probelang doctor`; `kernel`: the first that has it."""

    code = "E0505"
    feature: str
    kernel: str
    what: str

    def title(self) -> str:
        return f"{self.what} in a process probe needs the kernel feature `{self.feature}`"

    def help(self) -> str:
        return f"Linux {self.kernel} or newer has it; move the code to a timer or end probe, or use --backend ptrace"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLookedInto(Diagnostic):
    """`name`: of the builtin whose value is looked into; `by`: what does it, `strlen`, `==`. (E0504 was a name that is not printed.)"""

    code = "E0512"
    name: str
    by: str

    def title(self) -> str:
        return (
            f"in a process probe the text of `{self.name}` is not known yet: `{self.by}` cannot look into it"
        )

    def help(self) -> str:
        if self.name == "caller":
            return 'ask `caller is function("..")`, keep or print the name, or look into it in a timer or end probe'
        return "keep or print it here, and look into it in a timer or end probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class StringsTooShort(Diagnostic):
    """`least`: of -S."""

    code = "E0513"
    least: int

    def title(self) -> str:
        return f"stacks and names of functions need strings of at least {self.least} bytes"

    def help(self) -> str:
        return f"use -S {self.least} or more"
