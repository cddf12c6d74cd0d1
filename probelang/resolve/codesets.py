"""What code `caller is X`, `caller in X` and `within X` ask about: from the parts of X to ranges of files.

    find(`caller is function("parse_*")`, Surroundings("/bin/x"))
    ->  CodeSet('function("parse_*")', (CodeFile("/bin/x", "9f..", ((0x1140, 0x11c3), ...)),))

Files are found as in probe points; what is no code of one file is passed over where another has some, and else a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probelang import syntax
from probelang.artifact.codesets import CodeFile, CodeSet
from probelang.diag import CompileError, CompileWarning, Diagnostic, respan
from probelang.diag.deferred import Deferred, names, target
from probelang.dwarf.binary import Binary
from probelang.dwarf.declarations import declared_at
from probelang.dwarf.entry import Entry
from probelang.dwarf.files import Files
from probelang.dwarf.functions import is_pattern
from probelang.dwarf.image import BinaryError
from probelang.dwarf.inlining import Copy, call_place, copies_of
from probelang.dwarf.instances import Instance, entry_address, find_instances
from probelang.dwarf.lines import file_matches
from probelang.options import Options
from probelang.resolve.candidates import FileTarget
from probelang.resolve.extents import Code, functions_of, joined, lines_of, overlap
from probelang.resolve.families import point_text
from probelang.resolve.hooks import hooks_of
from probelang.resolve.paths import Host, libraries_of
from probelang.resolve.patterns import Place, parse_place
from probelang.resolve.points import Env, processes_of
from probelang.resolve.sources import instances_at
from probelang.resolved import Surroundings
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.diag import callers as mistakes
else:
    mistakes = Deferred("probelang.diag.callers")

_KEEPERS = ("function", "statement")


@dataclass(slots=True)
class CodeSets:
    """Finds each set once. `warnings`: about functions whose own code is only a choice of others."""

    env: Env
    warnings: list[CompileWarning] = field(default_factory=list[CompileWarning])
    _known: dict[object, CodeSet | CompileError] = field(
        default_factory=dict[object, "CodeSet | CompileError"]
    )
    _copies: dict[tuple[int, int], dict[int, Copy]] = field(
        default_factory=dict["tuple[int, int]", "dict[int, Copy]"]
    )
    _instances: dict[tuple[str, str], frozenset[tuple[int, int]]] = field(
        default_factory=dict["tuple[str, str]", "frozenset[tuple[int, int]]"]
    )

    def find(self, test: syntax.CodeTest, around: Surroundings) -> CodeSet:
        """Raises CompileError, naming the part of the test that means nothing."""
        parts = tuple((part.name, part.argument) for part in test.code)
        is_same = test.code[0].name == "process" and test.subject == "caller"
        where = None if is_same else (around.path, around.program, around.pid)
        key = test.subject, parts, where
        found = self._known.get(key)
        if found is None:
            try:
                found = self._make(test, around)
            except CompileError as error:
                found = error
            self._known[key] = found
        if isinstance(found, CompileError):
            raise CompileError([respan(d, _same_place(d, test)) for d in found.diagnostics])
        return found

    def files(self, test: syntax.CodeTest, around: Surroundings) -> tuple[str, ...]:
        """The files whose code is meant. Raises CompileError."""
        head = test.code[0]
        library = next((part for part in test.code if part.name == "library"), None)
        if head.name == "process":
            processes = processes_of(head, self.env, needs_file=True)
            programs = [(p.executable, p.pid) for p in processes if p.executable is not None]
            if library is None:
                return tuple(dict.fromkeys(path for path, _ in programs))
        elif library is None:
            return self._probed(test, around)
        else:
            programs = [(around.program or around.path or "", around.pid)]
        return self._libraries(library, programs)

    @staticmethod
    def _probed(test: syntax.CodeTest, around: Surroundings) -> tuple[str, ...]:
        path = around.path or around.program
        if path is None:
            what, span = point_text(test.code), test.code_span
            raise CompileError([mistakes.NoProbedFile(span=span, what=what, probe=around.probe)])
        return (path,)

    def _libraries(
        self, library: syntax.Component, programs: Iterable[tuple[str, int | None]]
    ) -> tuple[str, ...]:
        assert isinstance(library.argument, bytes)
        name = library.argument.decode("utf-8", "surrogateescape")
        found: dict[str, None] = {}
        for executable, pid in programs:
            try:
                found |= dict.fromkeys(libraries_of(executable or None, name, self.env.host, pid))
            except BinaryError as error:
                raise CompileError([respan(error.diagnostic, library.span)]) from None
        return tuple(found)

    def _make(self, test: syntax.CodeTest, around: Surroundings) -> CodeSet:
        found: list[tuple[FileTarget, Code | None]] = []
        failures: list[Diagnostic] = []
        for path in self.files(test, around):
            try:
                found.append(self._in_file(test, path))
            except BinaryError as error:
                failures.append(respan(error.diagnostic, _blamed(error.diagnostic, test).span))
        if not found:
            raise CompileError(failures[:1])
        files = tuple(code_file(file.binary, code) for file, code in found)
        if test.subject == "caller":
            return CodeSet(point_text(test.code), files)
        found_hooks = hooks_of(found, around, self.env)
        held: CodeSet | None = None
        if found_hooks.around:
            holders = tuple(code_file(file.binary, code) for file, code in found_hooks.around)
            held = CodeSet(f"what holds {point_text(test.code)}", holders, found_hooks.around_hooks)
        return CodeSet(point_text(test.code), files, found_hooks.hooks, found_hooks.unhooked, held)

    def _in_file(self, test: syntax.CodeTest, path: str) -> tuple[FileTarget, Code | None]:
        """None: all code of the file. Raises BinaryError."""
        file = FileTarget(self.env.host.open(path), "", self.env.host.files, self.env.options.backend)
        code: Code | None = None
        for part in test.code:
            if part.name in _KEEPERS:
                pattern = _argument(part)
                own = functions_of(file, pattern) if part.name == "function" else lines_of(file, pattern)
                code = own if code is None else Code(overlap(code.ranges, own.ranges), has_copies=True)
                self._check(file.binary, own, pattern, part)
        if code is not None and not code.ranges:
            raise BinaryError(mistakes.NoSuchCode(what=point_text(test.code), path=path))
        return file, code

    def _check(self, binary: Binary, code: Code, pattern: str | int, part: syntax.Component) -> None:
        """An IFUNC's code only chooses a function: it calls nothing that anyone asks about."""
        chosen = [f for f in code.functions if f.indirect]
        if chosen and len(chosen) == len(code.functions) and not is_pattern(str(pattern)):
            from probelang.resolve.functions import implementations

            known = implementations(binary, chosen[0])
            warning = names.IndirectFunction(
                span=part.span, name=chosen[0].name, path=binary.path, implementations=known
            )
            if warning not in self.warnings:
                self.warnings.append(warning)

    # -------------------------------------------------------------------------------------------- inlined callers

    def surrounds(self, test: syntax.CodeTest, around: Surroundings, copy: Copy) -> bool:
        """Whether what a copy was inlined into is such code: the caller of a function that is not called. Raises CompileError."""
        path = around.path
        is_meant = path is not None and path in self.files(test, around)
        if is_meant and path is not None:
            try:
                parts = [part for part in test.code if part.name in _KEEPERS]
                is_meant = all(self._surrounds(part, path, copy) for part in parts)
            except BinaryError:
                is_meant = False
        if not is_meant:
            self.find(test, around)  # which says what is wrong
        return is_meant

    def copies(self, function: Entry) -> dict[int, Copy]:
        """See `probelang.dwarf.inlining.copies_of`."""
        if function.key not in self._copies:
            self._copies[function.key] = copies_of(function)
        return self._copies[function.key]

    def _surrounds(self, part: syntax.Component, path: str, copy: Copy) -> bool:
        file = FileTarget(self.env.host.open(path), "", self.env.host.files)
        pattern, chain = _argument(part), copy.around
        if isinstance(pattern, int):
            own = functions_of(file, pattern) if part.name == "function" else lines_of(file, pattern)
            return part.name == "function" and entry_address(chain[-1]) in {f.address for f in own.functions}
        place = parse_place(pattern)
        if part.name == "function" or place.lines is None:
            keys = self._keys(path, pattern, lambda: instances_at(file, pattern))
            return any(entry.key in keys for entry in chain)
        keys = self._keys(path, place.function, lambda: find_instances(file.debug(), place.function))
        return any(
            _comes_from(place, keys, inner, chain[i:]) for i, inner in enumerate((copy.entry, *chain[:-1]))
        )

    def _keys(
        self, path: str, pattern: str, make: Callable[[], tuple[Instance, ...]]
    ) -> frozenset[tuple[int, int]]:
        """Of the entries of functions: a probe may have a thousand places that ask for the same."""
        key = path, pattern
        if key not in self._instances:
            self._instances[key] = frozenset(i.entry.key for i in make())
        return self._instances[key]


def open_code_sets(options: Options, files: Files) -> CodeSets:
    """For one compilation, which has opened `files`."""
    return CodeSets(Env(options, Host.current(files)))


def _same_place(mistake: Diagnostic, test: syntax.CodeTest) -> Span:
    """Where a mistake that was found in another test of the same code stands in this one."""
    if mistake.span is None:
        return test.code_span
    text = mistake.span.text
    return next((part.span for part in test.code if part.span.text == text), test.code_span)


def _comes_from(
    place: Place, keys: frozenset[tuple[int, int]], copy: Entry, chain: tuple[Entry, ...]
) -> bool:
    """Whether a copy stands for a call in such lines, in one of the functions `keys`."""
    source, line = call_place(copy)
    if place.lines is None or not file_matches(source, place.file):
        return False
    if place.lines.behind is None:
        is_there = not place.lines.ranges or line in place.lines
        return is_there and any(entry.key in keys for entry in chain)
    return any(e.key in keys and declared_at(e)[1] + place.lines.behind == line for e in chain)


def code_file(binary: Binary, code: Code | None) -> CodeFile:
    """`code`: None stands for all of the file's. Raises BinaryError."""
    image = binary.image
    segments = [s for s in image.segments if s.executable]
    if not segments:
        raise BinaryError(target.NotProbeable(path=binary.path, kind="a file without code"))
    ranges: tuple[tuple[int, int], ...] | None = None
    if code is not None:
        ranges = joined(
            (offset, offset + high - low) for low, high in code.ranges for offset in _offset(binary, low)
        )
    elif len(segments) > 1:
        ranges = joined((s.offset, s.offset + s.file_size) for s in segments)
    first = segments[0]
    is_fixed = binary.kind == "exec"
    return CodeFile(
        binary.path, binary.build_id, ranges, first.offset, first.address, first.file_size, is_fixed
    )


def _offset(binary: Binary, address: int) -> tuple[int, ...]:
    offset = binary.image.offset_of(address)
    return () if offset is None else (offset,)


def _argument(part: syntax.Component) -> str | int:
    argument = part.argument
    assert argument is not None
    return argument if isinstance(argument, int) else argument.decode("utf-8", "surrogateescape")


def _blamed(problem: Diagnostic, test: syntax.CodeTest) -> syntax.Component:
    """The part that a mistake is about: the file, or what is looked for in it."""
    about_file = isinstance(
        problem,
        target.FileUnreadable
        | target.NotElf
        | target.WrongArchitecture
        | target.NotProbeable
        | target.CorruptFile,
    )
    return test.code[0] if about_file else test.code[-1]
