"""Macros: `@define` collected, `@name` replaced by what it stands for; the first pass over the tokens.

    @define twice(e) %( (@e) * 2 %)   x = @twice(1 + 2)   ->   x = (1 + 2) * 2

Arguments are closures: a `@word` in one means what it means where the macro is called. A macro without parameters
leaves a `(` behind it alone. Unknown `@words` are left alone too: they are operators, or the parser's business.
Inside skipped branches macros are still expanded, but nothing is defined and nothing is a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probelang.diag import CompileWarning, Diagnostic
from probelang.diag.deferred import Deferred
from probelang.parse import tokens
from probelang.parse.lexer import Lexer
from probelang.parse.operators import ALL_NAMES
from probelang.parse.tokens import DECLARATION_KEYWORDS, Token, describe
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")

_OPENING = {"(": ")", "[": "]", "{": "}", "%(": "%)"}
_CLOSING = frozenset(_OPENING.values())
# No script comes near it; but macros that double each other would fill the memory.
_MAX_EXPANSIONS = 100_000


@dataclass(frozen=True, slots=True)
class Macro:
    """`parameters` is empty for a macro that is called without parentheses."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Token, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class _Argument:
    """What a parameter stands for; `bindings`: the parameters visible where the argument was written; `active`: the
    macros being expanded there."""

    tokens: tuple[Token, ...]
    bindings: dict[str, _Argument]
    active: frozenset[str]


@dataclass(slots=True)
class _Frame:
    """Tokens being put in place of a macro or parameter. `active`: the macros that they come from, not to be
    expanded again in them."""

    tokens: tuple[Token, ...]
    bindings: dict[str, _Argument]
    active: frozenset[str]
    call: Token
    position: int = 0


@dataclass(slots=True)
class Report:
    """Where mistakes that do not break the token stream go, and warnings."""

    errors: list[Diagnostic] = field(default_factory=list[Diagnostic])
    warnings: list[CompileWarning] = field(default_factory=list[CompileWarning])


class _Problem(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__()
        self.diagnostic = diagnostic


class MacroExpander:
    """The lexer's tokens with macros replaced. `defined`: the macros of this file."""

    def __init__(self, lexer: Lexer, library: Sequence[Macro], report: Report) -> None:
        self.defined: dict[str, Macro] = {}
        self._lexer = lexer
        self._library = {macro.name: macro for macro in library}
        self._report = report
        self._frames: list[_Frame] = []
        self._expansions = 0
        self._waiting: list[Token] = []  # read ahead, to be read again

    def next(self, skipping: bool = False) -> Token:
        """The next token; `skipping`: inside a branch that is not taken."""
        while True:
            token = self._read()
            if token.kind != tokens.AT:
                return token
            try:
                if token.text == "@define":
                    if skipping:
                        return token
                    self._define(token)
                elif not self._expand(token):
                    return token
            except _Problem as problem:
                if skipping:
                    return token
                return Token(tokens.BAD, token.text, token.span, problem=problem.diagnostic)

    def _read(self) -> Token:
        """The next token as it stands in the file or in what is being expanded."""
        if self._waiting:
            return self._waiting.pop()
        while self._frames:
            frame = self._frames[-1]
            if frame.position < len(frame.tokens):
                token = frame.tokens[frame.position]
                frame.position += 1
                glued = frame.call.glued if frame.position == 1 else token.glued
                return token._replace(glued=glued, origin=frame.call.origin or frame.call.span)
            self._frames.pop()
        return self._lexer.next()

    def _expand(self, token: Token) -> bool:
        """Starts the expansion of `token`, if it is a macro or parameter."""
        name = token.text[1:]
        # An exhausted frame is dropped at the next read only: the last one is where `token` comes from.
        bindings = self._frames[-1].bindings if self._frames else {}
        active = self._frames[-1].active if self._frames else frozenset[str]()
        if (argument := bindings.get(name)) is not None:
            self._push(_Frame(argument.tokens, argument.bindings, argument.active, token))
            return True
        macro = self.defined.get(name) or self._library.get(name)
        if macro is None:
            return False
        if name in active:
            raise _Problem(mistakes.MacroRecursion(span=token.span, name=name))
        arguments = self._arguments(macro, token, bindings, active) if macro.parameters else {}
        self._push(_Frame(macro.body, arguments, active | {name}, token))
        return True

    def _push(self, frame: _Frame) -> None:
        while self._frames and self._frames[-1].position >= len(self._frames[-1].tokens):
            self._frames.pop()
        self._expansions += 1
        if self._expansions > _MAX_EXPANSIONS:
            raise _Problem(mistakes.TooManyExpansions(span=frame.call.span, limit=_MAX_EXPANSIONS))
        self._frames.append(frame)

    # ---------------------------------------------------------------------------------------- arguments

    def _arguments(
        self, macro: Macro, call: Token, bindings: dict[str, _Argument], active: frozenset[str]
    ) -> dict[str, _Argument]:
        wanted = len(macro.parameters)
        opening = self._read()
        if opening.kind != "(":
            self._waiting.append(opening)
            raise _Problem(
                mistakes.MacroArguments(span=call.span, name=macro.name, wanted=wanted, given=None)
            )
        arguments: list[_Argument] = []
        while True:
            collected, end = self._argument(call, opening)
            arguments.append(_Argument(collected, bindings, active))
            if end.kind == ")":
                break
        if len(arguments) != wanted:
            given = 0 if len(arguments) == 1 and not arguments[0].tokens else len(arguments)
            raise _Problem(
                mistakes.MacroArguments(span=call.span, name=macro.name, wanted=wanted, given=given)
            )
        return dict(zip(macro.parameters, arguments, strict=True))

    def _argument(self, call: Token, opening: Token) -> tuple[tuple[Token, ...], Token]:
        """The tokens up to a comma or parenthesis outside all brackets, and that token."""
        collected: list[Token] = []
        open_brackets: list[str] = []
        while True:
            token = self._read()
            if token.kind == tokens.END:
                what = f"the arguments of `{call.text}`"
                raise _Problem(mistakes.Unclosed(span=opening.span, what=what, closing=")"))
            if not open_brackets and token.kind in (",", ")"):
                return tuple(collected), token
            if token.kind in _OPENING:
                open_brackets.append(_OPENING[token.kind])
            elif token.kind in _CLOSING and open_brackets:
                open_brackets.pop()
            collected.append(token)

    # -------------------------------------------------------------------------------------- definitions

    def _define(self, define: Token) -> None:
        if self._frames and any(frame.active for frame in self._frames):
            raise _Problem(mistakes.DefineInMacro(span=define.span))
        name = self._expect(tokens.IDENT, "a name")
        token = self._read()
        parameters: list[str] = []
        if token.kind == "(":
            parameters, token = self._parameters()
        if token.kind != "%(":
            raise self._malformed(token, "`%(`" if parameters else "`%(` or `(`")
        body = self._body(token)
        macro = Macro(name.text, tuple(parameters), body, name.span)
        if (first := self.defined.get(macro.name)) is not None:
            self._report.errors.append(
                mistakes.DuplicateMacro(span=name.span, name=macro.name, first=first.span)
            )
            return
        if macro.name in ALL_NAMES:
            self._report.warnings.append(mistakes.MacroShadowsOperator(span=name.span, name=macro.name))
        self.defined[macro.name] = macro

    def _parameters(self) -> tuple[list[str], Token]:
        """The names up to `)`, and the token behind it."""
        names: list[str] = []
        while True:
            names.append(self._expect(tokens.IDENT, "a parameter name").text)
            token = self._read()
            if token.kind == ")":
                return names, self._read()
            if token.kind != ",":
                raise self._malformed(token, "`,` or `)`")

    def _body(self, opening: Token) -> tuple[Token, ...]:
        body: list[Token] = []
        depth = 0
        while True:
            token = self._read()
            if token.kind == tokens.END:
                raise _Problem(mistakes.Unclosed(span=opening.span, what="macro body", closing="%)"))
            if token.kind == tokens.AT and token.text == "@define":
                self._report.errors.append(mistakes.DefineInMacro(span=token.span))
            if token.kind == "%)":
                if depth == 0:
                    return tuple(body)
                depth -= 1
            elif token.kind == "%(":
                depth += 1
            body.append(token)

    def _expect(self, kind: str, wanted: str) -> Token:
        token = self._read()
        if token.kind != kind and not (kind == tokens.IDENT and token.kind == tokens.PRINT):
            raise self._malformed(token, wanted)
        return token

    def _malformed(self, token: Token, wanted: str) -> _Problem:
        """The mistake at `token`; what looks like the macro's body is dropped, lest it be taken for a conditional."""
        following = token
        while following.kind not in ("%(", tokens.END, tokens.AT) and (
            following is token or following.kind not in DECLARATION_KEYWORDS
        ):
            following = self._read()
        if following.kind == "%(":
            self._body(following)
        else:
            self._waiting.append(following)
        if token.problem is not None:
            return _Problem(token.problem)
        return _Problem(mistakes.MacroSyntax(span=token.span, found=describe(token), expected=wanted))
