"""One probe for each place, where its code names variables of the probed program: these are elsewhere at every place.

    probe process("x").function("f*") { println($n) }   with f1 and f2   ->  two probes, of one site each

Probes whose code comes out the same are joined again after lowering (`join`). Functions that use `$names` are copied for each place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from probelang import resolved, syntax, typed
from probelang.artifact.points import FunctionPoint, Point, Site
from probelang.check.scope import Scope
from probelang.check.walk import Code, everything

_OPERATORS = frozenset(("var", "cast", "entry", "enum", "enumname", "defined"))


def names_target(node: Code) -> bool:
    """Whether code uses variables or types of the probed program itself."""
    for inner in everything(node):
        match inner:
            case syntax.TargetVariable() | syntax.Member() | syntax.Pretty() | syntax.AddressOf():
                return True
            case syntax.AtOperator(name=name) if name in _OPERATORS:
                return True
            case _:
                pass
    return False


def names_variables(probe: resolved.Probe) -> bool:
    """Whether a probe's own code uses `$names`."""
    code: list[Code] = [*(c.expression for c in probe.when), *(part.code for part in probe.parts)]
    return any(isinstance(node, syntax.TargetVariable) for c in code for node in everything(c))


def has_floats(node: Code) -> bool:
    """Whether code has floating point numbers of its own."""
    return any(isinstance(inner, syntax.Float) for inner in everything(node))


def mark_templates(scope: Scope) -> None:
    """Sets `is_template` of functions that name variables of the probed program, and of all that call them."""
    names: set[str] = set()
    waiting = list(scope.functions)
    found = True
    while found:
        found = False
        for function in list(waiting):
            body = function.declared.declaration.body
            if names_target(body) or (names and not names.isdisjoint(_calls(body))):
                function.is_template = found = True
                names.add(function.name)
                waiting.remove(function)
    for function in scope.functions:  # an overload of one
        function.is_template = function.is_template or function.name in names


def _calls(body: syntax.Block) -> set[str]:
    return {node.name for node in everything(body) if isinstance(node, syntax.Call)}


def split(probe: resolved.Probe, templates: frozenset[str]) -> Iterator[resolved.Probe]:
    """`templates`: names of functions that use variables of the program."""
    point = probe.point
    if not isinstance(point, FunctionPoint) or not needs_site(probe, templates):
        yield probe
        return
    details = probe.details or tuple(resolved.SiteDetail() for _ in point.sites)
    for site, detail in zip(point.sites, details, strict=True):
        yield replace(probe, point=replace(point, sites=(site,)), details=(detail,))


def needs_site(probe: resolved.Probe, templates: frozenset[str]) -> bool:
    """Whether each place of a probe has code of its own, or only `$$name` of PLT slots and the names of system calls."""
    code: list[Code] = [*(c.expression for c in probe.when), *(part.code for part in probe.parts)]
    return any(detail.callers for detail in probe.details) or any(
        names_target(c)
        or any(isinstance(node, syntax.Call) and node.name in templates for node in everything(c))
        for c in code
    )


def move(point: Point, address: int, offset: int | None) -> Point:
    """The same with its only site at another place."""
    assert isinstance(point, FunctionPoint) and offset is not None
    site = point.sites[0]
    return replace(point, sites=(replace(site, address=address, offset=offset),))


def join(probes: Sequence[tuple[int, typed.Probe]]) -> tuple[typed.Probe, ...]:
    """Those with one number, which come from one probe of the script, become one where they differ only in their sites."""
    joined: list[typed.Probe] = []
    places: dict[object, int] = {}
    sites: dict[int, list[Site]] = {}
    for number, probe in probes:
        point = probe.point
        key = (number, replace(point, sites=()), probe.handler) if isinstance(point, FunctionPoint) else None
        if key is None or key not in places:
            places[key] = len(joined)
            joined.append(probe)
        if isinstance(point, FunctionPoint):
            sites.setdefault(places[key], []).extend(point.sites)
    return tuple(_with_sites(probe, sites.get(i, ())) for i, probe in enumerate(joined))


def _with_sites(probe: typed.Probe, sites: Iterable[Site]) -> typed.Probe:
    point = probe.point
    found = tuple(sites)
    if not isinstance(point, FunctionPoint) or len(found) == len(point.sites):
        return probe
    return replace(probe, point=replace(point, sites=found))
