"""Mistakes about targets: files, processes, symbols and the places where a probe may stand (E04xx, W04xx).

They are raised without a span by `probelang.dwarf`, which knows no script; `probelang.resolve` puts the span in.

    NotElf(path="/etc/passwd")  ->  error[E0402]: `/etc/passwd` is not an ELF file
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, Diagnostic, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUnreadable(Diagnostic):
    """`reason` is the system's word: no such file, permission denied."""

    code: ClassVar[str] = "E0401"
    path: str
    reason: str

    def title(self) -> str:
        return f"cannot read `{self.path}`: {self.reason}"

    def label(self) -> str:
        return "this file"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotElf(Diagnostic):
    code: ClassVar[str] = "E0402"
    path: str

    def title(self) -> str:
        return f"`{self.path}` is not an ELF file"

    def help(self) -> str:
        return "name a program, a shared library, or a script that starts with `#!`"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongArchitecture(Diagnostic):
    code: ClassVar[str] = "E0403"
    path: str
    found: str
    expected: str = "64-bit x86-64"

    def title(self) -> str:
        return f"`{self.path}` is {self.found}, but probes can be set in {self.expected} files only"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptFile(Diagnostic):
    """`part`: the section or table that cannot be read."""

    code: ClassVar[str] = "E0404"
    path: str
    part: str
    reason: str

    def title(self) -> str:
        return f"`{self.path}` is damaged: {self.part} {self.reason}"

    def help(self) -> str:
        return "the file may be truncated; compare it with the one of its package"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProbeable(Diagnostic):
    """An ELF file whose code is never mapped as it stands: object files, core dumps, debug files."""

    code: ClassVar[str] = "E0405"
    path: str
    kind: str

    def title(self) -> str:
        return f"`{self.path}` is {self.kind}, which no process runs"

    def help(self) -> str:
        return "name the program or shared library that is made from it"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchProgram(Diagnostic):
    """`here`: a file of that name lies in the current folder."""

    code: ClassVar[str] = "E0406"
    name: str
    here: bool = False
    pattern: bool = False

    def title(self) -> str:
        if self.pattern:
            return f"no program or library matches `{self.name}`"
        if "/" in self.name:
            return f"no such file: `{self.name}`"
        return f"cannot find `{self.name}` in PATH or among the shared libraries"

    def help(self) -> str:
        return f"write `./{self.name}` for the file in the current folder" if self.here else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchProcess(Diagnostic):
    code: ClassVar[str] = "E0407"
    pid: int
    reason: str = ""

    def title(self) -> str:
        if self.reason:
            return f"cannot look into process {self.pid}: {self.reason}"
        return f"no process has the number {self.pid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCommand(Diagnostic):
    code: ClassVar[str] = "E0408"

    def title(self) -> str:
        return "`process` without a program stands for the command of -c or the process of -x, and neither is given"

    def help(self) -> str:
        return 'name the program, `process("PATH")`, or run with -c COMMAND or -x PID'


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchLibrary(Diagnostic):
    """`loaded`: names of the libraries that the program does load."""

    code: ClassVar[str] = "E0409"
    name: str
    executable: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"cannot find library `{self.name}`" + (f" of `{self.executable}`" if self.executable else "")

    def help(self) -> str:
        return did_you_mean(self.similar) or "give its full path, if the program loads it while it runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchFunction(Diagnostic):
    """`what` is "function", "exported function" or "PLT entry". `stripped`: the file has no symbol table but its
    dynamic one."""

    code: ClassVar[str] = "E0410"
    name: str
    path: str
    what: str = "function"
    similar: tuple[str, ...] = ()
    stripped: bool = False

    def title(self) -> str:
        near = f" (similar functions: {', '.join(self.similar)})" if self.similar else ""
        return f"no match for {self.what} `{self.name}` in `{self.path}`{near}"

    def label(self) -> str:
        return "no match"

    def help(self) -> str:
        if self.similar:
            return did_you_mean(self.similar)
        if self.stripped:
            return f"`{self.path}` is stripped: only the functions it exports have names; install its debug symbols"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsafeSite(Diagnostic):
    """A place where a probe would harm the program, or never be hit. `reason` is a clause."""

    code: ClassVar[str] = "E0411"
    name: str
    path: str
    reason: str

    def title(self) -> str:
        return f"no probe can be set on `{self.name}` of `{self.path}`: {self.reason}"

    def help(self) -> str:
        return "probe one of the functions that call it, or that it calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFunctionAtAddress(Diagnostic):
    code: ClassVar[str] = "E0412"
    address: int
    path: str

    def title(self) -> str:
        return f"no function of `{self.path}` contains address {self.address:#x}"

    def help(self) -> str:
        return "addresses are those of the file (`nm`, `objdump -d`), not those of a running process"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDebugInfo(Diagnostic):
    """`advice`: what would bring it."""

    code: ClassVar[str] = "E0413"
    path: str
    build_id: str = ""
    advice: str = ""

    def title(self) -> str:
        return f"`{self.path}` has no debug information, from which variables, types and lines come"

    def label(self) -> str:
        return "read here"

    def help(self) -> str:
        without = "without it there are `int_arg(n)`, `pointer_arg(n)`, `register(name)`, and probes on functions and PLT entries"
        return f"{self.advice}; {without}" if self.advice else without


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMapped(Diagnostic):
    code: ClassVar[str] = "E0415"
    address: int
    pid: int

    def title(self) -> str:
        return f"no file is mapped as code at {self.address:#x} in process {self.pid}"

    def help(self) -> str:
        return f"`/proc/{self.pid}/maps` says what is; code that a program makes itself cannot be probed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingDebugFile(Diagnostic):
    """`part`: the file that `path` refers to, which holds some of the debug information."""

    code: ClassVar[str] = "E0414"
    path: str
    part: str

    def title(self) -> str:
        return f"some of the debug information of `{self.path}` is in `{self.part}`, which is not here"

    def help(self) -> str:
        if self.part.endswith(".dwo"):
            return "put it where the compiler wrote it, or beside the program; or pack all of them with `dwp -e PROGRAM -o PROGRAM.dwp`"
        return "install it with the debug file that refers to it; both come from the same package"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedSites(CompileWarning):
    """Functions of a wildcard on which no probe can stand, counted by reason."""

    code: ClassVar[str] = "W0401"
    path: str
    reasons: tuple[tuple[str, int, str], ...]  # reason, how many, an example

    def title(self) -> str:
        count = sum(n for _, n, _ in self.reasons)
        return (
            f"{count} function{'s' if count != 1 else ''} of `{self.path}` left out: no probe can stand there"
        )

    def help(self) -> str:
        return "; ".join(f"{reason}: {count} (as `{example}`)" for reason, count, example in self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionsPass(CompileWarning):
    """Hooked returns of functions that exceptions may leave: PLT slots; `function`, which calls what programs give it. The unwinder
    finds the kernel's return trampoline in place of the return address and gives up: std::terminate."""

    code: ClassVar[str] = "W0402"
    path: str
    function: str = ""

    def title(self) -> str:
        if self.function:
            return f"an exception that leaves `{self.function}` of `{self.path}`, out of what it calls through a pointer, ends the program"
        return f"an exception that leaves a return-probed function of `{self.path}` ends the program"

    def help(self) -> str:
        if self.function:
            return 'where C++ programs pass such functions, probe it in one program, `process("PROGRAM").library("LIBRARY")`'
        return "probe the entries, or returns of functions through which no exception passes"
