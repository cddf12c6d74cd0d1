"""The check as a whole: from a resolved program to a typed one.

    resolved.Program -> scope -> reach -> infer -> lower -> typed.Program -> iteration, halves

All mistakes of all steps are reported together, each place once: a probe whose points lie in ten files is checked ten times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probelang import resolved, syntax, typed
from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.artifact.points import FunctionPoint
from probelang.builtins import Builtin
from probelang.check import mistakes
from probelang.check.cells import root, type_in
from probelang.check.conditions import check_condition
from probelang.check.halves import check_halves
from probelang.check.infer import Inference, expect
from probelang.check.infer_statements import infer_declared, infer_statement
from probelang.check.iteration import check_iteration
from probelang.check.lower import Lowering, lower, number_locals
from probelang.check.lower_statements import lower_statement
from probelang.check.overrides import apply_overrides, settle_initials
from probelang.check.places import Places
from probelang.check.reach import body_of, reach
from probelang.check.scope import (
    Body,
    FunctionUse,
    GlobalUse,
    LocalUse,
    Scope,
    Targets,
    make_scope,
    written_names,
)
from probelang.check.sites import (
    Paired,
    Templates,
    asks_who_called,
    has_floats,
    join,
    mark_templates,
    names_target,
    names_variables,
    needs_site,
    split,
    split_strays,
)
from probelang.check.walk import Code
from probelang.diag import CompileError, CompileWarning, Diagnostic, similar_names
from probelang.dwarf.files import Files
from probelang.options import Options

if TYPE_CHECKING:
    from probelang.check.callers import CodeFinder
    from probelang.dwarf.ctypes import CType


MOST_ALIKE = 3


@dataclass(frozen=True, slots=True)
class CheckResult:
    program: typed.Program
    warnings: tuple[CompileWarning, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Probe:
    """A probe with its bodies: those of the parts share their locals, conditions `if (..)` have none. `number`: of the probe in the
    script, of which this one may be one place. `begins`: of a return probe, those conditions `when (..)` that are decided at the entry."""

    number: int
    probe: resolved.Probe
    parts: tuple[tuple[Body, syntax.Block], ...]
    when: tuple[tuple[Body, syntax.Expression], ...]
    armed: tuple[tuple[Body, syntax.Expression], ...]
    locals: dict[str, LocalUse]
    begins: tuple[tuple[Body, syntax.Expression], ...] = ()


def check(
    program: resolved.Program,
    options: Options,
    builtins: Mapping[tuple[str, int], Builtin] | None = None,
    files: Files | None = None,
    codes: Callable[[], CodeFinder] | None = None,
) -> CheckResult:
    """Raises CompileError with every mistake. `builtins` by name and arity; None: those of probelang. `files`: those opened by this
    compilation, whose debug information `$names` come from. `codes`: finds what `caller is X` asks about."""
    known = known_builtins() if builtins is None else builtins
    callable_ = {signature: row for signature, row in known.items() if not row.internal}
    scope = make_scope(program, callable_, options.elide, options.guru)
    run = Inference(scope, codes=codes)
    _check_declarations(run)
    places = Places(files or Files(), options.skip_bad_variables)
    live = tuple([_root(run, p) for p in _prepare_all(scope, program, places)])
    settle_initials(run)
    reach(scope, [pair for p in live for pair in _code(p)])
    _infer_all(run, live, options)
    overrides = apply_overrides(run, options.overrides)
    low = _lowering(run, options)
    result = _lower_all(low, live, overrides, options.keep_sums)
    found = [*run.found, *_unused_code(program, scope)]
    # what is no array is not changed in a loop over it
    misused = {_place(mistake) for mistake in found if isinstance(mistake, mistakes.InconsistentArity)}
    found += [mistake for mistake in check_iteration(result) if _place(mistake) not in misused]
    found = _each_once([*found, *check_halves(result, known, options.backend)])
    if found:
        raise CompileError(found)
    return CheckResult(result, (*places.warnings, *_warnings(low, live, result)))


def known_builtins() -> Mapping[tuple[str, int], Builtin]:
    from probelang.builtins.table import ROWS

    return {(row.name, len(row.parameters)): row for row in ROWS}


def _each_once(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Of one kind at one place a few are enough: a probe may have a thousand places."""
    unique = {(type(d), _place(d), d.title()): d for d in found}
    counts: Counter[tuple[type[Diagnostic], tuple[str, int] | None]] = Counter()
    kept: list[Diagnostic] = []
    for mistake in unique.values():
        key = type(mistake), _place(mistake)
        counts[key] += 1
        if counts[key] <= MOST_ALIKE:
            kept.append(mistake)
    return kept


def _place(diagnostic: Diagnostic) -> tuple[str, int] | None:
    span = diagnostic.span
    return None if span is None else (span.source.name, span.start)


# --------------------------------------------------------------------------------------------- preparation


def _check_declarations(run: Inference) -> None:
    public: dict[tuple[str, str], GlobalUse] = {}
    for use in run.scope.globals:
        declaration = use.declared.declaration
        key = (use.name, use.declared.file if declaration.private else "")
        if key in public:
            first = public[key].declared.declaration.span
            run.report(
                mistakes.DuplicateName(
                    span=declaration.span, what="global variable", name=use.name, first=first
                )
            )
        public.setdefault(key, use)
    for function in run.scope.functions:
        seen: dict[str, syntax.Parameter] = {}
        for parameter in function.declared.declaration.parameters:
            if parameter.name in seen:
                first = seen[parameter.name].span
                run.report(
                    mistakes.DuplicateName(
                        span=parameter.span, what="parameter", name=parameter.name, first=first
                    )
                )
            seen[parameter.name] = parameter


def _prepare_all(scope: Scope, program: resolved.Program, places: Places) -> Iterator[_Probe]:
    templates = mark_templates(scope)
    for number, whole in enumerate(program.probes):
        made = [
            _prepare(scope, number, probe, places, needs) for probe, needs in _parts(scope, whole, templates)
        ]
        if len(made) > 1 and names_variables(whole):
            made = _described(made, places)
        yield from made


def _parts(
    scope: Scope, whole: resolved.Probe, templates: Templates
) -> Iterator[tuple[resolved.Probe, bool]]:
    """Of a probe those sites for which its code is the same; true where it is the code of one site (see `needs_site`)."""
    if needs_site(whole, templates.variables):
        yield from ((probe, True) for probe in split(whole))
    elif asks_who_called(scope, whole, templates):
        yield from split_strays(whole)
    else:
        yield whole, False


def _described(probes: list[_Probe], places: Places) -> list[_Probe]:
    """Without those places of a pattern of which debug information says nothing; their code asks for variables."""
    kept: list[_Probe] = []
    missing: list[str] = []
    for probe in probes:
        site = probe.parts[0][0].targets.site
        if site is not None and site.mark is None and not site.target.is_described():
            missing.append(site.target.place.function)
        else:
            kept.append(probe)
    if missing and kept:
        span = probes[0].probe.span
        places.warnings.append(
            mistakes.PlacesNotDescribed(span=span, count=len(missing), examples=tuple(missing[:3]))
        )
        return kept
    return probes


def _prepare(scope: Scope, number: int, probe: resolved.Probe, places: Places, needs: bool) -> _Probe:
    """`needs`: see `needs_site`."""
    shared: dict[str, LocalUse] = {}
    targets = places.targets(probe, shared, needs)
    own = _own_part(probe)
    written = written_names((own.code,)) if own is not None else frozenset[str]()
    ctypes: dict[str, CType] = {}
    parts = tuple([(Body(p.file, targets, shared, None, written, ctypes), p.code) for p in probe.parts])
    at_entry, at_return = _conditions(scope, probe, targets)
    when = tuple((Body(c.file, targets, shared, ctypes=ctypes), c.expression) for c in at_return)
    begins = tuple(_begin(targets, c) for c in at_entry)
    for body, block in parts:
        if (targets.types is not None and names_target(block)) or has_floats(block):
            from probelang.check.objects import note_types

            note_types(scope, body, block)
    return _Probe(number, probe, parts, when, (), shared, begins)


def _conditions(
    scope: Scope, probe: resolved.Probe, targets: Targets
) -> tuple[tuple[resolved.Condition, ...], tuple[resolved.Condition, ...]]:
    """`when (..)`: of return probes those at the entry, and the others."""
    if targets.entries is None or not probe.when:
        return (), probe.when
    from probelang.check.conjuncts import split_conditions

    return split_conditions(scope, probe)


def _begin(targets: Targets, condition: resolved.Condition) -> tuple[Body, syntax.Expression]:
    assert targets.entries is not None
    entry = targets.entries.body
    return Body(condition.file, entry.targets, entry.locals), condition.expression


def _own_part(probe: resolved.Probe) -> resolved.Part | None:
    """The part that is the probe's own body, not a prologue or epilogue: the first behind its probe points."""
    behind = [
        part
        for part in probe.parts
        if part.code.span.source is probe.span.source and part.code.span.end > probe.span.start
    ]
    return min(behind, key=lambda part: part.code.span.start, default=None)


def _root(run: Inference, probe: _Probe) -> _Probe:
    """With those arming conditions that hold nothing forbidden."""
    targets = Targets(True, probe.probe.name)
    armed = [(Body(c.file, targets, {}), c.expression) for c in probe.probe.armed if check_condition(run, c)]
    return replace(probe, armed=tuple(armed))


def _code(probe: _Probe) -> Iterable[tuple[Body, Code]]:
    yield from probe.armed
    yield from probe.begins
    yield from probe.when
    yield from probe.parts


# ------------------------------------------------------------------------------------------------ inference


def _infer_all(run: Inference, probes: Sequence[_Probe], options: Options) -> None:
    """Functions first, so that their bodies decide what callers must give them."""
    reached = [f for f in run.scope.functions if f.reached or not (options.elide or f.declared.library)]
    for function in run.scope.functions:
        infer_declared(run, body_of(function))
    for function in reached:
        function.reached = True
        infer_statement(run, body_of(function), function.declared.declaration.body)
    for probe in probes:
        for body, condition in (*probe.armed, *probe.begins, *probe.when):
            expect(run, body, condition, Type.LONG)
        for body, block in probe.parts:
            infer_statement(run, body, block)
    _follow_feeds([f.locals for f in reached] + [p.locals for p in probes])


def _follow_feeds(scopes: Iterable[Mapping[str, LocalUse]]) -> None:
    """What is read for a variable that is itself read counts as read."""
    work = [use for locals_ in scopes for use in locals_.values() if use.read or use.bound]
    while work:
        for source in work.pop().feeds:
            if not source.read:
                source.read = True
                if isinstance(source, LocalUse):
                    work.append(source)


def _unused_code(program: resolved.Program, scope: Scope) -> list[Diagnostic]:
    """Mistakes in the user's functions that nothing calls: those that do not depend on types."""
    unused = [f for f in scope.functions if not (f.reached or f.declared.library or f.is_template)]
    if not unused:
        return []
    separate = Inference(make_scope(program, scope.builtins, guru=scope.guru))
    numbers = [i for i, f in enumerate(scope.functions) if f in unused]
    for number in numbers:
        function = separate.scope.functions[number]
        function.targets = Targets(in_process=True)
        infer_statement(separate, body_of(function), function.declared.declaration.body)
    return [d for d in separate.found if isinstance(d, mistakes.TypeDiagnostic) and type(d).structural]


# ------------------------------------------------------------------------------------------------- lowering


def _lowering(run: Inference, options: Options) -> Lowering:
    kept = [u for u in run.scope.globals if u.read or u.written or not (options.elide or u.declared.library)]
    functions = [f for f in run.scope.functions if f.reached]
    for use in kept:
        _check_global(run, use)
    has_sessions = options.features >= {"session", "uprobe_multi"}
    return Lowering(
        run,
        {u: i for i, u in enumerate(kept)},
        {f: i for i, f in enumerate(functions)},
        options.elide,
        sessions=options.backend == "ptrace" or has_sessions,
        guards=options.backend == "kernel" and has_sessions,
    )


def _check_global(run: Inference, use: GlobalUse) -> None:
    cells = [root(c) for c in (use.value, *use.keys)]
    if any(c.type is None and not c.doubtful for c in cells):
        for cell in cells:
            cell.doubtful = True
        declared = use.declared.declaration.span
        run.report(mistakes.UnresolvedType(span=use.first_use or declared, name=use.name, declared=declared))


def _lower_all(
    low: Lowering,
    live: Sequence[_Probe],
    overrides: Mapping[GlobalUse, int | bytes],
    keep_sums: bool,
) -> typed.Program:
    functions = _lower_functions(low)
    joined = join([(p.number, _lower_probe(low, p)) for p in live])
    lowered = tuple([probe for made in joined for probe in _finished(low, made)])
    if low.hooked:
        from probelang.check.callers import hidden_probes

        lowered += tuple(hidden_probes(low))
    if low.guards:
        lowered = tuple([_guarded(p) for p in lowered])
    variables = tuple([_variable(u, overrides.get(u), keep_sums) for u in low.variables] + low.hidden)
    return typed.Program(
        variables,
        functions,
        lowered,
        tuple(low.automata),
        tuple(low.places),
        tuple(low.spans),
        tuple(low.code_sets),
    )


def _variable(use: GlobalUse, override: int | bytes | None, keep_sums: bool) -> code.Variable:
    declaration = use.declared.declaration
    literal = declaration.initial
    initial = override if override is not None or literal is None else literal.value
    report = use.written and not use.read and not use.declared.library
    operators = set(use.operators)
    value = type_in(use.value) or Type.LONG
    if report and value is Type.STATS:
        operators |= {"count", "sum", "min", "max", "avg"}
    if keep_sums and value is Type.STATS:
        operators.add("sum")
    return code.Variable(
        name=use.name,
        key=tuple([type_in(k) or Type.LONG for k in use.keys]) if use.arity else None,
        value=value,
        wrap=declaration.wrap,
        max_entries=declaration.max_entries,
        initial=initial,
        statistics=tuple(sorted(operators)),
        shapes=tuple(use.shapes),
        report=report,
    )


def _lower_functions(low: Lowering) -> tuple[code.Function, ...]:
    """Copies of one function for several places that came out the same are one; what calls them may be the same only then."""
    has_copies = any(f.is_template for f in low.run.scope.functions)
    while True:
        lowered = {f: _lower_function(low, f) for f in low.functions}
        numbers = {made: i for i, made in enumerate(dict.fromkeys(lowered.values()))} if has_copies else {}
        if not has_copies or len(numbers) == len(set(low.functions.values())):
            by_number = {low.functions[f]: made for f, made in lowered.items()}
            return tuple(by_number[i] for i in sorted(by_number))
        low.functions.update({f: numbers[made] for f, made in lowered.items()})


def _lower_function(low: Lowering, function: FunctionUse) -> code.Function:
    declaration = function.declared.declaration
    number_locals(low, function.locals)
    body = lower_statement(low, body_of(function), declaration.body)
    return code.Function(
        name=function.name,
        parameters=len(function.parameters),
        locals=tuple(low.locals),
        result=type_in(function.result) or Type.VOID,
        body=body,
        at=low.at(declaration.name_span),
        library=function.declared.library,
    )


def _finished(low: Lowering, made: typed.Probe | Paired) -> tuple[typed.Probe, ...]:
    if isinstance(made, typed.Probe):
        return (made,)
    from probelang.check.placing import finish

    return finish(low, made)


def _guarded(probe: typed.Probe) -> typed.Probe:
    """A return probe that wants nothing of the entry is a session all the same: only then is there a program that can leave a return
    unhooked where hooking it would end the process (`probelang.llvm.signalstack`)."""
    point = probe.point
    if not isinstance(point, FunctionPoint) or not point.is_return or point.at_returns or probe.before:
        return probe
    at = probe.handler.at
    hook = code.Evaluate(code.Call("session_hook", (), Type.VOID, at))
    return replace(probe, before=code.Handler((), None, None, hook, at))


def _lower_probe(low: Lowering, probe: _Probe) -> typed.Probe | Paired:
    """The probe, and what keeps for it values from the entry."""
    number_locals(low, probe.locals)
    armed = _conjunction([lower(low, b, e) for b, e in probe.armed])
    when = _conjunction([lower(low, b, e) for b, e in probe.when])
    parts = [lower_statement(low, b, block) for b, block in probe.parts]
    body = parts[0] if len(parts) == 1 else code.Block(tuple(parts))
    handler = code.Handler(tuple(low.locals), armed, when, body, low.at(probe.probe.span))
    made = typed.Probe(probe.probe.name, probe.probe.point, handler, probe.probe.span)
    targets = probe.parts[0][0].targets
    if targets.site is None and targets.entries is None:
        return made
    from probelang.check.placing import place_probe

    return place_probe(low, targets, probe.probe, made, probe.begins)


def _conjunction(conditions: Sequence[code.Expr]) -> code.Expr | None:
    joined: code.Expr | None = None
    for condition in conditions:
        joined = condition if joined is None else code.Logical("&&", joined, condition)
    return joined


# ------------------------------------------------------------------------------------------------- warnings


def _warnings(low: Lowering, probes: Sequence[_Probe], program: typed.Program) -> list[CompileWarning]:
    found: list[CompileWarning] = []
    for function in low.run.scope.functions:
        if function.declared.library or function.is_template:
            continue
        if function.reached:
            found += _local_warnings(low, function.locals)
        else:
            span = function.declared.declaration.name_span
            found.append(mistakes.UnusedFunction(span=span, name=function.name))
    for probe in probes:
        # a library's alias sets variables for whoever wants them: only what the script itself wrote counts
        own = probe.probe.span.source.name
        found += [w for w in _local_warnings(low, probe.locals) if w.span and w.span.source.name == own]
    for use in low.run.scope.globals:
        if not (use.read or use.written or use.declared.library):
            found.append(mistakes.UnusedGlobal(span=use.declared.declaration.span, name=use.name))
    return [d for d in _each_once(found) if isinstance(d, CompileWarning)]


def _local_warnings(low: Lowering, locals_: Mapping[str, LocalUse]) -> Iterable[CompileWarning]:
    names = [*locals_, *low.run.scope.by_name]
    for use in locals_.values():
        if use.read and not use.written:
            similar = similar_names(use.name, [n for n in names if n != use.name])
            yield mistakes.NeverAssigned(span=use.first_use, name=use.name, similar=similar)
        elif low.dropped(use):
            yield mistakes.ElidedAssignment(span=use.first_use, name=use.name)
