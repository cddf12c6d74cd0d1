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


@dataclass(frozen=True, slots=True, kw_only=True)
class NoStackArray(Diagnostic):
    code: ClassVar[str] = "E0493"
    option: str

    def title(self) -> str:
        return f"{self.option}: the script counts nothing by stacks"

    def help(self) -> str:
        return 'key an array by the stack, as in `global calls; probe process.function("f") { calls[ubacktrace()] <<< 1 }`'


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAStackArray(Diagnostic):
    code: ClassVar[str] = "E0494"
    name: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"--stacks-of: `{self.name}` is no array of numbers or aggregates that is keyed by stacks"

    def help(self) -> str:
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSums(Diagnostic):
    """Of a saved object: otherwise they are kept when they are asked for."""

    code: ClassVar[str] = "E0495"
    name: str

    def title(self) -> str:
        return f"--weight sum: the object keeps no sums of `{self.name}`"

    def help(self) -> str:
        return f"run the script itself, or build it again with `@sum({self.name}[...])` in it"
