"""The resolution as a whole.

    syntax.Program (the user's file) + LibrarySet + Options -> resolved.Program

A library file is pulled in, whole, when it defines a function, variable or alias that the script (or a file already pulled
in) uses and does not define itself. Of library code only what is reached is followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from probelang import resolved, syntax
from probelang.diag import CompileError, CompileWarning, Diagnostic, similar_names
from probelang.diag.deferred import names
from probelang.dwarf.files import Files
from probelang.library import LibraryFile, LibrarySet
from probelang.options import Options
from probelang.resolve.aliases import AliasTable, dotted
from probelang.resolve.derive import Deriver
from probelang.resolve.families import wildcard
from probelang.resolve.paths import Host
from probelang.resolve.points import Env
from probelang.resolve.references import references


@dataclass(frozen=True, slots=True)
class ResolveResult:
    program: resolved.Program
    warnings: tuple[CompileWarning, ...]


def resolve(
    program: syntax.Program,
    libraries: LibrarySet,
    options: Options,
    builtins: frozenset[str] | None = None,
    files: Files | None = None,
) -> ResolveResult:
    """Raises CompileError with every mistake in names and probe points. `builtins`: names of builtin functions, by default
    those of `probelang.builtins.table`. `files`: those opened by this compilation."""
    if builtins is None:
        from probelang.builtins.table import names as builtin_names

        builtins = builtin_names() | {"long"}  # a conversion, which the checker knows
    session = _Session(libraries, options, builtins, program.span.source.name, files or Files())
    session.add_file(program, library=False)
    probes = session.derive_all()
    session.follow(probes)
    if not probes and not session.mistakes:
        session.mistakes.append(names.NoProbes())
    if session.mistakes:
        raise CompileError(session.mistakes)
    return ResolveResult(session.finish(probes), tuple(dict.fromkeys(session.deriver.warnings)))


@dataclass(slots=True)
class _Code:
    """Code whose names are still to be looked up."""

    file: str
    roots: tuple[syntax.Node, ...]


@dataclass(slots=True)
class _Session:
    """The files taken in so far and what they define."""

    libraries: LibrarySet
    options: Options
    builtins: frozenset[str]
    own_path: str
    binaries: Files
    globals: list[resolved.Global] = field(default_factory=list[resolved.Global])
    functions: list[resolved.Function] = field(default_factory=list[resolved.Function])
    files: dict[str, bool] = field(default_factory=dict[str, bool])  # by name; is a library file
    pending: list[tuple[syntax.Probe, str]] = field(default_factory=list[tuple[syntax.Probe, str]])
    mistakes: list[Diagnostic] = field(default_factory=list[Diagnostic])
    deriver: Deriver = field(init=False)
    public_globals: set[str] = field(default_factory=set[str])
    by_name: dict[str, list[resolved.Function]] = field(default_factory=dict[str, list[resolved.Function]])

    def __post_init__(self) -> None:
        env = Env(self.options, Host.current(self.binaries))
        self.deriver = Deriver(
            env,
            AliasTable(),
            self.load_aliases,
            lambda: self.libraries.alias_names(self.own_path),
            self.mistakes,
        )

    def add_file(self, program: syntax.Program, library: bool) -> None:
        """Takes in a file, once."""
        file = program.span.source.name
        if file in self.files:
            return
        self.files[file] = library
        self.deriver.aliases.add(program, file, library)
        for declaration in program.declarations:
            match declaration:
                case syntax.GlobalVariable():
                    if not (library and not declaration.private and declaration.name in self.public_globals):
                        self.globals.append(resolved.Global(declaration, file, library))
                    if not declaration.private:
                        self.public_globals.add(declaration.name)
                case syntax.Function():
                    function = resolved.Function(declaration, file, library)
                    self.functions.append(function)
                    self.by_name.setdefault(declaration.name, []).append(function)
                case syntax.Probe():
                    self.pending.append((declaration, file))
                case syntax.Alias():
                    pass

    def load_aliases(self, components: tuple[syntax.Component, ...]) -> None:
        """Pulls in the library files that define an alias which these components, or their beginning, name."""
        for length in range(1, len(components) + 1):
            for file in self.libraries.find_aliases(wildcard(dotted(components[:length])), self.own_path):
                self.add_file(file.program, library=True)

    def derive_all(self) -> list[resolved.Probe]:
        """The probes of all files; deriving may pull in more of them."""
        found: list[resolved.Probe] = []
        while self.pending:
            probe, file = self.pending.pop(0)
            found += self.deriver.derive(probe, file)
        return found

    # ------------------------------------------------------------------------------------------ functions

    def follow(self, probes: list[resolved.Probe]) -> None:
        """Looks up every name in reach of the probes and the user's functions; pulled-in files may bring new probes."""
        seen: set[int] = set()
        unknown: set[str] = set()
        waiting = [_probe_code(p) for p in probes]
        waiting += [[_Code(f.file, (f.declaration.body,))] for f in self.functions if not f.library]
        while waiting:
            for code in waiting.pop(0):
                found = references(*code.roots)
                for variable in sorted(found.variables - self.public_globals):
                    self._pull_global(variable)
                for call in found.calls:
                    for function in self._called(call, code.file, unknown):
                        if id(function) not in seen:
                            seen.add(id(function))
                            waiting.append([_Code(function.file, (function.declaration.body,))])
            if self.pending:
                more = self.derive_all()
                probes += more
                waiting += [_probe_code(p) for p in more]

    def _pull_global(self, name: str) -> None:
        file = self.libraries.find_global(name, self.own_path)
        if file is not None:
            self.add_file(file.program, library=True)

    def _called(self, call: syntax.Call, file: str, unknown: set[str]) -> list[resolved.Function]:
        """The library functions that a call may mean; the user's are followed anyway."""
        own = self._visible(call.name, file)
        if not own and call.name not in self.builtins:
            pulled: LibraryFile | None = self.libraries.find_function(call.name, self.own_path)
            if pulled is not None:
                self.add_file(pulled.program, library=True)
                own = self._visible(call.name, file)
            elif call.name not in unknown:
                unknown.add(call.name)
                self.mistakes.append(self._unknown(call))
        return [f for f in own if f.library]

    def _visible(self, name: str, file: str) -> list[resolved.Function]:
        known = self.by_name.get(name, ())
        return [f for f in known if not f.declaration.private or f.file == file]

    def _unknown(self, call: syntax.Call) -> Diagnostic:
        hidden = next((f for f in self.by_name.get(call.name, ()) if f.declaration.private), None)
        known = {*self.builtins, *self.by_name, *self.libraries.function_names(self.own_path)}
        return names.UnknownCall(
            span=call.name_span,
            name=call.name,
            similar=similar_names(call.name, sorted(known)),
            private_in=(hidden.declaration.name_span, hidden.file) if hidden is not None else None,
        )

    def finish(self, probes: list[resolved.Probe]) -> resolved.Program:
        """User definitions of the same signature replace those of libraries."""
        own = {_signature(f) for f in self.functions if not f.library and not f.declaration.private}
        functions = tuple(
            f
            for f in self.functions
            if not (f.library and not f.declaration.private and _signature(f) in own)
        )
        return resolved.Program(tuple(self.globals), functions, tuple(probes))


def _probe_code(probe: resolved.Probe) -> list[_Code]:
    conditions = [_Code(c.file, (c.expression,)) for c in (*probe.armed, *probe.when)]
    return conditions + [_Code(part.file, (part.code,)) for part in probe.parts]


def _signature(function: resolved.Function) -> tuple[str, int]:
    return function.declaration.name, len(function.declaration.parameters)
