"""Mistakes about callers: `caller is X`, `caller in X`, `within X`, `caller()` (E0135 to E0137, E037x).

CodeForm(given="f")   ->   error[E0135]: `caller` is asked about code, ...   help: write `caller is function("f")`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from probelang.diag import Diagnostic, did_you_mean
from probelang.diag.types import TypeDiagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeForm(Diagnostic):
    """`given`: the name that was written, if any. `negated`: by `!=` or `not`."""

    code: ClassVar[str] = "E0135"
    subject: Literal["caller", "within"] = "caller"
    given: str = ""
    negated: bool = False

    def title(self) -> str:
        return f"`{self.subject}` is asked about code, and code is written like a part of a probe point"

    def help(self) -> str:
        words = "caller is" if self.subject == "caller" else "within"
        form = f'{words} function("{self.given or "NAME"}")'
        return f"write `!({form})`" if self.negated else f"write `{form}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCode(Diagnostic):
    """`before`: the part in front of it, empty for the first. `known`: what may stand there."""

    code: ClassVar[str] = "E0136"
    part: str
    before: str
    known: tuple[str, ...]
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        if not self.before:
            return f"`{self.part}` is no code that a caller could be in"
        return f"`{self.part}` cannot follow `{self.before}` here"

    def label(self) -> str:
        return "not here"

    def help(self) -> str:
        if self.similar:
            return did_you_mean(self.similar)
        if not self.known:
            return f"nothing can follow `{self.before}`"
        return "known here: " + ", ".join(f'`{name}("...")`' for name in self.known)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCodeArgument(Diagnostic):
    code: ClassVar[str] = "E0137"
    part: str

    def title(self) -> str:
        return f"`{self.part}` takes a string here"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCaller(TypeDiagnostic):
    """`what`: the expression, `probe`: where it stands; `in_process`: that is about a process."""

    code: ClassVar[str] = "E0370"
    what: str
    probe: str
    in_process: bool

    def title(self) -> str:
        if self.in_process:
            return f"`{self.what}` means nothing in `{self.probe}`: no code of the process is running then"
        return f"`{self.what}` means nothing in `{self.probe}`, which happens in no process"

    def help(self) -> str:
        return "there is a caller in probes of functions, statements, marks and system calls, and in `timer.profile`"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoProbedFile(TypeDiagnostic):
    """Code without a file is that of the file that is probed, and a probe of system calls or a timer has none."""

    code: ClassVar[str] = "E0371"
    what: str
    probe: str

    def title(self) -> str:
        return f"`{self.what}` does not say of which file, and `{self.probe}` probes none"

    def help(self) -> str:
        return f'write `process("PROGRAM").{self.what}` or `library("NAME").{self.what}`'


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchCode(TypeDiagnostic):
    """It is known, but no code of it is left in the file."""

    code: ClassVar[str] = "E0372"
    what: str
    path: str

    def title(self) -> str:
        return f"`{self.path}` has no code of `{self.what}`"
