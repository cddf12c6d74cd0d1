"""One probe for each place, where its code names variables of the probed program: these are elsewhere at every place.

    probe process("x").function("f*") { println($n) }   with f1 and f2   ->  two probes, of one site each

Probes whose code comes out the same are joined again after lowering (`join`). Functions that use `$names` are copied for each place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from probelang import resolved, syntax, typed
from probelang.artifact import code
from probelang.artifact.points import FunctionPoint, Point
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
    return any(isinstance(node, syntax.TargetVariable) for c in _code_of(probe) for node in everything(c))


def _code_of(probe: resolved.Probe) -> list[Code]:
    """What runs at a hit: conditions of `when`, and the handler with what aliases put around it."""
    return [*(c.expression for c in probe.when), *(part.code for part in probe.parts)]


def has_floats(node: Code) -> bool:
    """Whether code has floating point numbers of its own."""
    return any(isinstance(inner, syntax.Float) for inner in everything(node))


@dataclass(frozen=True, slots=True)
class Templates:
    """Names of the script's functions that have a copy for each place: `variables`: they use variables of the probed program,
    themselves or in what they call; `callers`: they ask who called."""

    variables: frozenset[str]
    callers: frozenset[str]


def mark_templates(scope: Scope) -> Templates:
    """Sets `is_template` of functions."""
    found = Templates(_reaching(scope, names_target), _reaching(scope, lambda body: asks_caller(scope, body)))
    for function in scope.functions:
        function.is_template = function.name in found.variables or function.name in found.callers
    return found


def _reaching(scope: Scope, has: Callable[[syntax.Block], bool]) -> frozenset[str]:
    """The functions whose code, or code that it calls, has something."""
    names: set[str] = set()
    waiting = list(scope.functions)
    found = True
    while found:
        found = False
        for function in list(waiting):
            body = function.declared.declaration.body
            if has(body) or (names and not names.isdisjoint(_calls(body))):
                found = True
                names.add(function.name)
                waiting.remove(function)
    return frozenset(names)


def asks_caller(scope: Scope, node: Code) -> bool:
    """Whether code asks who called: what that means depends on the place, and on the probed file."""
    return any(
        isinstance(inner, syntax.CodeTest) or (isinstance(inner, syntax.Call) and _is_rewritten(scope, inner))
        for inner in everything(node)
    )


def _is_rewritten(scope: Scope, call: syntax.Call) -> bool:
    signature = call.name, len(call.arguments)
    row = scope.builtins.get(signature)
    return row is not None and row.rewritten and signature not in scope.by_signature


def _calls(body: syntax.Block) -> set[str]:
    return {node.name for node in everything(body) if isinstance(node, syntax.Call)}


def split(probe: resolved.Probe) -> Iterator[resolved.Probe]:
    """One probe for each site."""
    point = probe.point
    if not isinstance(point, FunctionPoint):
        yield probe
        return
    details = probe.details or tuple(resolved.SiteDetail() for _ in point.sites)
    for site, detail in zip(point.sites, details, strict=True):
        yield replace(probe, point=replace(point, sites=(site,)), details=(detail,))


def split_strays(probe: resolved.Probe) -> Iterator[tuple[resolved.Probe, bool]]:
    """Those sites where the caller is found in one way, the entries of functions, and each other one; true for these."""
    point = probe.point
    if not isinstance(point, FunctionPoint) or point.is_return or all(map(_is_plain, probe.details)):
        yield probe, False
        return
    pairs = list(zip(point.sites, probe.details, strict=True))
    plain = [(site, detail) for site, detail in pairs if _is_plain(detail)]
    if plain:
        sites, details = tuple(site for site, _ in plain), tuple(detail for _, detail in plain)
        yield replace(probe, point=replace(point, sites=sites), details=details), False
    for site, detail in pairs:
        if not _is_plain(detail):
            yield replace(probe, point=replace(point, sites=(site,)), details=(detail,)), True


def _is_plain(detail: resolved.SiteDetail) -> bool:
    return detail.is_entry and detail.instance is None and detail.mark is None


def asks_who_called(scope: Scope, probe: resolved.Probe, templates: Templates) -> bool:
    """Whether a probe's code, or a function that it calls, asks who called."""
    return any(asks_caller(scope, c) or _calls_any(c, templates.callers) for c in _code_of(probe))


def _calls_any(node: Code, names: frozenset[str]) -> bool:
    return bool(names) and any(isinstance(n, syntax.Call) and n.name in names for n in everything(node))


def needs_site(probe: resolved.Probe, templates: frozenset[str]) -> bool:
    """Whether each place of a probe has code of its own, or only `$$name` of PLT slots and the names of system calls. `templates`:
    names of functions that use variables of the program."""
    return any(detail.callers for detail in probe.details) or any(
        names_target(c)
        or any(isinstance(node, syntax.Call) and node.name in templates for node in everything(c))
        for c in _code_of(probe)
    )


def move(point: Point, address: int, offset: int | None) -> Point:
    """The same with its only site at another place."""
    assert isinstance(point, FunctionPoint) and offset is not None
    site = point.sites[0]
    return replace(point, sites=(replace(site, address=address, offset=offset),))


@dataclass(frozen=True, slots=True)
class Kept:
    """A value that a return probe keeps of the function's entry. `local`: what holds it in the return probe, None: nothing, it says only
    that the call was seen to begin. `is_time`: what is held there is the time since."""

    value: code.Expr
    type: code.Type
    local: int | None
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Paired:
    """A return probe with the entry probe that keeps its values; neither has the code for that yet, so that places can be
    compared. `frame_address`: of a call, at the entry."""

    entry: typed.Probe
    kept: tuple[Kept, ...]
    frame_address: code.Expr
    after: typed.Probe


def join(found: Sequence[tuple[int, typed.Probe | Paired]]) -> tuple[typed.Probe | Paired, ...]:
    """Those with one number, which come from one probe of the script, become one where they differ only in their sites. Of a pair
    both halves have their sites in the same order."""
    groups: dict[object, list[typed.Probe | Paired]] = {}
    for i, (number, made) in enumerate(found):
        groups.setdefault(_key(number, i, made), []).append(made)
    return tuple(_joined(group) for group in groups.values())


def _key(number: int, i: int, made: typed.Probe | Paired) -> object:
    match made:
        case Paired():
            return number, _shape(made.entry), made.kept, made.frame_address, _shape(made.after)
        case typed.Probe(point=FunctionPoint()):
            return number, _shape(made)
        case _:
            return i


def _shape(probe: typed.Probe) -> object:
    assert isinstance(probe.point, FunctionPoint)
    return replace(probe.point, sites=()), probe.handler


def _joined(group: Sequence[typed.Probe | Paired]) -> typed.Probe | Paired:
    first = group[0]
    if isinstance(first, Paired):
        pairs = [p for p in group if isinstance(p, Paired)]
        return replace(
            first,
            entry=_with_sites(first.entry, [p.entry for p in pairs]),
            after=_with_sites(first.after, [p.after for p in pairs]),
        )
    return _with_sites(first, [p for p in group if isinstance(p, typed.Probe)])


def _with_sites(first: typed.Probe, group: Sequence[typed.Probe]) -> typed.Probe:
    if len(group) == 1 or not isinstance(first.point, FunctionPoint):
        return first
    sites = tuple(site for p in group if isinstance(p.point, FunctionPoint) for site in p.point.sites)
    return replace(first, point=replace(first.point, sites=sites))
