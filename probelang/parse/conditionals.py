"""Conditionals: `%( CONDITION %? THEN %: ELSE %)`; the second pass over the tokens.

    %( $# > 0 %? println(@1) %: println("none") %)   with no argument   ->   println("none")

They may wrap any tokens and nest. Adjacent string literals are glued afterwards, so also across them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.diag.deferred import Deferred
from probelang.options import Options
from probelang.parse import tokens
from probelang.parse.conditions import BadCondition, evaluate
from probelang.parse.macros import MacroExpander, Report
from probelang.parse.tokens import Token, describe

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")


@dataclass(slots=True)
class _Open:
    """A conditional whose branch is being passed on; `in_else`: that is the second one."""

    opening: Token
    in_else: bool


class Preprocessor:
    """The tokens that the parser sees."""

    def __init__(self, macros: MacroExpander, options: Options, report: Report) -> None:
        self._macros = macros
        self._options = options
        self._report = report
        self._open: list[_Open] = []
        self._ahead: Token | None = None

    def next(self) -> Token:
        """The next token, string literals glued."""
        token = self._ahead or self._conditional()
        self._ahead = None
        if token.kind != tokens.TEXT:
            return token
        more: list[Token] = [token]
        while (following := self._conditional()).kind == tokens.TEXT:
            more.append(following)
        self._ahead = following
        return _glue(more)

    def _conditional(self) -> Token:
        """The next token outside of skipped branches."""
        while True:
            token = self._macros.next()
            match token.kind:
                case "%(":
                    self._start(token)
                case "%:" if self._open and not self._open[-1].in_else:
                    self._skip(token, after_else=True)
                    self._open.pop()
                case "%)" if self._open:
                    self._open.pop()
                case "%:" | "%)" | "%?":
                    problem = mistakes.StrayConditional(span=token.span, text=token.text)
                    return token._replace(kind=tokens.BAD, problem=problem)
                case "$END":
                    self._report_unclosed()
                    return token
                case _:
                    return token

    def _start(self, opening: Token) -> None:
        condition: list[Token] = []
        while (token := self._macros.next()).kind not in ("%?", "%)", "%(", "%:", tokens.END):
            condition.append(token)
        if token.kind == tokens.END:
            self._report.errors.append(_unclosed(opening))
            return
        try:
            if token.kind != "%?":
                found = describe(token)
                raise BadCondition(mistakes.ConditionSyntax(span=token.span, found=found, expected="`%?`"))
            holds = evaluate(condition, token, self._options)
        except BadCondition as bad:
            self._report.errors.append(bad.diagnostic)
            if token.kind != "%)":
                self._skip(opening)
            return
        if holds:
            self._open.append(_Open(opening, in_else=False))
        elif self._skip(opening, to_else=True):
            self._open.append(_Open(opening, in_else=True))

    def _skip(self, opening: Token, to_else: bool = False, after_else: bool = False) -> bool:
        """Drops tokens up to the closing `%)`, or the `%:` before it when wanted: then true. `after_else`: it is the
        second branch that is dropped."""
        depth = 0
        while True:
            token = self._macros.next(skipping=True)
            match token.kind:
                case "%(":
                    depth += 1
                case "%)" if depth == 0:
                    return False
                case "%)":
                    depth -= 1
                case "%:" if depth == 0 and to_else:
                    return True
                case "%:" if depth == 0 and after_else:
                    self._report.errors.append(mistakes.StrayConditional(span=token.span, text=token.text))
                case "$END":
                    self._report.errors.append(_unclosed(opening))
                    return False
                case _:
                    pass

    def _report_unclosed(self) -> None:
        self._report.errors.extend(_unclosed(one.opening) for one in self._open)
        self._open.clear()


def _unclosed(opening: Token) -> mistakes.Unclosed:
    return mistakes.Unclosed(span=opening.span, what="conditional", closing="%)")


def _glue(strings: list[Token]) -> Token:
    first = strings[0]
    if len(strings) == 1:
        return first
    problem = next((string.problem for string in strings if string.problem), None)
    span = first.span.to(strings[-1].span)
    value = b"".join(string.value for string in strings)
    return first._replace(span=span, value=value, problem=problem)
