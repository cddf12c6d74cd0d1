"""The libraries of one compilation: an index of all, the text of few, the trees of those that are used.

    libraries = LibrarySet.open(options)
    libraries.macros()               the macros of all `.stpm` files
    libraries.find_alias("mem.*")    the files that define such aliases

A file is read when something is looked up for the first time, and parsed only when it defines what was looked up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from probelang import syntax
from probelang.diag import CompileError, CompileWarning
from probelang.diag.deferred import names
from probelang.library.index import FileIndex, scan
from probelang.library.search import MACRO_SUFFIX, folders, library_files
from probelang.options import Options
from probelang.parse import Macro, parse
from probelang.source import SourceFile, decode_text


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """A parsed file. `warnings` of its parsing concern only its author and are kept for a check of the file itself."""

    path: str
    program: syntax.Program
    warnings: tuple[CompileWarning, ...] = ()


@dataclass(slots=True)
class _Entry:
    """`program` once it was needed."""

    source: SourceFile
    index: FileIndex
    parsed: LibraryFile | None = None


@dataclass(slots=True)
class LibrarySet:
    """Opened once per compilation. `_entries` and `_macros` are filled when first needed."""

    options: Options
    folders: tuple[Path, ...]
    _entries: list[_Entry] | None = field(default=None, repr=False)
    _macros: tuple[Macro, ...] | None = field(default=None, repr=False)

    @staticmethod
    def open(options: Options) -> LibrarySet:
        # the arguments of the command line belong to the user's script alone
        return LibrarySet(replace(options, arguments=()), folders(options))

    def macros(self) -> tuple[Macro, ...]:
        """Macros of all `.stpm` files; where two have a name, the one found first. Raises CompileError."""
        if self._macros is None:
            found: dict[str, Macro] = {}
            for path in self._paths((MACRO_SUFFIX,)):
                for macro in parse(read_source(path), self.options, tuple(found.values())).macros:
                    found.setdefault(macro.name, macro)
            self._macros = tuple(found.values())
        return self._macros

    def find_function(self, name: str, without: str = "") -> LibraryFile | None:
        """The first file that defines such a public function. `without`: the path of the user's own file, which may lie in a
        library folder."""
        return self._first(lambda index: name in index.functions, _functions, name, without)

    def find_global(self, name: str, without: str = "") -> LibraryFile | None:
        return self._first(lambda index: name in index.globals, _globals, name, without)

    def find_aliases(self, pattern: re.Pattern[str], without: str = "") -> tuple[LibraryFile, ...]:
        """Every file that defines an alias whose dotted name matches as a whole."""
        entries = [e for e in self._visible(without) if any(map(pattern.fullmatch, e.index.aliases))]
        return tuple(self._parse(entry) for entry in entries)

    def alias_names(self, without: str = "") -> frozenset[str]:
        return frozenset(name for entry in self._visible(without) for name in entry.index.aliases)

    def function_names(self, without: str = "") -> frozenset[str]:
        return frozenset(name for entry in self._visible(without) for name in entry.index.functions)

    def _first(
        self,
        has: Callable[[FileIndex], bool],
        defined: Callable[[syntax.Program], frozenset[str]],
        name: str,
        without: str,
    ) -> LibraryFile | None:
        for entry in self._visible(without):
            if has(entry.index):
                file = self._parse(entry)
                # the index errs on the generous side: a comment, a branch of `%( %)` not taken
                if name in defined(file.program):
                    return file
        return None

    def _visible(self, without: str) -> Iterator[_Entry]:
        if self._entries is None:
            sources = [read_source(path) for path in self._paths()]
            self._entries = [_Entry(source, scan(source.text)) for source in sources]
        own = os.path.realpath(without) if without else ""
        return (e for e in self._entries if os.path.realpath(e.source.name) != own)

    def _paths(self, suffixes: Iterable[str] | None = None) -> Iterator[Path]:
        architecture = self.options.architecture
        for folder in self.folders:
            if suffixes is None:
                yield from library_files(folder, architecture=architecture)
            else:
                yield from library_files(folder, suffixes, architecture)

    def _parse(self, entry: _Entry) -> LibraryFile:
        if entry.parsed is None:
            result = parse(entry.source, self.options, self.macros())
            entry.parsed = LibraryFile(entry.source.name, result.program, result.warnings)
        return entry.parsed


def read_source(path: Path) -> SourceFile:
    """Raises CompileError when the file cannot be read."""
    try:
        return SourceFile(str(path), decode_text(path.read_bytes()))
    except OSError as error:
        problem = names.LibraryFileUnreadable(path=str(path), reason=str(error.strerror).lower())
        raise CompileError([problem]) from None


def _functions(program: syntax.Program) -> frozenset[str]:
    return frozenset(d.name for d in program.declarations if isinstance(d, syntax.Function) and not d.private)


def _globals(program: syntax.Program) -> frozenset[str]:
    return frozenset(
        d.name for d in program.declarations if isinstance(d, syntax.GlobalVariable) and not d.private
    )
