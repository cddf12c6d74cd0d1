"""Mistakes in what the command line names: scripts, commands, processes, saved objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import Diagnostic, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableScript(Diagnostic):
    code: ClassVar[str] = "E0190"
    path: str
    reason: str

    def title(self) -> str:
        return f"cannot read the script `{self.path}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAScript(Diagnostic):
    """A file with NUL bytes: something else than text."""

    code: ClassVar[str] = "E0191"
    path: str

    def title(self) -> str:
        return f"`{self.path}` is not a script but a binary file"

    def help(self) -> str:
        return 'programs are named in the script, as in `process("/bin/prog")`, or run with -c'


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedTooDeeply(Diagnostic):
    code: ClassVar[str] = "E0192"
    path: str

    def title(self) -> str:
        return f"`{self.path}` is nested too deeply for the compiler"

    def help(self) -> str:
        return "give parts of the deepest expression or block names of their own (variables, functions)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnObject(Diagnostic):
    code: ClassVar[str] = "E0193"
    path: str
    reason: str

    def title(self) -> str:
        return f"`{self.path}` is not an object of `probelang build`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandNotFound(Diagnostic):
    code: ClassVar[str] = "E0490"
    name: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"there is no program `{self.name}` to run with -c"

    def help(self) -> str:
        return did_you_mean(self.similar) or "give its path, or a name that is found in $PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnwritableFile(Diagnostic):
    code: ClassVar[str] = "E0492"
    path: str
    reason: str

    def title(self) -> str:
        return f"cannot write `{self.path}`: {self.reason}"
