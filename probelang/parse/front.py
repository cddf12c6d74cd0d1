"""The front end as one list: characters, macros, conditionals, grammar.

parse(SourceFile("x.probe", "probe begin { exit() }"), Options())  ->  ParseResult(Program(...), ...)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from probelang import syntax
from probelang.diag import CompileError, CompileWarning, Diagnostic
from probelang.diag.deferred import Deferred
from probelang.options import Options
from probelang.parse import tokens
from probelang.parse.actions import ACTIONS
from probelang.parse.builder import Builder
from probelang.parse.conditionals import Preprocessor
from probelang.parse.declarations import Point, finished_points
from probelang.parse.driver import Parser
from probelang.parse.lexer import Lexer
from probelang.parse.macros import Macro, MacroExpander, Report
from probelang.parse.tables import Tables, load_tables
from probelang.parse.tokens import Token, describe
from probelang.source import SourceFile, Span

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")


@dataclass(frozen=True, slots=True)
class ParseResult:
    """`macros`: those that the file defines; a .stpm file has nothing else. `used_arguments`: the numbers of the script
    arguments that it asks for."""

    program: syntax.Program
    macros: tuple[Macro, ...]
    warnings: tuple[CompileWarning, ...]
    used_arguments: frozenset[int]


def parse(source: SourceFile, options: Options, macros: Sequence[Macro] = ()) -> ParseResult:
    """One file. `macros`: those of the macro libraries. Raises CompileError with everything wrong in it."""
    return _Front(source, options, macros).parse()


def parse_probe_point(text: str, options: Options) -> tuple[syntax.ProbePoint, ...]:
    """The probe points of `text`, as they would stand behind `probe`. Raises CompileError."""
    front = _Front(SourceFile("<probe point>", text), options, ())
    points = cast("list[list[Point]]", front.run("points"))
    front.raise_mistakes()
    return finished_points(points)


def tokenize(source: SourceFile, options: Options, macros: Sequence[Macro] = ()) -> tuple[Token, ...]:
    """The tokens that the parser sees, without the final $END. Raises CompileError for what is no token."""
    front = _Front(source, options, macros)
    made: list[Token] = []
    while (token := front.next()).kind != tokens.END:
        made.append(token)
    front.builder.errors.extend(token.problem for token in made if token.problem is not None)
    front.raise_mistakes()
    return tuple(made)


@cache
def tables() -> Tables:
    """The parser's tables; constant, so loaded once."""
    return load_tables()


class _Front:
    def __init__(self, source: SourceFile, options: Options, macros: Sequence[Macro]) -> None:
        self.source = source
        self.options = options
        self.report = Report()
        self.builder = Builder()
        self.lexer = Lexer(source, options.arguments)
        self.macros = MacroExpander(self.lexer, macros, self.report)
        self.next = Preprocessor(self.macros, options, self.report).next

    def parse(self) -> ParseResult:
        if self.source.name.endswith(".stpm"):
            self._expect_only_macros()
        else:
            self.run("program")
        self.raise_mistakes()
        whole = Span(self.source, 0, len(self.source.text))
        return ParseResult(
            syntax.Program(whole, tuple(self.builder.declarations)),
            tuple(self.macros.defined.values()),
            (*self.report.warnings, *self._unused_arguments()),
            frozenset(self.lexer.used),
        )

    def run(self, start: str) -> object:
        return Parser(tables(), ACTIONS, self.builder, self.next).run(start)

    def _expect_only_macros(self) -> None:
        token = self.next()
        if token.problem is not None:
            self.builder.errors.append(token.problem)
        elif token.kind != tokens.END:
            found = describe(token)
            self.builder.errors.append(mistakes.LibraryMacrosOnly(span=token.span, found=found))

    def raise_mistakes(self) -> None:
        mistakes_made = [*self.report.errors, *self.builder.errors]
        if mistakes_made:
            raise CompileError(sorted(mistakes_made, key=_place))

    def _unused_arguments(self) -> list[CompileWarning]:
        return [
            mistakes.UnusedArgument(number=number, text=text)
            for number, text in enumerate(self.options.arguments, 1)
            if number not in self.lexer.used
        ]


def _place(diagnostic: Diagnostic) -> int:
    return diagnostic.span.start if diagnostic.span is not None else 0
