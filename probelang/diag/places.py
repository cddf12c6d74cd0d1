"""Mistakes about places in source code: files, lines, labels, callees (E042x).

UnknownLine(path="/bin/x", file="x.c", line=12, nearest=(10, 14))
->  error[E0421]: line 12 of `x.c` has no code in `/bin/x`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import Diagnostic, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownSource(Diagnostic):
    code: ClassVar[str] = "E0420"
    path: str
    file: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"no source file of `{self.path}` matches `{self.file}`"

    def label(self) -> str:
        return "no match"

    def help(self) -> str:
        return (
            did_you_mean(self.similar)
            or "a name means the end of a path, from a `/` on; `*` and `?` may stand in it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownLine(Diagnostic):
    """`function`: in which the line was looked for, or empty. `nearest`: lines that have code. `is_point`: a probe point asks."""

    code: ClassVar[str] = "E0421"
    path: str
    file: str
    line: str
    function: str = ""
    nearest: tuple[int, ...] = ()
    is_point: bool = True

    def title(self) -> str:
        where = f" in `{self.function}`" if self.function else ""
        return f"line {self.line} of `{self.file}` has no code{where} in `{self.path}`"

    def label(self) -> str:
        return "no code"

    def help(self) -> str:
        if not self.nearest:
            return "the compiler may have optimised it out"
        lines = " and ".join(str(n) for n in self.nearest)
        found = f"the nearest with code: {lines}"
        return f"{found}; `.nearest` behind the statement takes what is nearest" if self.is_point else found


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchLabel(Diagnostic):
    """`gone`: it is in the source, but no code begins there."""

    code: ClassVar[str] = "E0422"
    path: str
    function: str
    name: str
    gone: bool = False
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        if self.gone:
            return f"label `{self.name}` of `{self.function}` in `{self.path}` was optimised out"
        return f"no label `{self.name}` in `{self.function}` of `{self.path}`"

    def label(self) -> str:
        return "no match"

    def help(self) -> str:
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchCallee(Diagnostic):
    code: ClassVar[str] = "E0423"
    path: str
    function: str
    name: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.function}` of `{self.path}` calls no function `{self.name}` of the same file"

    def label(self) -> str:
        return "no match"

    def help(self) -> str:
        return (
            did_you_mean(self.similar)
            or "calls through pointers and calls into other files are not known before the program runs"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPlace(Diagnostic):
    code: ClassVar[str] = "E0424"
    place: str

    def title(self) -> str:
        return f"`{self.place}` is no place in source code"

    def help(self) -> str:
        return "write `function`, `function@file.c`, or with lines `@file.c:12`, `:12-20,30`, `:+5`, `:*`"
