"""Mistakes about the probed program's own variables and types (E034x, E035x).

UnknownVariable(name="$lisst", function="insert", similar=("list",))
->  error[E0340]: `insert` has no variable `$lisst` here
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, did_you_mean
from probelang.diag.types import TypeDiagnostic

_MOST_SHOWN = 12


def listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_MOST_SHOWN])
    return f"{shown} and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownVariable(TypeDiagnostic):
    """`available`: what there is at this place. `place`: what `function` is, where that is no function."""

    code: ClassVar[str] = "E0340"
    name: str
    function: str
    similar: tuple[str, ...] = ()
    available: tuple[str, ...] = ()
    place: str = ""

    def title(self) -> str:
        return f"{self.place}{' ' if self.place else ''}`{self.function}` has no variable `{self.name}` here"

    def label(self) -> str:
        return "unknown here"

    def help(self) -> str:
        near = did_you_mean(self.similar)
        if not self.available:
            return near
        verb = "is" if len(self.available) == 1 else "are"
        return f"{near}{' ' if near else ''}here there {verb} {listed(self.available)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableUnavailable(TypeDiagnostic):
    """`reason`: a clause. `nearest`: a probe point where it can be read."""

    code: ClassVar[str] = "E0341"
    name: str
    reason: str
    nearest: str = ""

    def title(self) -> str:
        return f"`{self.name}` cannot be read here: {self.reason}"

    def label(self) -> str:
        return "not available"

    def help(self) -> str:
        if self.nearest:
            return f"it can be read at `{self.nearest}`"
        return "`@defined(..)` asks whether it can be read; `--skip-badvars` takes 0 instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMember(TypeDiagnostic):
    code: ClassVar[str] = "E0342"
    name: str
    type: str
    similar: tuple[str, ...] = ()
    available: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.type}` has no member `{self.name}`"

    def label(self) -> str:
        return "unknown"

    def help(self) -> str:
        near = did_you_mean(self.similar)
        return near or (f"it has {listed(self.available)}" if self.available else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFollowable(TypeDiagnostic):
    """`reason`: a sentence."""

    code: ClassVar[str] = "E0343"
    what: str
    reason: str

    def title(self) -> str:
        return f"`{self.what}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownType(TypeDiagnostic):
    """`path`: empty where no file is probed."""

    code: ClassVar[str] = "E0344"
    name: str
    path: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        if not self.path:
            return f"the type `{self.name}` is looked for in the probed file, and here there is none"
        return f"no type `{self.name}` in `{self.path}`"

    def label(self) -> str:
        return "unknown type"

    def help(self) -> str:
        return did_you_mean(self.similar) or (
            'a third argument of `@cast` names another file or header: `@cast(p, "struct s", "/usr/lib/libx.so")`'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsReturnProbe(TypeDiagnostic):
    code: ClassVar[str] = "E0345"
    what: str

    def title(self) -> str:
        return f"`{self.what}` is only there in return probes"

    def help(self) -> str:
        start = "write `.return` behind the function"
        return start if self.what == "@elapsed" else f"{start}, or take the variable itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoResult(TypeDiagnostic):
    code: ClassVar[str] = "E0346"
    function: str

    def title(self) -> str:
        return f"`{self.function}` returns nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class UntypedValue(TypeDiagnostic):
    """A value without a C type is followed."""

    code: ClassVar[str] = "E0347"
    name: str

    def title(self) -> str:
        return f"the type of what `{self.name}` points to is not known"

    def help(self) -> str:
        return f'say it: `@cast({self.name}, "struct ...")`'


@dataclass(frozen=True, slots=True, kw_only=True)
class BadTargetOperator(TypeDiagnostic):
    """`reason`: what it takes."""

    code: ClassVar[str] = "E0348"
    what: str
    reason: str

    def title(self) -> str:
        return f"`{self.what}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptInFunction(TypeDiagnostic):
    """What a return probe keeps from the entry, asked for in a function of the script."""

    code: ClassVar[str] = "E0373"
    what: str

    def title(self) -> str:
        return f"a function that a return probe calls does not know `{self.what}`, which is kept from the entry for the probe"

    def help(self) -> str:
        return "give it to the function as an argument"


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateValue(TypeDiagnostic):
    code: ClassVar[str] = "E0350"
    type: str

    def title(self) -> str:
        return f"`{self.type}` as a whole is not a value"

    def label(self) -> str:
        return "a struct, class or union"

    def help(self) -> str:
        return "name a member, take its address with `&`, or write `$` behind it to print it"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooWide(TypeDiagnostic):
    """`parts`: what `[0]` and `[1]` are."""

    code: ClassVar[str] = "E0351"
    type: str
    parts: tuple[str, str]

    def title(self) -> str:
        return f"`{self.type}` does not fit into the 64 bits of a value"

    def help(self) -> str:
        return f"`[0]` behind it is its {self.parts[0]}, `[1]` its {self.parts[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAddress(TypeDiagnostic):
    """`where`: "in a register"."""

    code: ClassVar[str] = "E0352"
    where: str

    def title(self) -> str:
        return f"this has no address: it is {self.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UntypedPointer(TypeDiagnostic):
    code: ClassVar[str] = "E0353"
    type: str

    def title(self) -> str:
        return f"what `{self.type}` points to has no type"

    def help(self) -> str:
        return 'say which: `@cast(.., "struct s")` around it'


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDescribed(TypeDiagnostic):
    """The file has debug information, but none of this place."""

    code: ClassVar[str] = "E0349"
    function: str
    path: str

    def title(self) -> str:
        return f"the debug information of `{self.path}` does not describe `{self.function}`"

    def help(self) -> str:
        return "its source was compiled without `-g`; arguments by position: `int_arg(1)`, `pointer_arg(1)`"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownGlobal(TypeDiagnostic):
    code: ClassVar[str] = "E0354"
    name: str
    path: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.path}` has no global variable `{self.name}`"

    def help(self) -> str:
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEnumerator(TypeDiagnostic):
    code: ClassVar[str] = "E0355"
    name: str
    path: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        where = f" in `{self.path}`" if self.path else ""
        return f"no enum{where} has a constant `{self.name}`"

    def help(self) -> str:
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotChangeable(TypeDiagnostic):
    """`reason`: a clause, "it is in several places"."""

    code: ClassVar[str] = "E0359"
    reason: str

    def title(self) -> str:
        return f"this cannot be changed: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatMisused(TypeDiagnostic):
    """A floating point value where a whole number is needed."""

    code: ClassVar[str] = "E0356"
    what: str

    def title(self) -> str:
        return f"`{self.what}` is a floating point number"

    def label(self) -> str:
        return "a whole number is needed here"

    def help(self) -> str:
        return f"print it with `%f`, compare it, or convert it: `long({self.what})`"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderUnusable(TypeDiagnostic):
    """`reason`: the compiler's, or ours."""

    code: ClassVar[str] = "E0357"
    header: str
    reason: str

    def title(self) -> str:
        return f"the header `{self.header}` cannot be compiled: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCompiler(TypeDiagnostic):
    """`language`: "C", "C++"."""

    code: ClassVar[str] = "E0358"
    header: str
    language: str

    def title(self) -> str:
        return f"types of the header `{self.header}` need a compiler of {self.language}, and there is none"

    def help(self) -> str:
        package = "g++" if self.language == "C++" else "gcc"
        return f"install the package `{package}` or `clang`, or name a file with debug information instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesNotDescribed(CompileWarning):
    """Of the places of a pattern: those whose variables cannot be known."""

    code: ClassVar[str] = "W0340"
    count: int
    examples: tuple[str, ...]

    def title(self) -> str:
        noun = "place is" if self.count == 1 else "places are"
        return f"{self.count} {noun} left out: debug information does not describe them ({listed(self.examples)})"
