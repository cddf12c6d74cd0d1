"""Mistakes about marks (E044x, W044x): raised without a span by `probelang.resolve`.

NoSuchMark(name="query__strat", path="/usr/lib/postgresql/15/bin/postgres", similar=("query__start",))
->  error[E0440]: `/usr/lib/postgresql/15/bin/postgres` has no mark `query__strat`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, Diagnostic, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchMark(Diagnostic):
    """`provider` empty: of any. `providers`: those that the file has."""

    code: ClassVar[str] = "E0440"
    name: str
    path: str
    provider: str = ""
    similar: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def title(self) -> str:
        of = f" of provider `{self.provider}`" if self.provider else ""
        return f"`{self.path}` has no mark `{self.name}`{of}"

    def label(self) -> str:
        return "no match"

    def help(self) -> str:
        if self.similar:
            return did_you_mean(self.similar)
        return f"its marks are of {', '.join(f'`{p}`' for p in self.providers)}" if self.providers else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMarks(Diagnostic):
    code: ClassVar[str] = "E0441"
    path: str

    def title(self) -> str:
        return f"`{self.path}` has no marks"

    def help(self) -> str:
        return "marks are compiled into a program by the macros of sys/sdt.h; often they lie in one of its libraries"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsafeMark(Diagnostic):
    """`reason` is a clause."""

    code: ClassVar[str] = "E0442"
    name: str
    path: str
    reason: str

    def title(self) -> str:
        return f"no probe can be set on the mark `{self.name}` of `{self.path}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedMarks(CompileWarning):
    code: ClassVar[str] = "W0440"
    path: str
    reasons: tuple[tuple[str, int, str], ...]  # reason, how many, an example

    def title(self) -> str:
        count = sum(n for _, n, _ in self.reasons)
        return f"{count} mark{'s' if count != 1 else ''} of `{self.path}` left out: no probe can stand there"

    def help(self) -> str:
        return "; ".join(f"{reason}: {count} (as `{example}`)" for reason, count, example in self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableSemaphore(CompileWarning):
    """The counter is memory that no part of the file is mapped to, so the kernel cannot find it."""

    code: ClassVar[str] = "W0441"
    path: str
    names: tuple[str, ...]

    def title(self) -> str:
        count = len(self.names)
        which = f"{count} marks" if count > 1 else f"the mark `{self.names[0]}`"
        return f"`{self.path}` may pass over {which}: the counter that says whether anyone probes it cannot be raised"

    def help(self) -> str:
        return "compile the program with the counter in section `.probes`, as `dtrace -G` does"
