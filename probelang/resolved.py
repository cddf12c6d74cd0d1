"""The resolved program: every name's file known, every alias unfolded, every probe point a set of concrete sites.

    probe al.return { hit++ }      with   probe al = process("/bin/x").function("f*") { k = 1 }
    -> Probe(name="al.return", point=FunctionPoint(sites=(f1, f2), is_return=True),
             parts=(Part("lib.stp", prologue), Part("user.probe", body)))

Expressions are still syntax; what is a local and what type anything has is decided by `probelang.check`.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang import syntax
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
class Probe:
    """`name`: the probe point as the user wrote it. `parts`: prologues (outermost alias first), body, epilogues; they
    share locals. `armed` conditions are joined with &&, `when` likewise. One probe per point and binary."""

    name: str
    point: Point
    parts: tuple[Part, ...]
    armed: tuple[Condition, ...]
    when: tuple[Condition, ...]
    span: Span


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
