"""Mistakes about the probed program's own variables and types (E034x, E035x).

UnknownVariable(name="$lisst", function="insert", similar=("list",))
->  error[E0340]: `insert` has no variable `$lisst` here
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import did_you_mean
from probelang.diag.types import TypeDiagnostic

_MOST_SHOWN = 12


def listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_MOST_SHOWN])
    return f"{shown} and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownVariable(TypeDiagnostic):
    """`available`: what there is at this place."""

    code: ClassVar[str] = "E0340"
    name: str
    function: str
    similar: tuple[str, ...] = ()
    available: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.function}` has no variable `{self.name}` here"

    def label(self) -> str:
        return "unknown here"

    def help(self) -> str:
        near = did_you_mean(self.similar)
        if not self.available:
            return near
        return f"{near}{'; ' if near else ''}here there are {listed(self.available)}"


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
    code: ClassVar[str] = "E0344"
    name: str
    path: str

    def title(self) -> str:
        return f"no type `{self.name}` in `{self.path}`"

    def label(self) -> str:
        return "unknown type"

    def help(self) -> str:
        return 'a third argument of `@cast` names another file: `@cast(p, "struct s", "/usr/lib/libx.so")`'


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsReturnProbe(TypeDiagnostic):
    code: ClassVar[str] = "E0345"
    what: str

    def title(self) -> str:
        return f"`{self.what}` is only there in return probes"

    def help(self) -> str:
        return "write `.return` behind the function, or take the variable itself"


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
