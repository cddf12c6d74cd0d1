"""What a process probe cannot do because it runs in the kernel, and only lowering finds out (E05xx)."""

from __future__ import annotations

from dataclasses import dataclass

from probelang.diag import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedForeach(Diagnostic):
    code = "E0501"
    variable: str

    def title(self) -> str:
        return f"a process probe cannot sort `{self.variable}`"

    def label(self) -> str:
        return "sorted here"

    def help(self) -> str:
        return "move the loop to a timer or end probe, where arrays can be sorted; unsorted loops work everywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsTooDeep(Diagnostic):
    code = "E0502"

    def title(self) -> str:
        return "calls and foreach loops nest too deep for the kernel"

    def help(self) -> str:
        return "a process probe can nest about five foreach loops and functions with loops; move work to a timer or end probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramAsText(Diagnostic):
    code = "E0503"

    def title(self) -> str:
        return "a process probe can print a histogram but not turn it into a string"

    def help(self) -> str:
        return "use `print` here, or build the string in a timer or end probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolAsText(Diagnostic):
    code = "E0504"
    name: str

    def title(self) -> str:
        return f"in a process probe `{self.name}` can only be printed"

    def help(self) -> str:
        return "keep the address in a variable and name it in a timer or end probe, or print it here"


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
        return f"Linux {self.kernel} or newer has it; on this kernel move the code to a timer or end probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLarge(Diagnostic):
    code = "E0506"
    what: str

    def title(self) -> str:
        return f"{self.what} is too large for a process probe"

    def help(self) -> str:
        return "make it smaller, use a smaller string size (-S), or move it to a timer or end probe"
