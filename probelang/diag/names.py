"""Mistakes about names: probe points, aliases, functions, libraries (E02xx, W02xx).

UnknownComponent(component="fuction", point='process("/bin/ls").fuction("main")', similar=("function",))
->  error[E0202]: unknown part `fuction` in probe point `...`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, Diagnostic, did_you_mean
from probelang.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownPoint(Diagnostic):
    """Neither a family of probe points nor an alias begins so."""

    code: ClassVar[str] = "E0201"
    point: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"no probe point or alias is called `{self.point}`"

    def label(self) -> str:
        return "unknown"

    def help(self) -> str:
        return did_you_mean(self.similar) or "`probelang list` shows what can be probed"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownComponent(Diagnostic):
    """`before`: the part of the point that is understood; `known`: what may follow it."""

    code: ClassVar[str] = "E0202"
    component: str
    before: str
    similar: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.component}` cannot follow `{self.before}` in a probe point"

    def label(self) -> str:
        return "unknown here"

    def help(self) -> str:
        if self.similar:
            return did_you_mean(self.similar)
        if not self.known:
            return f"nothing can follow `{self.before}`"
        return f"known here: {', '.join(f'`{name}`' for name in self.known)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongArgument(Diagnostic):
    """`expected`: "a number", "a string", "no argument", joined with "or"."""

    code: ClassVar[str] = "E0203"
    component: str
    expected: str

    def title(self) -> str:
        return f"`{self.component}` takes {self.expected} here"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompletePoint(Diagnostic):
    """`known`: what may follow."""

    code: ClassVar[str] = "E0204"
    point: str
    known: tuple[str, ...]

    def title(self) -> str:
        return f"probe point `{self.point}` is not complete"

    def help(self) -> str:
        return f"it can go on with {', '.join(f'`{name}`' for name in self.known)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfInterval(Diagnostic):
    """`interval`: what is legal, in words."""

    code: ClassVar[str] = "E0205"
    component: str
    value: int
    interval: str

    def title(self) -> str:
        return f"`{self.component}({self.value})`: {self.interval}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPoint(Diagnostic):
    code: ClassVar[str] = "E0206"
    family: str

    def title(self) -> str:
        return (
            f"`{self.family}` probes the kernel, which is out of scope: probelang probes user-space programs"
        )

    def help(self) -> str:
        if self.family in ("syscall", "nd_syscall"):
            return "system calls of processes are `process.syscall` and `process.syscall.return`"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedPoint(Diagnostic):
    """A point that is part of the language, but that this version cannot resolve. `needs` is a clause."""

    code: ClassVar[str] = "E0207"
    point: str
    needs: str

    def title(self) -> str:
        return f"probe point `{self.point}` is not supported yet: {self.needs}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasParameter(Diagnostic):
    code: ClassVar[str] = "E0208"
    component: str

    def title(self) -> str:
        return f"alias component `{self.component}` contains an illegal parameter"

    def help(self) -> str:
        return "names of aliases take no arguments"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasCycle(Diagnostic):
    code: ClassVar[str] = "E0209"
    alias: str
    trail: tuple[str, ...]

    def title(self) -> str:
        return f"probe alias `{self.alias}` is defined by itself: {' -> '.join(self.trail)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasEmpty(Diagnostic):
    """An alias of which no point exists, though its points are all optional."""

    code: ClassVar[str] = "E0210"
    alias: str

    def title(self) -> str:
        return f"no match for probe point `{self.alias}`: none of its optional points exists"

    def help(self) -> str:
        return "a `?` behind it lets the script run without it"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoProbes(Diagnostic):
    code: ClassVar[str] = "E0211"

    def title(self) -> str:
        return "no probes found"

    def help(self) -> str:
        return "a script needs at least one probe whose point exists"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownCall(Diagnostic):
    """A function that neither the script, nor a builtin, nor a library defines."""

    code: ClassVar[str] = "E0212"
    name: str
    similar: tuple[str, ...] = ()
    private_in: tuple[Span, str] | None = None

    def title(self) -> str:
        return f"unknown function `{self.name}`"

    def label(self) -> str:
        return "called here"

    def help(self) -> str:
        if self.private_in:
            return f"it is private to `{self.private_in[1]}`"
        return did_you_mean(self.similar)

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.private_in[0], "declared private here"),) if self.private_in else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMatchingPoint(Diagnostic):
    """A wildcard over names of components or aliases that fits none."""

    code: ClassVar[str] = "E0213"
    point: str

    def title(self) -> str:
        return f"no probe point matches `{self.point}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFileUnreadable(Diagnostic):
    code: ClassVar[str] = "E0214"
    path: str
    reason: str

    def title(self) -> str:
        return f"cannot read library file `{self.path}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDropped(CompileWarning):
    code: ClassVar[str] = "W0201"
    point: str

    def title(self) -> str:
        return f"this probe is left out: none of its points exists (`{self.point}`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndirectFunction(CompileWarning):
    """An IFUNC: its symbol is the code that chooses one of several implementations, once."""

    code: ClassVar[str] = "W0202"
    name: str
    path: str
    implementations: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.name}` of `{self.path}` is only chosen here, once per program, not executed"

    def help(self) -> str:
        if not self.implementations:
            return "probe its callers' side with `.plt`, or install the debug symbols of the file"
        return (
            f"to see its calls probe its implementations: {', '.join(f'`{n}`' for n in self.implementations)}"
        )
