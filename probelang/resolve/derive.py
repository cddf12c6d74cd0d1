"""From a probe declaration to resolved probes: aliases unfolded, conditions and code collected, points built.

    probe al.return { hit++ }   with   probe al = process("/bin/x").function("f") { k = 1 }
    ->  Probe(name="al.return", point=FunctionPoint(..., is_return=True), parts=(prologue, body))

An alias's prologue runs before everything it was used in: the innermost alias's first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from probelang import resolved, syntax
from probelang.diag import CompileError, CompileWarning, Diagnostic, similar_names
from probelang.diag.deferred import names
from probelang.resolve import families
from probelang.resolve.aliases import AliasTable, Definition, Use, dotted, illegal_parameters
from probelang.resolve.families import KERNEL, has_wildcard, point_text
from probelang.resolve.points import Built, Env, build
from probelang.source import Span

# deeper than aliases of aliases ever go, and wider
MAXIMUM_DEPTH = 100
MAXIMUM_PROBES = 10_000

LoadAliases = Callable[[tuple[syntax.Component, ...]], None]


@dataclass(frozen=True, slots=True)
class Wrap:
    """What an unfolding has collected: code around the user's, conditions, and the aliases passed through."""

    parts: tuple[resolved.Part, ...]
    armed: tuple[resolved.Condition, ...] = ()
    when: tuple[resolved.Condition, ...] = ()
    trail: tuple[str, ...] = ()

    def under(self, definition: Definition) -> Wrap:
        """Inside an alias: its prologue goes before, its epilogue behind all that is there."""
        alias, file = definition.alias, definition.file
        body = (resolved.Part(file, alias.body),)
        epilogue = (resolved.Part(file, alias.epilogue),) if alias.epilogue is not None else ()
        before, after = (body, epilogue) if alias.op == "=" else ((), body)
        return replace(self, parts=(*before, *self.parts, *after), trail=(*self.trail, definition.name))

    def conditioned(self, point: syntax.ProbePoint, file: str) -> Wrap:
        """Conditions of an outer alias's point come before those of its user."""
        armed = (resolved.Condition(file, point.armed),) if point.armed is not None else ()
        when = (resolved.Condition(file, point.when),) if point.when is not None else ()
        return replace(self, armed=(*armed, *self.armed), when=(*when, *self.when))


@dataclass(frozen=True, slots=True)
class Origin:
    """The probe declaration, and the point in it as written."""

    name: str
    span: Span


@dataclass(slots=True)
class Deriver:
    """Works through the probes of a program; collects mistakes and warnings. `load_aliases` pulls in library files that may
    define what a point begins with."""

    env: Env
    aliases: AliasTable
    load_aliases: LoadAliases
    known_aliases: Callable[[], frozenset[str]]
    mistakes: list[Diagnostic] = field(default_factory=list[Diagnostic])
    warnings: list[CompileWarning] = field(default_factory=list[CompileWarning])

    def derive(self, probe: syntax.Probe, file: str) -> list[resolved.Probe]:
        """All points of one declaration. A mandatory point that does not exist goes to `mistakes`."""
        wrap = Wrap((resolved.Part(file, probe.body),))
        before = len(self.mistakes)
        found: list[resolved.Probe] = []
        for point in probe.points:
            origin = Origin(point_text(point.components), probe.span)
            try:
                made = self._point(point, point.components, wrap.conditioned(point, file), origin)
            except CompileError as error:
                if not point.optional:
                    self.mistakes += error.diagnostics
                continue
            found += made
            if point.optional == "!" and made:
                break
        if not found and len(self.mistakes) == before:
            span = probe.points[0].span
            self.warnings.append(names.ProbeDropped(span=span, point=point_text(probe.points[0].components)))
        return found

    def _point(
        self, point: syntax.ProbePoint, components: tuple[syntax.Component, ...], wrap: Wrap, origin: Origin
    ) -> list[resolved.Probe]:
        """The probes that one point makes; raises CompileError when it makes none."""
        uses = self._uses(components)
        if not uses:
            return self._family(components, wrap, origin)
        wild = len(uses) > 1 or has_wildcard(components)
        found: list[resolved.Probe] = []
        for use in uses:
            try:
                found += self._alias(use, components, wrap, origin)
            except CompileError:
                if not wild:
                    raise
        if has_wildcard(components) and components[0].name in families.heads():
            found += self._family(components, wrap, origin, quiet=True)
        if not found:
            span = components[0].span.to(components[-1].span)
            raise CompileError([names.AliasEmpty(span=span, alias=point_text(components))])
        return found

    def _uses(self, components: tuple[syntax.Component, ...]) -> list[Use]:
        """The aliases that a point means. Libraries are asked only about what no family begins with."""
        is_family = components[0].name in families.heads()
        uses = self.aliases.find(components, plain=is_family)
        if (not uses and not is_family) or has_wildcard(components[:1]):
            self.load_aliases(components)
            uses = self.aliases.find(components)
        return uses

    def _alias(
        self, use: Use, components: tuple[syntax.Component, ...], wrap: Wrap, origin: Origin
    ) -> list[resolved.Probe]:
        definition = use.definition
        length = len(components) - len(use.suffix)
        mistakes = illegal_parameters(components[:length])
        if mistakes:
            raise CompileError(mistakes)
        if definition.name in wrap.trail or len(wrap.trail) > MAXIMUM_DEPTH:
            # an alias may take the name of the family that it narrows: `probe begin = begin {...}`
            if self._is_family(components):
                return self._family(components, wrap, origin)
            trail = (*wrap.trail, definition.name)
            span = components[0].span.to(components[length - 1].span)
            problem = names.AliasCycle(span=span, alias=definition.name, trail=trail)
            raise CompileError([problem])
        inner = wrap.under(definition)
        found: list[resolved.Probe] = []
        for point in definition.alias.points:
            whole = (*point.components, *use.suffix)
            try:
                made = self._point(point, whole, inner.conditioned(point, definition.file), origin)
            except CompileError:
                if not point.optional:
                    raise
                continue
            found += made
            if len(found) > MAXIMUM_PROBES:
                raise CompileError([_too_many(components)])
            if point.optional == "!" and made:
                break
        if not found:
            span = components[0].span.to(components[-1].span)
            raise CompileError([names.AliasEmpty(span=span, alias=dotted(components))])
        return found

    def _is_family(self, components: tuple[syntax.Component, ...]) -> bool:
        try:
            return bool(families.find(components))
        except CompileError:
            return False

    def _family(
        self, components: tuple[syntax.Component, ...], wrap: Wrap, origin: Origin, quiet: bool = False
    ) -> list[resolved.Probe]:
        try:
            matches = families.find(components)
        except CompileError as error:
            if quiet:
                return []
            raise CompileError([self._with_aliases(d, components) for d in error.diagnostics]) from None
        wild = has_wildcard(components)
        found: list[resolved.Probe] = []
        failures: list[Diagnostic] = []
        for match in matches:
            try:
                built = build(match, self.env)
            except CompileError as error:
                if not wild:
                    raise
                failures += error.diagnostics
                continue
            self.warnings += built.warnings
            found += self._probes(match.family, built, wrap, origin)
        if not found and failures and not quiet:
            raise CompileError(failures[:1])
        return found

    def _probes(self, family: str, built: Built, wrap: Wrap, origin: Origin) -> list[resolved.Probe]:
        parts = wrap.parts
        if family == "oneshot":
            # in front: `next` in the body must not keep the session alive; exit() takes effect after the handler
            parts = (resolved.Part("<oneshot>", _exit_call(origin.span)), *parts)
        details = (*built.details, *[()] * len(built.points))
        return [
            resolved.Probe(origin.name, point, parts, wrap.armed, wrap.when, origin.span, about)
            for point, about in zip(built.points, details, strict=False)
        ]

    def _with_aliases(self, mistake: Diagnostic, components: tuple[syntax.Component, ...]) -> Diagnostic:
        """Names of aliases are near names too."""
        if not isinstance(mistake, names.UnknownPoint) or mistake.point in KERNEL:
            return mistake
        known = {*families.heads(), *self.aliases.definitions, *self.known_aliases()}
        known |= {name.split(".")[0] for name in known}
        text = dotted(components)
        similar = similar_names(text, sorted(known)) or similar_names(mistake.point, sorted(known))
        return replace(mistake, point=text if len(components) > 1 else mistake.point, similar=similar)


def _exit_call(span: Span) -> syntax.Block:
    return syntax.Block(span, (syntax.ExpressionStatement(span, syntax.Call(span, "exit", (), span)),))


def _too_many(components: tuple[syntax.Component, ...]) -> Diagnostic:
    from probelang.diag.syntax import OutOfRange

    span = components[0].span.to(components[-1].span)
    what = f"the number of probes that `{dotted(components)}` stands for"
    return OutOfRange(span=span, what=what, least=1, most=MAXIMUM_PROBES)
