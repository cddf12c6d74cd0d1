"""What names mean: globals, functions and locals of a program, with what inference has learnt of them.

    global a            ->  GlobalUse(name="a", arity=None, value=Cell(), keys=())
    a["x"] <<< 1        ->  arity=1, keys=(string,), value=stats, written

These are the working objects of one check, filled in as it goes; nothing of them leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from probelang import resolved, syntax
from probelang.artifact.code import HistogramShape
from probelang.builtins import Builtin
from probelang.check.cells import Cell
from probelang.diag import similar_names
from probelang.resolved import Surroundings
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.check.entries import EntryValues
    from probelang.check.marks import MarkArguments
    from probelang.dwarf.ctypes import CType
    from probelang.target.names import TypeNames
    from probelang.target.site import TargetSite


CallerWay = Literal["", "frame", "return", "stack", "sample"]


@dataclass(slots=True, eq=False)
class GlobalUse:
    """`arity` None: not known yet; 0: a scalar. `first_use`: of any kind."""

    name: str
    declared: resolved.Global
    value: Cell = field(default_factory=Cell)
    keys: tuple[Cell, ...] = ()
    arity: int | None = None
    arity_origin: Span | None = None
    first_use: Span | None = None
    read: bool = False
    written: bool = False
    operators: set[str] = field(default_factory=set[str])
    shapes: list[HistogramShape] = field(default_factory=list[HistogramShape])


@dataclass(slots=True, eq=False)
class LocalUse:
    """`bound`: a parameter, a key of foreach or the variable of catch, which something else than an assignment sets.
    `feeds`: what is read only to be assigned to this variable; that counts as read when this one is read."""

    name: str
    first_use: Span
    value: Cell = field(default_factory=Cell)
    read: bool = False
    written: bool = False
    bound: bool = False
    slot: int = -1
    feeds: list[GlobalUse | LocalUse] = field(default_factory=list["GlobalUse | LocalUse"])


@dataclass(slots=True, eq=False)
class FunctionUse:
    """`is_template`: it uses `$names` or asks who called, so every place that is probed has a copy of its own, and this one is not used itself.
    `ctypes` as in `Body`; `has_ctypes`: they have been found; `is_typing`: its C type is being found."""

    declared: resolved.Function
    locals: dict[str, LocalUse]
    parameters: tuple[LocalUse, ...]
    result: Cell = field(default_factory=Cell)
    targets: Targets | None = None
    reached: bool = False
    ctypes: dict[str, CType] = field(default_factory=dict[str, "CType"])
    has_ctypes: bool = False
    is_typing: bool = False
    is_template: bool = False

    @property
    def name(self) -> str:
        return self.declared.declaration.name


@dataclass(frozen=True, slots=True, eq=False)
class SiteContext:
    """The place of a probe as code that names the probed program's variables sees it. `target`: of a return probe, the entry of
    the function. `mark`: what such a place has instead of variables."""

    target: TargetSite
    is_return: bool = False
    mark: MarkArguments | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Which `$names` there are, with the builtin (and its argument) that each stands for, and `probe`: the point's name.
    `in_process` is false in begin, end and timer probes. `site`: where variables come from debug information or a mark. `copies`: of
    functions that use `$names`, or ask who called. `lenient`: what cannot be found reads as 0. `callers`: where the caller is found: by the
    frame, at the return, only on the stack, there where there is one; empty: nothing was called. `around`: whose code is asked about. `entries`: in code that runs when a function returns;
    `begins`: in code of the same probe that runs at the entry."""

    in_process: bool
    probe: str = ""
    names: frozenset[str] = frozenset()
    site: SiteContext | None = None
    types: TypeNames | None = None
    copies: dict[FunctionUse, FunctionUse] = field(default_factory=dict["FunctionUse", "FunctionUse"])
    lenient: bool = False
    callers: CallerWay = ""
    around: Surroundings = field(default_factory=Surroundings)
    entries: EntryValues | None = None
    begins: bool = False

    def meet(self, other: Targets) -> Targets:
        """What is there in both."""
        if other is self:
            return self
        keep = other if self.in_process else self
        names = self.names & other.names
        types = self.types or other.types
        return Targets(self.in_process and other.in_process, keep.probe, names, None, types, {}, keep.lenient)


@dataclass(slots=True, eq=False)
class Body:
    """One piece of code being checked. Parts of a probe share `locals`; `written_by_probe` are the names that the
    probe's own body writes (for @probewrite in aliases). `ctypes`: of locals whose values came from the probed program."""

    file: str
    targets: Targets
    locals: dict[str, LocalUse]
    function: FunctionUse | None = None
    written_by_probe: frozenset[str] = frozenset()
    ctypes: dict[str, CType] = field(default_factory=dict[str, "CType"])


@dataclass(slots=True, eq=False)
class Scope:
    """All globals and functions, by name. `elide`: what nothing uses may be left out. `library_files` do not see the
    script's globals: a name that a script chooses must not take over a local of the library. `guru`: the program may be changed."""

    globals: tuple[GlobalUse, ...]
    functions: list[FunctionUse]
    builtins: Mapping[tuple[str, int], Builtin]
    by_name: dict[str, list[GlobalUse]]
    by_signature: dict[tuple[str, int], list[FunctionUse]]
    library_files: frozenset[str] = frozenset()
    elide: bool = True
    guru: bool = False

    def find_global(self, name: str, file: str) -> GlobalUse | None:
        """A private one of this file before a public one."""
        found: GlobalUse | None = None
        for use in self.by_name.get(name, ()):
            if file in self.library_files and not use.declared.library:
                continue
            if use.declared.declaration.private:
                if use.declared.file == file:
                    return use
            elif found is None:
                found = use
        return found

    def find_functions(self, name: str, arity: int, body: Body) -> tuple[FunctionUse, ...]:
        """The chain of overloads in the order to try; private ones of this file hide public ones."""
        known = self.by_signature.get((name, arity), ())
        if not known:
            return ()
        own = [f for f in known if f.declared.declaration.private and f.declared.file == body.file]
        chain = own or [f for f in known if not f.declared.declaration.private]
        ordered = sorted(chain, key=priority)
        return tuple([self._copy(f, body.targets) if f.is_template else f for f in ordered])

    def _copy(self, function: FunctionUse, targets: Targets) -> FunctionUse:
        copy = targets.copies.get(function)
        if copy is None:
            copy = targets.copies[function] = _function_use(function.declared)
            copy.targets = targets
            self.functions.append(copy)
        return copy

    def arities(self, name: str) -> tuple[int, ...]:
        known = {arity for known, arity in (*self.by_signature, *self.builtins) if known == name}
        return tuple(sorted(known))

    def similar_functions(self, name: str) -> tuple[str, ...]:
        return similar_names(name, sorted({known for known, _ in (*self.by_signature, *self.builtins)}))

    def similar_globals(self, name: str) -> tuple[str, ...]:
        return similar_names(name, self.by_name)


def priority(function: FunctionUse) -> int:
    """User scripts come before the library unless they say otherwise."""
    given = function.declared.declaration.priority
    return given if given is not None else int(function.declared.library)


def make_scope(
    program: resolved.Program,
    builtins: Mapping[tuple[str, int], Builtin],
    elide: bool = True,
    guru: bool = False,
) -> Scope:
    globals_ = tuple(GlobalUse(g.declaration.name, g) for g in program.globals)
    functions = [_function_use(f) for f in program.functions]
    by_name: dict[str, list[GlobalUse]] = {}
    for use in globals_:
        by_name.setdefault(use.name, []).append(use)
    by_signature: dict[tuple[str, int], list[FunctionUse]] = {}
    for function in functions:
        by_signature.setdefault((function.name, len(function.parameters)), []).append(function)
    declared: tuple[resolved.Global | resolved.Function, ...] = (*program.globals, *program.functions)
    library_files = frozenset(d.file for d in declared if d.library)
    return Scope(globals_, functions, builtins, by_name, by_signature, library_files, elide, guru)


def _function_use(function: resolved.Function) -> FunctionUse:
    parameters = tuple(_parameter(p) for p in function.declaration.parameters)
    return FunctionUse(function, {p.name: p for p in parameters}, parameters)


def _parameter(parameter: syntax.Parameter) -> LocalUse:
    return LocalUse(parameter.name, parameter.span, bound=True, written=True)


def written_names(code: Iterable[syntax.Block]) -> frozenset[str]:
    """Names of variables (`$x` as `x` too) that the code assigns to."""
    from probelang.check.walk import everything

    names: set[str] = set()
    for block in code:
        for node in everything(block):
            if isinstance(node, syntax.Assign | syntax.Increment):
                target = node.target.base if isinstance(node.target, syntax.Index) else node.target
                if isinstance(target, syntax.Name | syntax.TargetVariable):
                    names.add(target.name)
    return frozenset(names)
