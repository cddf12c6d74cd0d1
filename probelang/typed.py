"""The typed program: what checking yields and what layout and the property tests take.

Everything is a number into the tuples of `Program` (see `probelang.artifact.code`). Unused functions and variables are
gone; each probe holds one point (all sites of one file) and one handler.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.artifact.code import Automaton, Function, Handler, Place, Variable
from probelang.artifact.codesets import CodeSet
from probelang.artifact.points import Point
from probelang.source import Span


@dataclass(frozen=True, slots=True)
class Probe:
    """`name` is the probe point as written (alias level), what pn() shows; `span` the probe's declaration. `before`: of a return
    probe whose program runs at the entry of the function too (a session): what it does there. Only where that comes to its end
    the return is a hit, of which `handler` is the code."""

    name: str
    point: Point
    handler: Handler
    span: Span
    before: Handler | None = None

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """All code, in the order in which it runs."""
        return (self.handler,) if self.before is None else (self.before, self.handler)


@dataclass(frozen=True, slots=True)
class Program:
    """`spans[i]` is where `places[i]` stands, for diagnostics of later phases. `code_sets`: what `code_in` and `within_code` name by number."""

    variables: tuple[Variable, ...]
    functions: tuple[Function, ...]
    probes: tuple[Probe, ...]
    automata: tuple[Automaton, ...]
    places: tuple[Place, ...]
    spans: tuple[Span, ...]
    code_sets: tuple[CodeSet, ...] = ()
