"""The resolved program: every name's file known, every alias unfolded, every probe point a set of concrete sites.

    probe al.return { hit++ }      with   probe al = process("/bin/x").function("f*") { k = 1 }
    -> Probe(name="al.return", point=FunctionPoint(sites=(f1, f2), is_return=True),
             parts=(Part("lib.stp", prologue), Part("user.probe", body)))

Expressions are still syntax; what is a local and what type anything has is decided by `probelang.check`.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang import syntax
from probelang.artifact.codesets import CodeSet
from probelang.artifact.points import Point
from probelang.source import Span


@dataclass(frozen=True, slots=True)
class Part:
    """Code and the file whose private names it sees."""

    file: str
    code: syntax.Block


@dataclass(frozen=True, slots=True)
class Condition:
    file: str
    expression: syntax.Expression


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of sys/sdt.h. `arguments`: as its note has them, `-4@%eax`, `8@8(%rsp)`."""

    provider: str
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """How a function is called. `returns`: addresses in the image one of which it returns to. `outer`: calls one of which its caller
    was made by, then one of which that one's was, and so on."""

    returns: tuple[int, ...]
    outer: tuple[CodeSet, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteDetail:
    """What the compiler must know of a site besides. `instance`: the entry of the debug information (its offset in .debug_info) that the
    site belongs to, a function or an inlined copy of one; None: the innermost that has the address. `is_entry`: whether it is where that
    begins. `callers`: the ways in which the function must have been called, empty: any."""

    instance: int | None = None
    is_entry: bool = True
    mark: Mark | None = None
    callers: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Whose code `function("f")` and `library("L")` of a predicate mean at a probe. `path`: the probed file; `program`: the executable of
    the processes that are probed, and `pid`: the only one of them, where these are known. `probe`: its name."""

    probe: str = ""
    path: str | None = None
    program: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """`details`: one for each site of a FunctionPoint. `name`: the probe point as the user wrote it. `parts`: prologues (outermost alias first), body, epilogues; they
    share locals. `armed` conditions are joined with &&, `when` likewise. One probe per point and binary."""

    name: str
    point: Point
    parts: tuple[Part, ...]
    armed: tuple[Condition, ...]
    when: tuple[Condition, ...]
    span: Span
    details: tuple[SiteDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class Global:
    """`file`: where it is declared, which is who sees it when private. `library`: of the standard library or -I."""

    declaration: syntax.GlobalVariable
    file: str
    library: bool


@dataclass(frozen=True, slots=True)
class Function:
    declaration: syntax.Function
    file: str
    library: bool


@dataclass(frozen=True, slots=True)
class Program:
    """`overrides`: -G values by global name, still text. Globals and functions of every file that was pulled in."""

    globals: tuple[Global, ...]
    functions: tuple[Function, ...]
    probes: tuple[Probe, ...]
