"""Probe aliases: what a name in a probe point stands for.

    probe al = process("/bin/x").function("f*") { k = 1 }
    find(components of `al.return`)  ->  [Use(definition al, suffix=(return,))]

A point that is an alias as a whole is only that; otherwise the longest alias that it begins with is unfolded and the rest
is put behind each of its points. Aliases of the user's file hide those of the libraries.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from probelang import syntax
from probelang.diag import Diagnostic
from probelang.diag.deferred import names
from probelang.resolve.families import wildcard


@dataclass(frozen=True, slots=True)
class Definition:
    """One name of one alias declaration; `file`: whose private names its code sees."""

    name: str
    alias: syntax.Alias
    file: str
    library: bool


@dataclass(frozen=True, slots=True)
class Use:
    definition: Definition
    suffix: tuple[syntax.Component, ...]


@dataclass(frozen=True, slots=True)
class AliasTable:
    """Filled as files are pulled in; `definitions` by dotted name, in order of declaration."""

    definitions: dict[str, list[Definition]] = field(default_factory=dict[str, list[Definition]])

    def add(self, program: syntax.Program, file: str, library: bool) -> None:
        """Takes in the aliases of a file."""
        for declaration in program.declarations:
            if isinstance(declaration, syntax.Alias):
                for parts in declaration.names:
                    name = dotted(parts)
                    entry = Definition(name, declaration, file, library)
                    self.definitions.setdefault(name, []).append(entry)

    def find(self, components: tuple[syntax.Component, ...], plain: bool = False) -> list[Use]:
        """The aliases that a point means; empty when it is none. `plain`: parts with arguments belong to no alias (else they
        are taken for a mistake about one)."""
        arguments = [i for i, c in enumerate(components) if c.argument is not None]
        longest = arguments[0] if plain and arguments else len(components)
        for length in range(longest, 0, -1):
            pattern = wildcard(dotted(components[:length]))
            matching = [name for name in self.definitions if pattern.fullmatch(name)]
            if matching:
                suffix = components[length:]
                return [Use(d, suffix) for name in matching for d in self._visible(name)]
        return []

    def _visible(self, name: str) -> list[Definition]:
        known = self.definitions[name]
        return [d for d in known if not d.library] or known


def dotted(components: tuple[syntax.Component, ...]) -> str:
    return ".".join(component.name for component in components)


def illegal_parameters(components: tuple[syntax.Component, ...]) -> list[Diagnostic]:
    return [names.AliasParameter(span=c.span, component=c.name) for c in components if c.argument is not None]
